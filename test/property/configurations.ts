/** Generators of small configurations whose objects have much to do with one another: few hosts, ports, namespaces and gateways. */
import fc, { type Arbitrary } from 'fast-check';
import { maybe, resources, some, weighted } from './generators.ts';
import { policy, workloadEntries } from './policies.ts';
import { proxyHeaderMatch, proxyHeaderOperations } from './proxy-headers.ts';

export interface Configuration {
  /** Laid over MeshConfig. */
  readonly mesh: Readonly<Record<string, unknown>>;
  /** Oldest first. */
  readonly documents: readonly object[];
}

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';
const HTTPBIN = 'httpbin.default.svc.cluster.local';

const host = weighted(
  [9, 'www.example.com'],
  [3, 'api.example.com'],
  [3, '*.example.com'],
  [2, 'www.example.org'],
  [1, '*.example.org'],
  [2, 'redis.example.com'],
  [1, '*.com'],
);
const namespace = weighted([8, 'default'], [2, 'istio-system'], [2, 'other']);
const exportTo = maybe(fc.constantFrom(['.'], ['*'], ['default'], ['istio-system', 'default']), 0);
const gatewayNames = weighted([5, 'egress'], [1, 'istio-system/egress'], [1, 'default/egress'], [1, 'other-gateway']);

// --- ServiceEntry

const entryPort = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      { number: 80, name: 'http', protocol: 'HTTP' },
      { number: 443, name: 'tls', protocol: 'TLS' },
      { number: 443, name: 'https', protocol: 'HTTPS' },
      { number: 6379, name: 'tcp', protocol: 'TCP' },
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      { number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 },
      { number: 80, name: 'http', protocol: 'HTTP', targetPort: 443 },
      { number: 8080, name: 'http-alt', protocol: 'HTTP' },
      { number: 80, name: 'tcp-80', protocol: 'TCP' },
      { number: 443, name: 'tcp-443', protocol: 'TCP' },
      { number: 443, name: 'http-443', protocol: 'HTTP' },
      { number: 8443, name: 'tls-alt', protocol: 'TLS' },
      { number: 9000, name: 'grpc', protocol: 'GRPC' },
      { number: 8080, name: 'http2', protocol: 'HTTP2' },
    ),
  },
);

const ADDRESSES = ['198.51.100.10', '198.51.100.0/24', '198.51.0.0/16', '203.0.113.6', '10.1.2.3', '240.240.77.1'];
const endpoint = fc
  .record({
    address: fc.constantFrom('198.51.100.10', '198.51.100.11', '203.0.113.6', '198.51.100.77'),
    labels: maybe(fc.constantFrom({ version: 'v1' }, { version: 'v2' })),
    ports: maybe(fc.constantFrom({ http: 8080 }, { tls: 8443 }, { tcp: 9000 }), 1),
  })
  .map(some);
const namedEndpoint = fc
  .record({
    address: fc.constantFrom('api.example.com', 'www.example.com', '198.51.100.11', 'missing.invalid'),
    labels: maybe(fc.constantFrom({ version: 'v1' }, { version: 'v2' })),
  })
  .map(some);

