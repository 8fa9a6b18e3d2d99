/** Generators of calls from the boundaries of a configuration: its hosts, ports, addresses, paths and headers, and what lies just beside them. */
import fc, { type Arbitrary } from 'fast-check';
import { HeaderMap } from '../../src/http/header-map.ts';
import type { Call, HttpRequest } from '../../src/simulate/call.ts';
import { PODS, type Pod } from '../calls/loopback/topology.ts';

import { fitsHttp2, sentHeader } from './proxy-headers.ts';

/** A call before it is known which addresses the configuration gives to names. */
export interface Sketch {
  readonly from: 'sleep' | 'other' | 'plain';
  /** Of `plain`, which has no sidecar: to where it says, and not to the gateway. */
  readonly direct?: boolean;
  /** A name that is looked up in the proxy's name table, or else in DNS, or an address; `@n` for the n-th name that the configuration declares. */
  readonly to: string;
  /** 0: as `to`, a port that the configuration declares. */
  readonly port: number;
  readonly tls: { readonly serverName: string; readonly alpn: readonly string[]; readonly certificate?: boolean } | undefined;
  readonly http:
    | {
        readonly method: string;
        readonly authority: string;
        readonly emptyHost?: boolean;
        readonly path: string;
        readonly headers: readonly (readonly [string, string])[];
        readonly version: HttpRequest['version'];
      }
    | undefined;
}

const HOSTS = ['www.example.com', 'api.example.com', 'x.example.com', 'www.example.org', 'redis.example.com', 'undeclared.test'] as const;

const to = fc.oneof(
  { weight: 12, arbitrary: fc.nat({ max: 5 }).map((n) => `@${n}`) },
  { weight: 5, arbitrary: fc.constant('www.example.com') },
  { weight: 5, arbitrary: fc.constantFrom<string>(...HOSTS) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '198.51.100.10',
      '198.51.100.77',
      '203.0.113.6',
      '203.0.113.21',
      '10.1.2.3',
      '240.240.77.1',
      '10.96.3.10',
      '10.96.1.20',
      '127.0.0.1',
    ),
  },
);
const authority = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<string>(...HOSTS) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'WWW.Example.COM',
      'www.example.com.',
      'www.example.com:80',
      'www.example.com:8080',
      'api.example.com:443',
      'a.b.example.com',
      'example.com',
      '198.51.100.10',
      '203.0.113.6:80',
      'httpbin',
      'httpbin.default',
      'httpbin.default.svc.cluster.local:8000',
      'istio-egressgateway.istio-system.svc.cluster.local',
      '',
    ),
  },
);
const path = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('/', '/a', '/a/', '/ab', '/a/b', '/A', '/b', '/a/12', '/a?q=1', '/?q=2', '/a?q=x&q=1') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '//a',
      '/a//b',
      '/a/../b',
      '/./a',
      '/%61',
      '/a%2Fb',
      '/a%2fb',
      '/a;x=1',
      '/a#f',
      '/a/%2e%2e/b',
      '/a\\b',
      'http://www.example.com/a',
      'http://api.example.com',
      'https://www.example.com/',
      '*',
    ),
  },
);
const playedHeader = fc.constantFrom<[string, string]>(
  ['x-a', '1'],
  ['x-a', 'a'],
  ['x-a', 'aab'],
  ['x-a', ''],
  ['x-b', '1'],
  ['x-b', 'ab'],
  ['x-t-a', 'own'],
  ['x-forwarded-proto', 'https'],
  ['origin', 'http://a.test'],
  ['origin', 'https://b.test'],
  ['access-control-request-method', 'GET'],
);
const header = fc.oneof({ weight: 2, arbitrary: playedHeader }, { weight: 1, arbitrary: sentHeader });
const http = fc.record({
  method: fc.oneof(
    { weight: 8, arbitrary: fc.constant('GET') },
    { weight: 2, arbitrary: fc.constantFrom('POST', 'HEAD', 'OPTIONS', 'OPTIONS', 'get', 'PUT') },
  ),
  authority,
  path,
  headers: fc.array(header, { maxLength: 4 }),
  version: fc.oneof(
    { weight: 12, arbitrary: fc.constant('1.1' as const) },
    { weight: 4, arbitrary: fc.constantFrom('1.0' as const, '2' as const, '2' as const, '2' as const) },
  ),
});
const tls = fc.record({
  serverName: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<string>(...HOSTS) },
    { weight: 1, arbitrary: fc.constantFrom('', 'WWW.example.com', 'a.b.example.com', 'example.com', 'outbound_.443_._.www.example.com') },
  ),
  alpn: fc.constantFrom<string[]>([], ['http/1.1'], ['h2', 'http/1.1'], ['other']),
  certificate: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

