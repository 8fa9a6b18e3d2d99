/** Generators of calls from the boundaries of a configuration: its hosts, ports, addresses, paths and headers, and what lies just beside them. */
import fc, { type Arbitrary } from 'fast-check';
import type { Call, HttpRequest } from '../../src/simulate/call.ts';
import { HeaderMap } from '../../src/xds/match/headers.ts';
import { PODS, type Pod } from '../calls/loopback/topology.ts';

/** A call before it is known which addresses the configuration gives to names. */
export interface Sketch {
  readonly from: 'sleep' | 'other' | 'plain';
  /** A name that is looked up in the proxy's name table, or else in DNS, or an address. */
  readonly to: string;
  readonly port: number;
  readonly tls: { readonly serverName: string; readonly alpn: readonly string[] } | undefined;
  readonly http:
    | {
        readonly method: string;
        readonly authority: string;
        readonly path: string;
        readonly headers: readonly (readonly [string, string])[];
        readonly version: HttpRequest['version'];
      }
    | undefined;
}

const HOSTS = ['www.example.com', 'api.example.com', 'x.example.com', 'www.example.org', 'redis.example.com', 'undeclared.test'] as const;

const to = fc.oneof(
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
const header = fc.constantFrom<[string, string]>(
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
const http = fc.record({
  method: fc.oneof(
    { weight: 8, arbitrary: fc.constant('GET') },
    { weight: 2, arbitrary: fc.constantFrom('POST', 'HEAD', 'OPTIONS', 'OPTIONS', 'get', 'PUT') },
  ),
  authority,
  path,
  headers: fc.array(header, { maxLength: 3 }),
  version: fc.oneof(
    { weight: 12, arbitrary: fc.constant('1.1' as const) },
    { weight: 1, arbitrary: fc.constantFrom('1.0' as const, '2' as const) },
  ),
});
const tls = fc.record({
  serverName: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<string>(...HOSTS) },
    { weight: 1, arbitrary: fc.constantFrom('', 'WWW.example.com', 'a.b.example.com', 'example.com', 'outbound_.443_._.www.example.com') },
  ),
  alpn: fc.constantFrom<string[]>([], ['http/1.1'], ['h2', 'http/1.1'], ['other']),
});

export const sketches: Arbitrary<Sketch> = fc
  .record({
    from: fc.oneof(
      { weight: 6, arbitrary: fc.constant('sleep' as const) },
      { weight: 3, arbitrary: fc.constantFrom('other' as const, 'plain' as const) },
    ),
    to,
    port: fc.oneof(
      { weight: 7, arbitrary: fc.constant(80) },
      { weight: 4, arbitrary: fc.constantFrom(443, 443, 6379, 8080, 8443, 9000, 8000) },
    ),
    tls: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: tls }),
    http: fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 6, arbitrary: http }),
    /** How often a call names the host that it looked up. */
    same: fc.oneof({ weight: 1, arbitrary: fc.constant(false) }, { weight: 3, arbitrary: fc.constant(true) }),
  })
  .map(({ same, ...sketch }) => {
    if (!same || !/[a-z]/.test(sketch.to)) return sketch;
    const { to, tls, http } = sketch;
    return { ...sketch, tls: tls && { ...tls, serverName: to }, http: http && { ...http, authority: to } };
  })
  .map((sketch) => {
    const { http, tls } = sketch;
    // HTTP/2 goes where the client says so in ALPN; names are what its library can send.
    if (http?.version !== '2') return sketch;
    const valid = /^\//.test(http.path) && !/[#\\]/.test(http.path) && http.authority !== '';
    const version = valid ? http.version : ('1.1' as const);
    return { ...sketch, http: { ...http, version }, tls: tls && { ...tls, alpn: version === '2' ? ['h2'] : tls.alpn } };
  });

/** The call that a sketch stands for; `lookup` gives the addresses of a name. */
export function callOf(sketch: Sketch, lookup: (name: string, pod: Pod) => readonly string[]): { pod: Pod; call: Call } | undefined {
  const pod = PODS.find(({ name }) => name === sketch.from)!;
  // Without a sidecar only the gateway is of interest.
  const gateway = PODS.find(({ name }) => name === 'egress')!;
  const ip = sketch.from === 'plain' ? gateway.ip : /^[\d.]+$/.test(sketch.to) ? sketch.to : lookup(sketch.to, pod)[0];
  if (ip === undefined) return undefined;
  const port = sketch.from === 'plain' ? ({ 80: 8080, 443: 8443 }[sketch.port] ?? sketch.port) : sketch.port;
  const { http } = sketch;
  return {
    pod,
    call: {
      source: { ip: pod.ip, port: 0 },
      destination: { ip, port },
      payload: { tls: sketch.tls, http: http && { ...http, headers: new HeaderMap(http.headers.flat()) } },
    },
  };
}