const serviceEntry = fc
  .record({
    namespace,
    hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }),
    ports: fc.uniqueArray(entryPort, { minLength: 1, maxLength: 3, selector: ({ number }) => number }),
    resolution: weighted([5, 'DNS'], [3, 'NONE'], [3, 'STATIC'], [1, 'DNS_ROUND_ROBIN'], [2, 'DYNAMIC_DNS']),
    addresses: fc.uniqueArray(fc.constantFrom(...ADDRESSES), { maxLength: 2 }),
    fixed: fc.array(endpoint, { minLength: 1, maxLength: 2 }),
    named: fc.array(namedEndpoint, { maxLength: 2 }),
    location: weighted([4, 'MESH_EXTERNAL'], [1, 'MESH_INTERNAL']),
    selects: weighted([5, false], [1, true]),
    exportTo,
  })
  .map(({ namespace, fixed, named, hosts, addresses, selects, ...spec }) => {
    const wild = hosts.some((name) => name.startsWith('*'));
    // What validation refuses is of no interest here.
    const resolution =
      wild && spec.resolution !== 'NONE' && spec.resolution !== 'STATIC'
        ? spec.resolution === 'DYNAMIC_DNS'
          ? 'DYNAMIC_DNS'
          : 'NONE'
        : spec.resolution;
    const isRange = (address: string) => address.includes('/');
    const allowed =
      resolution === 'DYNAMIC_DNS' ? [] : resolution === 'NONE' ? addresses : addresses.filter((address) => !isRange(address));
    const endpoints =
      resolution === 'STATIC'
        ? fixed
        : resolution.startsWith('DNS') && named.length > 0
          ? named.slice(0, resolution === 'DNS_ROUND_ROBIN' ? 1 : 2)
          : undefined;
    const usable = resolution === 'DYNAMIC_DNS' ? hosts.filter((name) => name.startsWith('*')) : hosts;
    return {
      namespace,
      spec: some({
        ...spec,
        hosts: usable.length > 0 ? usable : ['*.example.com'],
        resolution,
        ...(allowed.length > 0 ? { addresses: allowed } : {}),
        ...(selects && resolution === 'STATIC' ? { workloadSelector: { labels: { app: 'entry' } } } : { endpoints }),
      }),
    };
  });

// --- VirtualService

const headerMatch = fc.constantFrom<object>({ exact: '1' }, { prefix: 'a' }, { regex: 'a+b?' }, { exact: '' }, {});
const uriMatch = fc.constantFrom<object>(
  { exact: '/' },
  { exact: '/a' },
  { prefix: '/a' },
  { prefix: '/a/' },
  { prefix: '/' },
  { regex: '/a.*' },
  { regex: '/[ab]/\\d+' },
);
const httpMatch = fc
  .record({
    uri: maybe(uriMatch, 2),
    ignoreUriCase: maybe(fc.constant(true), 1),
    headers: maybe(
      fc.oneof(
        fc.dictionary(fc.constantFrom('x-a', 'x-b'), headerMatch, { minKeys: 1, maxKeys: 2, noNullPrototype: true }),
        proxyHeaderMatch,
      ),
      1,
    ),
    withoutHeaders: maybe(fc.oneof(fc.constantFrom<object>({ 'x-a': { exact: '1' } }, { 'x-b': {} }), proxyHeaderMatch), 0),
    method: maybe(fc.constantFrom<object>({ exact: 'POST' }, { exact: 'GET' }, { prefix: 'P' }, { regex: 'GET|HEAD' }), 0),
    authority: maybe(
      fc.constantFrom<object>({ exact: 'www.example.com' }, { prefix: 'www' }, { exact: 'WWW.example.com' }, { regex: '.*\\.com' }),
      0,
    ),
    scheme: maybe(fc.constantFrom<object>({ exact: 'http' }, { exact: 'https' }), 0),
    queryParams: maybe(fc.constantFrom<object>({ q: { exact: '1' } }, { q: { regex: '\\d+' } }, { q: {} }), 0),
    port: maybe(fc.constantFrom(80, 443, 8080), 0),
    gateways: maybe(
      fc.oneof(
        fc.constant(['mesh']),
        gatewayNames.map((name) => [name]),
      ),
      1,
    ),
    sourceLabels: maybe(fc.constantFrom<object>({ app: 'sleep' }, { app: 'other' }), 0),
    sourceNamespace: maybe(fc.constantFrom('default', 'other'), 0),
  })
  .map(some)
  .map((match) => (match.ignoreUriCase && match.uri && 'regex' in match.uri ? { ...match, ignoreUriCase: undefined } : match))
  .map(some);

const destination = fc
  .record({
    host: weighted(
      [3, EGRESS],
      [7, 'www.example.com'],
      [3, 'api.example.com'],
      [1, HTTPBIN],
      [1, 'httpbin'],
      [1, 'redis.example.com'],
      [1, 'undeclared.example.com'],
    ),
    port: maybe(
      weighted([7, 80], [2, 443], [1, 6379], [1, 8000]).map((number) => ({ number })),
      4,
    ),
    subset: maybe(fc.constantFrom('v1', 'v2', 'missing'), 0),
  })
  .map(({ host, port, subset }) => some({ host, subset, port: host === HTTPBIN || host === 'httpbin' ? { number: 8000 } : port }));