export const sketches: Arbitrary<Sketch> = fc
  .record({
    from: fc.oneof(
      { weight: 8, arbitrary: fc.constant('sleep' as const) },
      { weight: 3, arbitrary: fc.constantFrom('other' as const, 'plain' as const) },
    ),
    to,
    port: fc.oneof(
      { weight: 6, arbitrary: fc.constant(0) },
      { weight: 3, arbitrary: fc.constant(80) },
      { weight: 3, arbitrary: fc.constantFrom(443, 443, 6379, 8080, 8443, 9000, 8000, 9080) },
    ),
    tls: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: tls }),
    http: fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 6, arbitrary: http }),
    /** How often a call names the host that it looked up. */
    same: fc.oneof({ weight: 1, arbitrary: fc.constant(false) }, { weight: 3, arbitrary: fc.constant(true) }),
  })
  .map(({ same, ...sketch }) => {
    if (!same || !/[a-z@]/.test(sketch.to)) return sketch;
    const { to, tls, http } = sketch;
    return { ...sketch, tls: tls && { ...tls, serverName: to }, http: http && { ...http, authority: to } };
  })
  .map((sketch) => {
    const { http, tls } = sketch;
    // HTTP/2 goes where the client says so in ALPN; names are what its library can send.
    if (http?.version !== '2') return sketch;
    const valid = /^\//.test(http.path) && !/[#\\]/.test(http.path) && http.authority !== '';
    const version = valid ? http.version : ('1.1' as const);
    const fitting = version === '2' ? http.headers.filter(fitsHttp2) : http.headers;
    // Where it comes there as it is a server of HTTP/2 refuses a length that comes twice, which is no proxy's affair.
    const headers = fitting.filter(([name], i) => name !== 'content-length' || fitting.findIndex((other) => other[0] === name) === i);
    return { ...sketch, http: { ...http, version, headers }, tls: tls && { ...tls, alpn: version === '2' ? ['h2'] : tls.alpn } };
  });

/** What a configuration declares: where calls are drawn from. */
export interface Declared {
  /** Names of ServiceEntries and VirtualServices; of a wildcard one name. */
  readonly names: readonly string[];
  readonly ports: readonly { readonly number: number; readonly protocol: string }[];
}

export function declaredBy(documents: readonly object[]): Declared {
  const specs = (documents as { kind: string; spec: { hosts?: string[]; ports?: Declared['ports'] } }[]).filter(({ kind }) =>
    ['ServiceEntry', 'VirtualService'].includes(kind),
  );
  const names = specs.flatMap(({ spec }) => spec.hosts ?? []).map((host) => host.replace(/^\*/, 'x'));
  const ports = specs.flatMap(({ spec }) => spec.ports ?? []);
  return {
    names: names.length > 0 ? names : ['www.example.com'],
    ports: ports.length > 0 ? ports : [{ number: 80, protocol: 'HTTP' }],
  };
}

/** A port for calls of this kind, if one is declared. */
function portFor({ tls, http, to }: Sketch, { ports }: Declared): number {
  const fits = tls ? /TLS|HTTPS|TCP/ : http ? /HTTP$|HTTP2|GRPC/ : /TCP/;
  const fitting = ports.filter(({ protocol }) => fits.test(protocol));
  const n = /^@/.test(to) ? Number(to.slice(1)) : 0;
  return fitting[n % fitting.length]?.number ?? (tls ? 443 : 80);
}

/** The call that a sketch stands for; `lookup` gives the addresses of a name. Undefined where a name has none. */
export function callOf(
  sketch: Sketch,
  declared: Declared,
  lookup: (name: string, pod: Pod) => readonly string[],
): { pod: Pod; call: Call } | undefined {
  const pod = PODS.find(({ name }) => name === sketch.from)!;
  const toGateway = sketch.from === 'plain' && !sketch.direct;
  const gateway = PODS.find(({ name }) => name === 'egress')!;
  const named = (text: string) => text.replace(/^@(\d+)$/, (_, n: string) => declared.names[Number(n) % declared.names.length]!);
  const to = named(sketch.to);
  const ip = toGateway ? gateway.ip : /^[\d.]+$/.test(to) ? to : lookup(to, pod)[0];
  if (ip === undefined) return undefined;
  const asked = sketch.port === 0 ? portFor(sketch, declared) : sketch.port;
  const port = toGateway ? ({ 80: 8080, 443: 8443 }[asked] ?? asked) : asked;
  const { http, tls } = sketch;
  return {
    pod,
    call: {
      source: { ip: pod.ip, port: 0 },
      destination: { ip, port },
      payload: {
        tls: tls && { certificate: false, ...tls, serverName: named(tls.serverName) },
        http: http && { ...http, scheme: 'http', authority: named(http.authority), headers: new HeaderMap(http.headers.flat()) },
      },
    },
  };
}
