/** The headers that proxies set, remove or rewrite: what configurations match on, and clients send. */
import fc, { type Arbitrary } from 'fast-check';

/** Values that clients send under a name; those that proxies give it are among them. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  'x-request-id': ['1', '00000000-0000-4000-8000-000000000001'],
  'x-forwarded-for': ['192.0.2.7', '192.0.2.7, 192.0.2.8', 'unknown'],
  'x-forwarded-proto': ['http', 'https', 'ftp'],
  'x-forwarded-host': ['www.example.com'],
  'x-forwarded-port': ['80'],
  'x-forwarded-client-cert': ['URI=spiffe://forged'],
  'x-envoy-internal': ['true', '1'],
  'x-envoy-external-address': ['192.0.2.7'],
  'x-envoy-attempt-count': ['1', '7'],
  'x-envoy-decorator-operation': ['mine'],
  'x-envoy-expected-rq-timeout-ms': ['15000', '1'],
  'x-envoy-upstream-rq-timeout-ms': ['5000', 'soon'],
  'x-envoy-upstream-rq-per-try-timeout-ms': ['4000'],
  'x-envoy-max-retries': ['1'],
  'x-envoy-retry-on': ['5xx'],
  'x-envoy-original-path': ['/1'],
  'x-envoy-original-host': ['www.example.com'],
  'x-envoy-upstream-service-time': ['1'],
  'x-envoy-force-trace': ['1'],
  'x-envoy-downstream-service-cluster': ['1'],
  via: ['1.1 other'],
  server: ['1'],
  date: ['1'],
  te: ['trailers', 'gzip', 'trailers, deflate'],
  connection: ['keep-alive', 'x-a', 'te', 'x-request-id', 'x-forwarded-for', 'host'],
  'keep-alive': ['timeout=5'],
  'proxy-connection': ['keep-alive'],
  upgrade: ['h2c', 'websocket'],
  'transfer-encoding': ['gzip'],
  'content-length': ['0'],
  'content-type': ['application/grpc', 'text/plain'],
  'grpc-timeout': ['5S', 'soon'],
  expect: ['100-continue'],
  x_under: ['1'],
};

const NAMES = Object.keys(VALUES);
/** What no message of HTTP/2 may have, or only as this. */
const HTTP1_ONLY = new Set(['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'transfer-encoding']);

export function fitsHttp2([name, value]: readonly [string, string]): boolean {
  return !HTTP1_ONLY.has(name) && (name !== 'te' || value === 'trailers');
}

/** A field as a client sends it. */
export const sentHeader: Arbitrary<[string, string]> = fc
  .constantFrom(...NAMES)
  .chain((name) => fc.constantFrom(...VALUES[name]!).map((value): [string, string] => [name, value]));

/** A match on one of them. What a proxy makes by chance is asked for in ways that chance does not decide. */
export const proxyHeaderMatch: Arbitrary<Record<string, object>> = fc.constantFrom(...NAMES).chain((name) =>
  fc
    .oneof(
      fc.constantFrom<object>({}, { regex: '.+' }, { exact: 'z' }),
      fc.constantFrom(...VALUES[name]!).map((exact): object => ({ exact })),
      fc.constantFrom<object>(
        ...(name === 'x-request-id' ? [{ regex: '[0-9a-f-]+' }, { prefix: 'z' }] : [{ prefix: '1' }, { regex: '\\d+' }]),
      ),
    )
    .map((match) => ({ [name]: match })),
);

/** What header operations do to them. */
export const proxyHeaderOperations: Arbitrary<object> = fc.constantFrom<object>(
  { set: { 'x-request-id': 'fixed' } },
  { set: { 'x-forwarded-for': '192.0.2.9', 'x-t-a': '%REQ(x-forwarded-for)%' } },
  { set: { 'x-t-a': '%REQ(x-request-id)%' } },
  { set: { 'x-t-a': '%REQ(x-envoy-attempt-count)%-%REQ(x-envoy-expected-rq-timeout-ms)%-' } },
  { set: { 'x-t-a': '%REQ(x-forwarded-proto)%', 'x-forwarded-proto': 'https' } },
  { add: { 'x-t-b': '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', via: '1.1 added' } },
  { add: { 'x-envoy-decorator-operation': 'added' } },
  { remove: ['x-request-id', 'x-forwarded-proto'] },
  { remove: ['x-envoy-attempt-count', 'x-envoy-decorator-operation', 'x-envoy-expected-rq-timeout-ms'] },
  { remove: ['x-forwarded-for', 'te', 'x-envoy-original-path'] },
);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Fields that the client or server of this test add or leave out by themselves. */
const OWN = new Set(['x-call', 'host']);

/** Fields for a comparison; what `varied` has differently is made by chance, and compared by its form. */
export function compared(headers: Iterable<readonly [string, string]>, varying: ReadonlySet<string>): string[] {
  return [...headers]
    .filter(([name, value]) => !OWN.has(name) && !(name === 'connection' && value === 'close'))
    .map(([name, value]) => `${name}: ${varying.has(name) ? (UUID.test(value) ? '(a request id)' : '(varies)') : value}`)
    .sort();
}