const operations = fc
  .record({
    set: maybe(
      fc.constantFrom<object>(
        { 'x-t-a': 'set' },
        { 'x-t-a': '%REQ(x-a)%' },
        { host: 'api.example.com' },
        { ':authority': 'www.example.org' },
      ),
      1,
    ),
    add: maybe(fc.constantFrom<object>({ 'x-t-a': 'added' }, { 'x-t-b': 'added' }), 1),
    remove: maybe(fc.constantFrom(['x-a'], ['x-t-a', 'x-b']), 1),
  })
  .map(some);
const responseOperations = fc
  .record({
    set: maybe(fc.constantFrom<object>({ 'x-r-a': 'set' }, { 'x-r-a': '%RESPONSE_CODE%' }, { 'X-R-S': '' }), 1),
    add: maybe(fc.constantFrom<object>({ 'x-r-a': 'added' }, { 'x-r-b': '%REQ(x-a)%-' }), 1),
    remove: maybe(fc.constantFrom(['x-r-s'], ['x-r-a', 'x-r-b']), 1),
  })
  .map(some);
const headers = fc
  .record({
    request: maybe(fc.oneof({ weight: 3, arbitrary: operations }, { weight: 1, arbitrary: proxyHeaderOperations }), 3),
    response: maybe(responseOperations, 1),
  })
  .map(some);

const routed = fc
  .array(fc.record({ destination, headers: maybe(headers, 0) }).map(some), { minLength: 1, maxLength: 2 })
  .chain((route) =>
    route.length === 1
      ? fc.constant(route)
      : fc.constantFrom([0, 100], [100, 0], [50, 50]).map((weights) => route.map((entry, i) => ({ ...entry, weight: weights[i]! }))),
  );
const rewrite = fc.constantFrom<object>(
  { uri: '/' },
  { uri: '/new' },
  { uri: '/new/' },
  { authority: 'api.example.com' },
  { uri: '/x', authority: 'www.example.org' },
  { uriRegexRewrite: { match: '/(.)', rewrite: '/r-\\1' } },
);
const fault = fc.constantFrom<object>(
  { abort: { httpStatus: 418, percentage: { value: 100 } } },
  { abort: { httpStatus: 503, percentage: { value: 0 } } },
  { abort: { httpStatus: 503 } },
  { abort: { httpStatus: 404, percentage: { value: 50 } } },
  { delay: { fixedDelay: '1ms', percentage: { value: 100 } } },
  { delay: { fixedDelay: '1ms', percentage: { value: 50 } }, abort: { httpStatus: 429, percentage: { value: 100 } } },
);
const corsPolicy = fc.constantFrom<object>(
  { allowOrigins: [{ exact: 'http://a.test' }], allowMethods: ['GET'], exposeHeaders: ['x-r-a'], allowCredentials: true },
  { allowOrigins: [{ prefix: 'http://' }], unmatchedPreflights: 'IGNORE' },
  { allowOrigins: [{ regex: '.*b.*' }], unmatchedPreflights: 'FORWARD' },
);
const redirect = fc.constantFrom<object>(
  { uri: '/moved' },
  { authority: 'api.example.com' },
  { uri: '/m?y=1', redirectCode: 302 },
  { scheme: 'https', redirectCode: 308 },
  { port: 8080 },
  { derivePort: 'FROM_REQUEST_PORT', uri: '/moved' },
  { authority: 'api.example.com:8080', scheme: 'https' },
);
/** What changes nothing of where a call goes. */
const besides = fc.constantFrom<object>(
  { mirror: { host: 'api.example.com', port: { number: 80 } } },
  {
    mirrors: [
      { destination: { host: 'www.example.com' }, percentage: { value: 50 } },
      { destination: { host: EGRESS, port: { number: 80 } } },
    ],
  },
  { retries: { attempts: 0 } },
  { retries: { attempts: 2, retryOn: 'connect-failure,5xx', perTryTimeout: '3s' } },
  { timeout: '5s' },
  { name: 'named' },
);
const directResponse = fc.constantFrom<object>({ status: 403 }, { status: 200, body: { string: 'hello' } });

