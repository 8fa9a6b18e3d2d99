/** Disagreements that generated pairs showed, each as small as may be, with the outcome that is right. */
import type { Sketch } from './calls.ts';

export interface Found {
  readonly name: string;
  readonly mode?: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  readonly config: readonly string[];
  readonly call: Partial<Sketch> & Pick<Sketch, 'to' | 'port'>;
  /** The proxies with their clusters, and how the call ends. */
  readonly expect: string;
}

const document = (kind: string, name: string, spec: string, namespace = 'default') =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: ${spec}\n`;

const HTTP = '{ number: 80, name: http, protocol: HTTP }';
const TLS = '{ number: 443, name: tls, protocol: TLS }';
const entry = (host: string, ports: string, more = 'resolution: DNS') =>
  document('ServiceEntry', 'entry', `{ hosts: ['${host}'], location: MESH_EXTERNAL, ports: [${ports}], ${more} }`);
const routes = (http: string, more = '') => document('VirtualService', 'routes', `{ hosts: [www.example.com], http: [${http}]${more} }`);
const tlsRule = (tls: string) => document('DestinationRule', 'rule', `{ host: www.example.com, trafficPolicy: { tls: { ${tls} } } }`);

const www = 'www.example.com';
const get = (more: Partial<NonNullable<Sketch['http']>> = {}): Sketch['http'] => ({
  method: 'GET',
  authority: www,
  path: '/',
  headers: [],
  version: '1.1',
  ...more,
});
const toWww = (http: Sketch['http'], port = 80) => ({ to: www, port, http });
const WWW = entry(www, HTTP);
const TO_WWW = 'route: [{ destination: { host: www.example.com, port: { number: 80 } } }]';
const GATEWAY = document(
  'Gateway',
  'egress',
  '{ selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [www.example.com] }] }',
);

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';
const THROUGH_GATEWAY = document(
  'VirtualService',
  'routes',
  `{ hosts: [www.example.com], gateways: [mesh, egress], http: [
    { match: [{ gateways: [mesh] }], route: [{ destination: { host: ${EGRESS}, port: { number: 80 } } }] },
    { match: [{ gateways: [egress] }], route: [{ destination: { host: www.example.com } }] }] }`,
);

/** The gateway answers `status` to requests of this match, and sends on the others. */
const gatewayAnswers = (match: string, status: number) =>
  document(
    'VirtualService',
    'routes',
    `{ hosts: [www.example.com], gateways: [mesh, egress], http: [
    { match: [{ gateways: [mesh] }], route: [{ destination: { host: ${EGRESS}, port: { number: 80 } } }] },
    { match: [{ gateways: [egress], ${match} }], directResponse: { status: ${status} } },
    { match: [{ gateways: [egress] }], route: [{ destination: { host: www.example.com } }] }] }`,
  );

export const FOUND: readonly Found[] = [
  {
    name: 'a gateway sees the request id that the proxy before it made',
    config: [WWW, GATEWAY, gatewayAnswers('headers: { x-request-id: { regex: .+ } }', 418)],
    call: toWww(get()),
    expect: `sleep outbound|80||${EGRESS} > egress: 418`,
  },
  {
    name: 'a fault that always fires answers by itself',
    config: [WWW, routes(`{ fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }, ${TO_WWW} }`)],
    call: toWww(get()),
    expect: 'sleep outbound|80||www.example.com: 418',
  },
  {
    name: 'header operations of route and destination reach the server, in this order',
    config: [
      WWW,
      routes(
        '{ headers: { request: { add: { x-t-a: route }, remove: [x-a] } }, route: [{ destination: { host: www.example.com }, headers: { request: { set: { x-t-a: destination, x-t-b: "%REQ(x-b)%" } } } }] }',
      ),
    ],
    call: toWww(
      get({
        headers: [
          ['x-a', '1'],
          ['x-b', '2'],
        ],
      }),
    ),
    expect: 'sleep outbound|80||www.example.com: GET www.example.com / [x-b=2 x-t-a=destination x-t-a=route x-t-b=2]',
  },
  {
    name: 'a format sees no header that the same operation removes',
    config: [WWW, routes(`{ headers: { request: { set: { x-t-a: '%REQ(x-a)%' }, remove: [x-a] } }, ${TO_WWW} }`)],
    call: toWww(get({ headers: [['x-a', '1']] })),
    expect: 'sleep outbound|80||www.example.com: GET www.example.com / []',
  },
  {
    name: 'a header operation on Host goes before the cluster names the server',
    config: [WWW, routes(`{ headers: { request: { set: { host: api.example.com } } }, ${TO_WWW} }`)],
    call: toWww(get()),
    expect: 'sleep outbound|80||www.example.com: GET api.example.com / []',
  },
  {
    name: 'the absolute form replaces Host',
    config: [WWW],
    call: toWww(get({ authority: 'undeclared.test', path: 'http://www.example.com/a' })),
    expect: 'sleep outbound|80||www.example.com: GET www.example.com /a []',
  },
  { name: 'without a Host', config: [WWW], call: toWww(get({ authority: '' })), expect: 'sleep: 400' },
  {
    name: 'a length that comes twice breaks a rule of HTTP/2',
    config: [WWW],
    call: toWww(
      get({
        version: '2',
        headers: [
          ['content-length', '0'],
          ['content-length', '0'],
        ],
      }),
    ),
    expect: 'sleep: closed',
  },
  {
    name: 'gRPC without a Host has its refusal in a status of its own',
    config: [WWW],
    call: toWww(get({ authority: '', headers: [['content-type', 'application/grpc']] })),
    expect: 'sleep: 200',
  },
  { name: 'with an empty Host', config: [WWW], call: toWww(get({ authority: '', emptyHost: true })), expect: 'sleep: 502' },
  { name: 'an asterisk is a target of OPTIONS alone', config: [WWW], call: toWww(get({ path: '*' })), expect: 'sleep: 400' },
  { name: 'a target that is no path', config: [WWW], call: toWww(get({ method: 'OPTIONS', path: '*' })), expect: 'sleep: 404' },
  {
    name: 'an undeclared host has no flag in the log',
    config: [WWW],
    call: toWww(get({ authority: 'undeclared.test' })),
    expect: 'sleep: 502',
  },
  {
    name: 'bytes are answered 400 where a gateway expects HTTP',
    config: [GATEWAY],
    call: { from: 'plain', to: www, port: 80 },
    expect: 'egress: 400',
  },
  {
    name: 'HTTP/1.0 at a gateway',
    config: [GATEWAY],
    call: { from: 'plain', ...toWww(get({ version: '1.0' })) },
    expect: 'egress: 426',
  },
  {
    name: "a scheme that the client's x-forwarded-proto tells",
    config: [WWW, routes(`{ match: [{ scheme: { exact: https } }], directResponse: { status: 403 } }, { ${TO_WWW} }`)],
    call: toWww(get({ headers: [['x-forwarded-proto', 'https']] })),
    expect: 'sleep: 403',
  },
  {
    name: 'without a name resolution the target port is another than the dialled one',
    config: [entry(www, '{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }', 'resolution: NONE')],
    call: { to: '198.51.100.10', port: 80, http: get() },
    expect: 'sleep outbound|80||www.example.com: GET www.example.com / []',
  },
  {
    name: 'what resolves the name that a request brings takes port 80 where the name has none',
    config: [
      entry(
        '*.example.com',
        '{ number: 443, name: http, protocol: HTTP }, { number: 80, name: plain, protocol: HTTP }',
        'resolution: DYNAMIC_DNS',
      ),
    ],
    call: { to: '198.51.100.10', port: 443, http: get({ authority: 'api.example.com' }) },
    expect: 'sleep outbound|443||*.example.com: GET api.example.com / []',
  },
  {
    name: 'and refuses it if that is not declared',
    config: [entry('*.example.com', '{ number: 443, name: http, protocol: HTTP }', 'resolution: DYNAMIC_DNS')],
    call: { to: '198.51.100.10', port: 443, http: get({ authority: 'api.example.com' }) },
    expect: 'sleep outbound|443||*.example.com: 503',
  },
  {
    name: 'a port that a request names must be declared where its name is resolved',
    config: [entry('*.example.com', '{ number: 80, name: http, protocol: HTTP }', 'resolution: DYNAMIC_DNS')],
    call: { to: '198.51.100.10', port: 80, http: get({ authority: 'api.example.com:22' }) },
    expect: 'sleep: 404',
  },
  {
    name: "a Service's own address leads to its gateway, where the sidecar's scope hides the Service",
    mode: 'ALLOW_ANY',
    config: [document('Sidecar', 'scope', "{ egress: [{ hosts: ['./*'] }] }"), GATEWAY],
    call: { to: '10.96.3.10', port: 80, http: get() },
    expect: 'sleep PassthroughCluster > egress: 404',
  },
  {
    name: 'TLS without SNI verifies no name where no HTTP is spoken',
    config: [entry(www, '{ number: 6379, name: tcp, protocol: TCP }', 'resolution: NONE'), tlsRule('mode: SIMPLE')],
    call: { to: '198.51.100.10', port: 6379 },
    expect: 'sleep outbound|6379||www.example.com: bytes in TLS',
  },
  {
    name: "TLS of a proxy around the application's own is answered by nobody",
    config: [entry(www, TLS), tlsRule('mode: SIMPLE, sni: www.example.com')],
    call: { to: www, port: 443, tls: { serverName: www, alpn: [] }, http: get() },
    expect: 'sleep outbound|443||www.example.com: bytes in TLS with SNI www.example.com',
  },
  {
    name: 'two TLS routes that have an SNI in common: the first takes it, and the listener is not refused',
    config: [
      entry(www, TLS),
      document(
        'VirtualService',
        'routes',
        `{ hosts: [www.example.com, api.example.com], tls: [
          { match: [{ sniHosts: [www.example.com, api.example.com] }], route: [{ destination: { host: www.example.com } }] },
          { match: [{ sniHosts: [api.example.com] }], route: [{ destination: { host: undeclared.test } }] }] }`,
      ),
    ],
    call: { to: www, port: 443, tls: { serverName: 'api.example.com', alpn: [] } },
    expect: 'sleep outbound|443||www.example.com: bytes in TLS with SNI api.example.com',
  },
  {
    name: 'a TCP route to what does not exist names no cluster in the log',
    config: [
      entry(www, '{ number: 6379, name: tcp, protocol: TCP }'),
      document('VirtualService', 'routes', '{ hosts: [www.example.com], tcp: [{ route: [{ destination: { host: undeclared.test } }] }] }'),
    ],
    call: { to: www, port: 6379 },
    expect: 'sleep: closed',
  },
  {
    name: 'a field that should stand once, but is repeated, passes HTTP/2 between the proxies',
    config: [WWW, GATEWAY, THROUGH_GATEWAY],
    call: toWww(
      get({
        headers: [
          ['access-control-request-method', 'GET'],
          ['access-control-request-method', 'POST'],
        ],
      }),
    ),
    expect: `sleep outbound|80||${EGRESS} > egress outbound|80||www.example.com: GET www.example.com / []`,
  },
  {
    name: 'a preflight is answered by the CORS policy',
    config: [WWW, routes(`{ corsPolicy: { allowOrigins: [{ exact: 'http://a.test' }], allowMethods: [GET] }, ${TO_WWW} }`)],
    call: toWww(
      get({
        method: 'OPTIONS',
        headers: [
          ['origin', 'http://a.test'],
          ['access-control-request-method', 'GET'],
        ],
      }),
    ),
    expect: 'sleep outbound|80||www.example.com: 200',
  },
  {
    name: 'a wildcard host inside the mesh leaves an AUTO_PASSTHROUGH gateway its listener',
    config: [
      document('ServiceEntry', 'wild', `{ hosts: ['*.example.com'], location: MESH_INTERNAL, ports: [${HTTP}], resolution: NONE }`),
      document(
        'Gateway',
        'auto',
        `{ selector: { istio: egressgateway }, servers: [
          { port: { number: 443, name: auto, protocol: TLS }, tls: { mode: AUTO_PASSTHROUGH }, hosts: ['*.local', '*.com'] },
          { port: { number: 443, name: tls, protocol: TLS }, tls: { mode: PASSTHROUGH }, hosts: [www.example.com] }] }`,
      ),
      entry(www, TLS),
      document(
        'VirtualService',
        'tls',
        '{ hosts: [www.example.com], gateways: [auto], tls: [{ match: [{ sniHosts: [www.example.com] }], route: [{ destination: { host: www.example.com } }] }] }',
      ),
    ],
    call: { from: 'plain', to: www, port: 443, tls: { serverName: www, alpn: [] } },
    expect: 'egress outbound|443||www.example.com: bytes in TLS with SNI www.example.com',
  },
  {
    name: 'what came over HTTP/2 goes on over HTTP/1 where the cluster speaks that, and is refused there for its method',
    config: [
      WWW,
      routes('{ route: [{ destination: { host: httpbin.default.svc.cluster.local, port: { number: 8000 }, subset: v1 } }] }'),
      document(
        'DestinationRule',
        'httpbin',
        '{ host: httpbin.default.svc.cluster.local, subsets: [{ name: v1, labels: { version: v1 } }] }',
      ),
    ],
    call: toWww(get({ method: 'get', version: '2' })),
    expect: 'sleep outbound|8000|v1|httpbin.default.svc.cluster.local > httpbin: 400',
  },
  {
    name: 'a scheme told twice is none, and the connection has the word',
    config: [WWW, routes(`{ match: [{ scheme: { exact: https } }], directResponse: { status: 403 } }, { ${TO_WWW} }`)],
    call: toWww(
      get({
        headers: [
          ['x-forwarded-proto', 'https'],
          ['x-forwarded-proto', 'https'],
        ],
      }),
    ),
    expect: 'sleep outbound|80||www.example.com: GET www.example.com / []',
  },
  {
    name: 'a WorkloadEntry is a server, and has no proxy',
    config: [
      entry(www, HTTP, 'resolution: STATIC, workloadSelector: { labels: { app: entry } }'),
      document('WorkloadEntry', 'machine', '{ address: 198.51.100.10, labels: { app: entry } }'),
    ],
    call: toWww(get()),
    expect: 'sleep outbound|80||www.example.com: GET www.example.com / []',
  },
  {
    name: "what the status is in a format: a proxy's own answer has none yet, one that it passes on has",
    config: [
      WWW,
      GATEWAY,
      document(
        'VirtualService',
        'routes',
        `{ hosts: [www.example.com], gateways: [mesh, egress], http: [
          { match: [{ gateways: [mesh] }], headers: { response: { add: { x-r-b: '%RESPONSE_CODE%' } } }, route: [{ destination: { host: ${EGRESS}, port: { number: 80 } } }] },
          { match: [{ gateways: [egress] }], headers: { response: { set: { x-r-a: '%RESPONSE_CODE%' } } }, directResponse: { status: 403 } }] }`,
      ),
    ],
    call: toWww(get()),
    expect: `sleep outbound|80||${EGRESS} > egress: 403`,
  },
  {
    name: 'a scheme that HTTP/2 brings to a gateway, which tells the client by its own connection what it used',
    config: [
      WWW,
      document(
        'Gateway',
        'egress',
        '{ selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, tls: { httpsRedirect: true }, hosts: [www.example.com] }] }',
      ),
      THROUGH_GATEWAY,
    ],
    call: toWww(get({ headers: [['x-forwarded-proto', 'https']] })),
    expect: `sleep outbound|80||${EGRESS} > egress: 301`,
  },
  {
    name: 'a route at the gateway that asks for the scheme that HTTP/2 names',
    config: [
      WWW,
      GATEWAY,
      document(
        'VirtualService',
        'routes',
        `{ hosts: [www.example.com], gateways: [mesh, egress], http: [
          { match: [{ gateways: [mesh] }], route: [{ destination: { host: ${EGRESS}, port: { number: 80 } } }] },
          { match: [{ gateways: [egress], scheme: { exact: https } }], directResponse: { status: 403 } }] }`,
      ),
    ],
    call: toWww(get({ headers: [['x-forwarded-proto', 'https']] })),
    expect: `sleep outbound|80||${EGRESS} > egress: 403`,
  },
  {
    name: 'a format in a response sees the request as it was sent on',
    config: [WWW, routes(`{ headers: { request: { remove: [x-a] }, response: { add: { x-r-b: '%REQ(x-a)%-' } } }, ${TO_WWW} }`)],
    call: toWww(get({ headers: [['x-a', '1']] })),
    expect: 'sleep outbound|80||www.example.com: GET www.example.com / []',
  },
  {
    name: 'a format in a response sees the request as it came where there is no cluster to send it to',
    config: [
      WWW,
      routes(
        `{ headers: { request: { remove: [x-a] }, response: { add: { x-r-b: '%REQ(x-a)%-' } } }, route: [{ destination: { host: undeclared.example.com, port: { number: 80 } } }] }`,
      ),
    ],
    call: toWww(get({ headers: [['x-a', '1']] })),
    expect: 'sleep: 503',
  },
];