const httpAction: Arbitrary<object> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .record({
        route: routed,
        rewrite: maybe(rewrite, 2),
        headers: maybe(headers, 2),
        fault: maybe(fault, 0),
        corsPolicy: maybe(corsPolicy, 0),
        more: maybe(besides, 0),
      })
      .map(({ more, ...action }) => some({ ...action, ...more })),
  },
  { weight: 1, arbitrary: redirect.map((value) => ({ redirect: value })) },
  { weight: 1, arbitrary: fc.record({ directResponse, headers: maybe(headers, 1) }).map(some) },
);
/** Names of VirtualServices that others hand requests to. */
const DELEGATES = ['part-0', 'part-1'];
const delegation = fc
  .record({ name: fc.constantFrom(...DELEGATES), namespace: maybe(fc.constantFrom('default', 'other'), 2) })
  .map((delegate) => ({ delegate: some(delegate) }));
const httpRoute = (action: Arbitrary<object>) =>
  fc
    .record({ match: fc.oneof(fc.constant([]), fc.array(httpMatch, { maxLength: 2 })), action })
    .map(({ match, action }) => ({ ...(match.length > 0 ? { match } : {}), ...action }));
const anyHttpRoute = httpRoute(fc.oneof({ weight: 8, arbitrary: httpAction }, { weight: 1, arbitrary: delegation }));

const sni = weighted([5, 'www.example.com'], [2, 'api.example.com'], [2, '*.example.com'], [1, 'www.example.org']);
const routeTo = fc.oneof(
  { weight: 6, arbitrary: fc.array(fc.record({ destination }), { minLength: 1, maxLength: 1 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(destination, destination, fc.constantFrom(0, 50, 100)).map(([a, b, weight]) => [
      { destination: a, weight },
      { destination: b, weight: 100 - weight },
    ]),
  },
);
const callers = {
  sourceLabels: maybe(fc.constantFrom<object>({ app: 'sleep' }, { app: 'other' }), 0),
  sourceNamespace: maybe(fc.constantFrom('default', 'other'), 0),
};
const tlsRoute = fc.record({
  match: fc.array(
    fc
      .record({
        sniHosts: fc.uniqueArray(sni, { minLength: 1, maxLength: 2 }),
        port: maybe(fc.constantFrom(443, 8443)),
        gateways: maybe(
          fc.oneof(
            fc.constant(['mesh']),
            gatewayNames.map((name) => [name]),
          ),
        ),
        destinationSubnets: maybe(fc.constantFrom(['198.51.100.0/24'], ['10.1.2.3']), 0),
        ...callers,
      })
      .map(some),
    { minLength: 1, maxLength: 2 },
  ),
  route: routeTo,
});
const tcpRoute = fc
  .record({
    match: maybe(
      fc.array(
        fc
          .record({
            port: maybe(fc.constantFrom(6379, 80, 443)),
            gateways: maybe(
              fc.oneof(
                fc.constant(['mesh']),
                gatewayNames.map((name) => [name]),
              ),
            ),
            destinationSubnets: maybe(fc.constantFrom(['198.51.100.0/24'], ['203.0.113.6']), 0),
            ...callers,
          })
          .map(some),
        { minLength: 1, maxLength: 2 },
      ),
      3,
    ),
    route: routeTo,
  })
  .map(some);

const virtualService = fc
  .record({
    namespace,
    hosts: fc.oneof(fc.constant<string[]>(['www.example.com']), fc.uniqueArray(host, { minLength: 1, maxLength: 2 })),
    gateways: fc.oneof(
      fc.constant(undefined),
      fc.constant(['mesh', 'egress']),
      fc.uniqueArray(fc.oneof(fc.constant('mesh'), gatewayNames), { minLength: 1, maxLength: 3 }),
    ),
    http: fc.oneof(
      { weight: 4, arbitrary: fc.array(anyHttpRoute, { minLength: 1, maxLength: 3 }) },
      { weight: 1, arbitrary: fc.constant([]) },
    ),
    tls: fc.array(tlsRoute, { maxLength: 2 }),
    tcp: fc.array(tcpRoute, { maxLength: 1 }),
    exportTo,
  })
  .filter(({ http, tls, tcp }) => http.length + tls.length + tcp.length > 0)
  .map(({ namespace, hosts, http, tls, tcp, ...rest }) => {
    const sniHosts = (name: string) => hosts.some((one) => one === name || (one.startsWith('*') && name.endsWith(one.slice(1))));
    const kept = tls
      .map(({ match, route }) => ({
        route,
        match: match.map((entry) => ({ ...entry, sniHosts: (entry.sniHosts ?? []).filter(sniHosts) })),
      }))
      .map(({ match, route }) => ({ route, match: match.filter((entry) => entry.sniHosts.length > 0) }))
      .filter(({ match }) => match.length > 0);
    const lists = { ...(http.length > 0 ? { http } : {}), ...(kept.length > 0 ? { tls: kept } : {}), ...(tcp.length > 0 ? { tcp } : {}) };
    return {
      namespace,
      spec: some({ hosts, ...rest, ...(Object.keys(lists).length > 0 ? lists : { http: [{ directResponse: { status: 404 } }] }) }),
    };
  });

/** What other VirtualServices hand requests to. */
const delegates = fc
  .array(
    fc.record({ namespace: fc.constantFrom('default', 'other'), http: fc.array(httpRoute(httpAction), { minLength: 1, maxLength: 2 }) }),
    {
      minLength: 1,
      maxLength: 2,
    },
  )
  .map((list) =>
    list.map(({ namespace, http }, i) => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: DELEGATES[i]!, namespace },
      spec: { http },
    })),
  );

// --- DestinationRule, Gateway, Sidecar

const upstreamTls = fc.constantFrom<object>(
  { mode: 'DISABLE' },
  { mode: 'SIMPLE' },
  { mode: 'SIMPLE', sni: 'www.example.com' },
  { mode: 'SIMPLE', sni: 'api.example.com', subjectAltNames: ['api.example.com'] },
  { mode: 'SIMPLE', insecureSkipVerify: true },
  { mode: 'ISTIO_MUTUAL' },
  { mode: 'SIMPLE', sni: 'www.example.com', subjectAltNames: ['www.example.com', 'api.example.com'] },
);
const trafficPolicy: Arbitrary<object> = fc.oneof(
  fc.constantFrom<object>(
    { loadBalancer: { consistentHash: { httpHeaderName: 'x-a' } } },
    { loadBalancer: { simple: 'PASSTHROUGH' } },
    { loadBalancer: { simple: 'RANDOM' }, outlierDetection: { consecutive5xxErrors: 0, consecutiveGatewayErrors: 0 } },
    { connectionPool: { http: { h2UpgradePolicy: 'UPGRADE' } } },
    { connectionPool: { tcp: { maxConnections: 100, connectTimeout: '3s' }, http: { maxRequestsPerConnection: 1 } } },
  ),
  upstreamTls.map((tls) => ({ tls })),
  fc.constantFrom(80, 443).chain((number) => upstreamTls.map((tls) => ({ portLevelSettings: [{ port: { number }, tls }] }))),
);
const destinationRule = fc
  .record({
    namespace,
    host: weighted([4, 'www.example.com'], [3, EGRESS], [2, 'api.example.com'], [1, '*.example.com'], [1, HTTPBIN]),
    subsets: maybe(
      fc.subarray<object>(
        [
          { name: 'v1', labels: { version: 'v1' } },
          { name: 'v2', labels: { version: 'v2' }, trafficPolicy: { tls: { mode: 'DISABLE' } } },
          { name: 'v1-all' },
        ],
        { minLength: 1 },
      ),
    ),
    trafficPolicy: maybe(trafficPolicy),
    exportTo,
  })
  // Towards the gateway TLS would only fail everywhere.
  .map(({ namespace, ...spec }) => ({ namespace, spec: some(spec.host === EGRESS ? { ...spec, trafficPolicy: undefined } : spec) }));

const serverHosts = fc.uniqueArray(
  weighted(
    [3, '*'],
    [4, 'www.example.com'],
    [2, '*.example.com'],
    [1, 'api.example.com'],
    [1, 'default/www.example.com'],
    [1, './*'],
    [1, '*/www.example.com'],
  ),
  { minLength: 1, maxLength: 2 },
);
const server = fc.oneof(
  { weight: 5, arbitrary: serverHosts.map((hosts) => ({ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts })) },
  {
    weight: 3,
    arbitrary: serverHosts.map((hosts) => ({ port: { number: 443, name: 'tls', protocol: 'TLS' }, tls: { mode: 'PASSTHROUGH' }, hosts })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(serverHosts, fc.constantFrom('gw-www', 'gw-wild', 'missing')).map(([hosts, credentialName]) => ({
      port: { number: 443, name: 'https', protocol: 'HTTPS' },
      tls: { mode: 'SIMPLE', credentialName },
      hosts,
    })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(serverHosts, fc.constantFrom('MUTUAL', 'MUTUAL', 'OPTIONAL_MUTUAL', 'ISTIO_MUTUAL')).map(([hosts, mode]) => ({
      port: { number: 443, name: 'mutual', protocol: 'HTTPS' },
      tls: mode === 'ISTIO_MUTUAL' ? { mode } : { mode, credentialName: 'gw-mutual' },
      hosts,
    })),
  },
  {
    weight: 1,
    arbitrary: serverHosts.map((hosts) => ({ port: { number: 80, name: 'http', protocol: 'HTTP' }, tls: { httpsRedirect: true }, hosts })),
  },
  {
    weight: 1,
    arbitrary: fc.constant({ port: { number: 443, name: 'auto', protocol: 'TLS' }, tls: { mode: 'AUTO_PASSTHROUGH' }, hosts: ['*'] }),
  },
  { weight: 1, arbitrary: fc.constant({ port: { number: 6379, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] }) },
  { weight: 1, arbitrary: fc.constant({ port: { number: 31400, name: 'tcp-any', protocol: 'TCP' }, hosts: ['*'] }) },
);
const gateway = fc
  .record({ namespace: weighted([3, 'default'], [2, 'istio-system']), servers: fc.array(server, { minLength: 1, maxLength: 3 }) })
  .map(({ namespace, servers }) => ({
    namespace,
    spec: {
      selector: { istio: 'egressgateway' },
      servers: servers.map((entry, i) => ({ ...entry, port: { ...entry.port, name: `${entry.port.name}-${i}` } })),
    },
  }));

const sidecar = fc
  .record({
    namespace: weighted([3, 'default'], [1, 'other'], [1, 'istio-system']),
    egress: fc.array(
      fc
        .record({
          listener: maybe(
            fc.constantFrom<object>(
              { port: { number: 80, name: 'http', protocol: 'HTTP' } },
              { port: { number: 443, name: 'tls', protocol: 'TLS' } },
              { port: { number: 9080, name: 'http-bound', protocol: 'HTTP' }, bind: '127.0.0.1', captureMode: 'NONE' },
              { port: { number: 6379, name: 'tcp-bound', protocol: 'TCP' }, bind: '127.0.0.1', captureMode: 'NONE' },
            ),
            1,
          ),
          hosts: fc.uniqueArray(
            fc.constantFrom('./*', '*/*', 'istio-system/*', 'default/www.example.com', '*/*.example.com', './www.example.com'),
            { minLength: 1, maxLength: 2 },
          ),
        })
        .map(({ listener, hosts }) => ({ ...listener, hosts })),
      { minLength: 1, maxLength: 2 },
    ),
    workloadSelector: maybe(fc.constantFrom({ labels: { app: 'sleep' } }, { labels: { app: 'other' } }), 0),
    outboundTrafficPolicy: maybe(
      fc.constantFrom<object>(
        { mode: 'ALLOW_ANY' },
        { mode: 'REGISTRY_ONLY' },
        { mode: 'ALLOW_ANY', egressProxy: { host: EGRESS, port: { number: 80 } } },
      ),
      1,
    ),
  })
  .map(({ namespace, ...spec }) => ({ namespace, spec: some(spec) }));

// --- all together

/** The documented way through an egress gateway, right or nearly. */
const pattern = fc
  .record({
    resolution: fc.constantFrom('DNS', 'NONE'),
    gateways: weighted([6, ['mesh', 'egress']], [1, ['egress']], [1, ['mesh']]),
    tls: weighted([2, true], [1, false]),
    /** Without its own routes the generated ones decide. */
    routed: fc.boolean(),
    match: maybe(uriMatch, 1),
  })
  .map(({ resolution, gateways, tls, routed, match }) => {
    const metadata = { name: 'pattern', namespace: 'default' };
    const uri = match ? { uri: match } : {};
    const http = [
      { match: [{ gateways: ['mesh'], port: 80, ...uri }], route: [{ destination: { host: EGRESS, port: { number: 80 } } }] },
      { match: [{ gateways: ['egress'], port: 80 }], route: [{ destination: { host: 'www.example.com', port: { number: 80 } } }] },
    ];
    const sniHosts = ['www.example.com'];
    const routes = [
      { match: [{ gateways: ['mesh'], port: 443, sniHosts }], route: [{ destination: { host: EGRESS, port: { number: 443 } } }] },
      {
        match: [{ gateways: ['egress'], port: 443, sniHosts }],
        route: [{ destination: { host: 'www.example.com', port: { number: 443 } } }],
      },
    ];
    const apiVersion = 'networking.istio.io/v1';
    return [
      {
        apiVersion,
        kind: 'ServiceEntry',
        metadata,
        spec: {
          hosts: sniHosts,
          resolution,
          location: 'MESH_EXTERNAL',
          ports: [
            { number: 80, name: 'http', protocol: 'HTTP' },
            { number: 443, name: 'tls', protocol: 'TLS' },
          ],
        },
      },
      {
        apiVersion,
        kind: 'Gateway',
        metadata: { name: 'egress', namespace: 'default' },
        spec: {
          selector: { istio: 'egressgateway' },
          servers: [
            { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: sniHosts },
            { port: { number: 443, name: 'tls', protocol: 'TLS' }, tls: { mode: 'PASSTHROUGH' }, hosts: sniHosts },
          ],
        },
      },
      ...(routed
        ? [{ apiVersion, kind: 'VirtualService', metadata, spec: { hosts: sniHosts, gateways, http, ...(tls ? { tls: routes } : {}) } }]
        : []),
    ];
  });

const objects = fc
  .record({
    pattern: maybe(pattern, 3),
    entries: resources('ServiceEntry', serviceEntry, { maxLength: 2 }),
    gateways: resources('Gateway', gateway, { maxLength: 2 }),
    services: maybe(resources('VirtualService', virtualService, { minLength: 1, maxLength: 2 }), 4),
    rules: resources('DestinationRule', destinationRule, { maxLength: 1 }),
    sidecars: maybe(resources('Sidecar', sidecar, { minLength: 1, maxLength: 2 }), 1),
    workloads: maybe(workloadEntries, 0),
    parts: maybe(delegates, 1),
    policies: maybe(fc.tuple(policy), 2),
  })
  .map(({ pattern = [], entries, gateways, services = [], rules, sidecars = [], workloads = [], parts = [], policies = [] }) => {
    // The first two Gateways have the names that VirtualServices use.
    const named = gateways.map((one, i) =>
      i === 0
        ? { ...one, metadata: { ...(one as { metadata: object }).metadata, name: pattern.length > 0 ? 'other-gateway' : 'egress' } }
        : one,
    );
    return [...pattern, ...entries, ...named, ...services, ...rules, ...sidecars, ...workloads, ...parts, ...policies];
  });

export const configurations: Arbitrary<Configuration> = fc.record({
  mesh: fc
    .record({
      outboundTrafficPolicy: fc.constantFrom({ mode: 'REGISTRY_ONLY' }, { mode: 'ALLOW_ANY' }),
      pathNormalization: maybe(
        fc.constantFrom('NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES').map((normalization) => ({ normalization })),
        1,
      ),
      defaultConfig: maybe(
        fc.constantFrom(
          { gatewayTopology: { numTrustedProxies: 1 } },
          { gatewayTopology: { forwardClientCertDetails: 'APPEND_FORWARD' } },
          { gatewayTopology: { forwardClientCertDetails: 'ALWAYS_FORWARD_ONLY', numTrustedProxies: 2 } },
        ),
        0,
      ),
    })
    .map(some),
  documents: objects,
});
