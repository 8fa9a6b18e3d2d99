/** Generators of what Istio's own code is asked about besides: policies in all their parts, and routes of the Gateway API. */
import fc, { type Arbitrary } from 'fast-check';
import { type Configuration, configurations } from '../configurations.ts';
import { maybe, some, weighted } from '../generators.ts';

const namespace = weighted([4, 'default'], [2, 'istio-system'], [1, 'other']);
const list = <T>(...values: readonly T[]): Arbitrary<T[]> => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 });

const source = fc
  .record(
    {
      principals: list(
        '*',
        'cluster.local/ns/default/sa/sleep',
        '*/sa/sleep',
        'cluster.local/ns/other/*',
        'cluster.local/ns/default/sa/Sleep',
      ),
      notPrincipals: list('*', 'cluster.local/ns/default/sa/sleep', '*/sa/other'),
      namespaces: list('default', 'other', 'oth*', '*'),
      notNamespaces: list('default', 'legacy'),
      serviceAccounts: list('sleep', 'default/sleep', 'other/other'),
      ipBlocks: list('10.244.1.0/24', '10.244.2.10', '0.0.0.0/0'),
      notIpBlocks: list('10.244.1.10', '198.51.100.0/24'),
      remoteIpBlocks: list('10.244.0.0/16', '192.0.2.7'),
      notRemoteIpBlocks: list('192.0.2.0/24'),
      requestPrincipals: list('*', 'issuer/subject'),
      notRequestPrincipals: list('*'),
    },
    { requiredKeys: [] },
  )
  .filter((fields) => Object.keys(fields).length > 0 && Object.keys(fields).length < 4)
  // Validation takes no identities of the two kinds together.
  .map(({ serviceAccounts, ...rest }) =>
    serviceAccounts && !rest.principals && !rest.notPrincipals && !rest.namespaces && !rest.notNamespaces
      ? { ...rest, serviceAccounts }
      : some(rest),
  )
  .filter((fields) => Object.keys(fields).length > 0);
const operation = fc
  .record(
    {
      hosts: list('www.example.com', '*.example.com', 'WWW.example.com', 'httpbin*', 'www.example.com:80', '*'),
      notHosts: list('api.example.com', '*.org'),
      ports: list('80', '8080', '8000', '9000', '443'),
      notPorts: list('80', '8443'),
      methods: list('GET', 'P*', '*', 'get'),
      notMethods: list('POST', '*T'),
      paths: list('/a', '/a*', '*b', '/{*}', '/a/{**}', '/{*}/b', '*', '/a?q=1', '/A'),
      notPaths: list('/a', '/b*', '/{**}/b'),
    },
    { requiredKeys: [] },
  )
  .filter((fields) => Object.keys(fields).length > 0 && Object.keys(fields).length < 4);
const condition = fc
  .constantFrom<readonly [string, readonly string[]]>(
    ['request.headers[x-a]', ['1', 'a*', '*b']],
    ['request.headers[X-B]', ['1', '*']],
    ['source.ip', ['10.244.1.0/24', '10.244.2.10']],
    ['remote.ip', ['10.244.1.10', '192.0.2.0/24']],
    ['source.namespace', ['default', 'other']],
    ['source.principal', ['cluster.local/ns/default/sa/sleep', '*/other']],
    ['source.serviceAccount', ['default/sleep', 'sleep']],
    ['request.auth.principal', ['issuer/*', '*']],
    ['request.auth.claims[groups]', ['a', 'b*']],
    ['destination.ip', ['10.244.1.20', '10.244.3.0/24']],
    ['destination.port', ['80', '8000', '8443']],
    ['connection.sni', ['www.example.com', '*.example.com', 'outbound_.*']],
  )
  .chain(([key, values]) =>
    fc
      .tuple(fc.subarray([...values], { minLength: 1 }), fc.boolean())
      .map(([chosen, not]) => ({ key, [not ? 'notValues' : 'values']: chosen })),
  );
const rule = fc
  .record({
    from: maybe(
      fc.array(
        source.map((each) => ({ source: each })),
        { minLength: 1, maxLength: 2 },
      ),
    ),
    to: maybe(
      fc.array(
        operation.map((each) => ({ operation: each })),
        { minLength: 1, maxLength: 2 },
      ),
    ),
    when: maybe(fc.array(condition, { minLength: 1, maxLength: 2 }), 1),
  })
  .map(some);
const selector = maybe(
  fc.constantFrom(
    { matchLabels: { app: 'httpbin' } },
    { matchLabels: { istio: 'egressgateway' } },
    { matchLabels: { app: 'httpbin', version: 'v2' } },
  ),
  3,
);
const authorization = fc
  .record({
    action: weighted([4, 'ALLOW'], [3, 'DENY'], [1, 'AUDIT']),
    rules: fc.oneof(
      { weight: 8, arbitrary: fc.array(rule, { minLength: 1, maxLength: 2 }) },
      { weight: 1, arbitrary: fc.constantFrom<object[]>([], [{}]) },
    ),
    selector,
  })
  .map((spec) => ({ kind: 'AuthorizationPolicy', spec: some(spec) }));
const MODES = ['STRICT', 'PERMISSIVE', 'DISABLE', 'UNSET'] as const;
const peers = fc
  .record({
    mtls: maybe(
      fc.constantFrom(...MODES).map((mode) => ({ mode })),
      4,
    ),
    selector,
    ports: maybe(
      fc.dictionary(
        fc.constantFrom('8000', '9000', '80'),
        fc.constantFrom(...MODES).map((mode) => ({ mode })),
        { minKeys: 1, noNullPrototype: true },
      ),
      1,
    ),
  })
  .map(({ ports, ...spec }) => ({ kind: 'PeerAuthentication', spec: some({ ...spec, portLevelMtls: spec.selector ? ports : undefined }) }));
const requests = selector.map((each) => ({
  kind: 'RequestAuthentication',
  spec: some({ selector: each, jwtRules: [{ issuer: 'issuer', jwks: '{"keys":[]}' }] }),
}));
/** AuthorizationPolicies, PeerAuthentications and RequestAuthentications. */
export const policies = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 5, arbitrary: authorization }, { weight: 3, arbitrary: peers }, { weight: 1, arbitrary: requests }),
      namespace,
    ),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((all) =>
    all.map(([{ kind, spec }, namespace], i) => ({
      apiVersion: 'security.istio.io/v1',
      kind,
      metadata: { name: `more-${i}`, namespace },
      spec,
    })),
  );

/** Configurations with more policies. */
export const governed: Arbitrary<Configuration> = fc.tuple(configurations, policies).map(([{ mesh, documents }, more]) => ({
  mesh,
  documents: [...documents.filter((each) => !/Policy|Authentication/.test((each as { kind: string }).kind)), ...more],
}));

export const GATEWAY_API = 'gateway.networking.k8s.io';
const GATEWAY = { group: GATEWAY_API, kind: 'Gateway', name: 'eg', namespace: 'istio-system' };
const listenerHost = maybe(fc.constantFrom('www.example.com', '*.example.com'), 2);
const allowedRoutes = weighted<object>([4, { namespaces: { from: 'All' } }], [1, { namespaces: { from: 'Same' } }]);
const gateway = fc
  .record({ http: listenerHost, tls: maybe(listenerHost, 3), other: maybe(listenerHost, 1), allowedRoutes })
  .map(({ http, tls, other, allowedRoutes }) => ({
    apiVersion: `${GATEWAY_API}/v1`,
    kind: 'Gateway',
    metadata: { name: 'eg', namespace: 'istio-system' },
    spec: {
      gatewayClassName: 'istio',
      addresses: [{ type: 'Hostname', value: 'istio-egressgateway.istio-system.svc.cluster.local' }],
      listeners: [
        some({ name: 'http', port: 80, protocol: 'HTTP', hostname: http, allowedRoutes }),
        ...(tls === undefined
          ? []
          : [some({ name: 'tls', port: 443, protocol: 'TLS', hostname: tls, tls: { mode: 'Passthrough' }, allowedRoutes })]),
        ...(other === undefined
          ? []
          : [some({ name: 'other', port: 80, protocol: 'HTTP', hostname: `a.${other.replace('*', 'b')}`, allowedRoutes })]),
      ],
    },
  }));
const parent = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom<object>(
      GATEWAY,
      GATEWAY,
      { ...GATEWAY, sectionName: 'http' },
      { ...GATEWAY, port: 80 },
      { ...GATEWAY, sectionName: 'missing' },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<object>(
      { group: '', kind: 'Service', name: 'httpbin' },
      { group: '', kind: 'Service', name: 'httpbin', port: 8000 },
    ),
  },
  { weight: 2, arbitrary: fc.constant<object>({ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'pattern' }) },
);
const hostnames = list('www.example.com', '*.example.com', 'api.example.com', 'httpbin.default.svc.cluster.local');
const routeMatch = fc
  .record({
    // As an API server completes it.
    path: fc.constantFrom<object>(
      { type: 'Exact', value: '/a' },
      { type: 'PathPrefix', value: '/a' },
      { type: 'PathPrefix', value: '/' },
      { type: 'PathPrefix', value: '/a/' },
      { type: 'RegularExpression', value: '/[ab].*' },
    ),
    headers: maybe(
      fc.constantFrom<object[]>([{ type: 'Exact', name: 'x-a', value: '1' }], [{ name: 'X-B', type: 'RegularExpression', value: 'a.*' }]),
      1,
    ),
    queryParams: maybe(fc.constantFrom<object[]>([{ type: 'Exact', name: 'q', value: '1' }]), 0),
    method: maybe(fc.constantFrom('GET', 'POST'), 1),
  })
  .map(some);
const filter = fc.constantFrom<object>(
  {
    type: 'RequestHeaderModifier',
    requestHeaderModifier: { set: [{ name: 'x-t-a', value: 'set' }], add: [{ name: 'x-t-b', value: 'added' }], remove: ['x-a'] },
  },
  { type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name: 'x-r-a', value: 'set' }], remove: ['x-r-s'] } },
  { type: 'RequestRedirect', requestRedirect: { hostname: 'api.example.com', statusCode: 301 } },
  {
    type: 'RequestRedirect',
    requestRedirect: { scheme: 'https', statusCode: 302, path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/moved' } },
  },
  {
    type: 'RequestRedirect',
    requestRedirect: { port: 8080, statusCode: 302, path: { type: 'ReplaceFullPath', replaceFullPath: '/full' } },
  },
  { type: 'URLRewrite', urlRewrite: { hostname: 'api.example.com', path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' } } },
  { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/full' } } },
);
const backend = fc
  .record({
    to: weighted<object>(
      [5, { group: 'networking.istio.io', kind: 'Hostname', name: 'www.example.com', port: 80 }],
      [2, { group: 'networking.istio.io', kind: 'Hostname', name: 'api.example.com', port: 80 }],
      [1, { group: 'networking.istio.io', kind: 'Hostname', name: 'undeclared.example.com', port: 80 }],
      [2, { group: '', kind: 'Service', name: 'httpbin', port: 8000 }],
      [1, { group: '', kind: 'Service', name: 'httpbin', namespace: 'default', port: 8000 }],
      [1, { group: '', kind: 'Service', name: 'missing', port: 80 }],
      [1, { group: '', kind: 'Service', name: 'httpbin' }],
    ),
    weight: weighted([4, 1], [1, 0], [1, 3]),
    filters: maybe(
      fc.constantFrom<object[]>([{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x-t-a', value: 'backend' }] } }]),
      0,
    ),
  })
  .map(({ to, ...rest }) => some({ ...to, ...rest }));
const httpRule = fc
  .record({
    matches: fc.array(routeMatch, { minLength: 1, maxLength: 2 }),
    filters: maybe(fc.array(filter, { minLength: 1, maxLength: 1 }), 1),
    backendRefs: fc.array(backend, { maxLength: 2 }),
  })
  // A redirect has no backend.
  .map(({ backendRefs, ...rest }) =>
    some({ ...rest, ...(backendRefs.length > 0 && !/Redirect/.test(JSON.stringify(rest.filters ?? '')) ? { backendRefs } : {}) }),
  );
const httpRoutes = fc
  .record({
    // Of one that names hosts and one that names none Istio takes the older first, the Gateway API the former.
    named: fc.boolean(),
    all: fc.array(
      fc.record({
        namespace,
        parentRefs: fc.uniqueArray(parent, { minLength: 1, maxLength: 2 }),
        hostnames,
        rules: fc.array(httpRule, { minLength: 1, maxLength: 2 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ named, all }) =>
    all.map(({ namespace, hostnames, ...spec }, i) => ({
      apiVersion: `${GATEWAY_API}/v1`,
      kind: 'HTTPRoute',
      metadata: { name: `route-${i}`, namespace },
      spec: named ? { ...spec, hostnames } : spec,
    })),
  );
const grants = maybe(
  fc.constantFrom('istio-system', 'other').map((from) => ({
    apiVersion: `${GATEWAY_API}/v1beta1`,
    kind: 'ReferenceGrant',
    metadata: { name: 'grant', namespace: 'default' },
    spec: { from: [{ group: GATEWAY_API, kind: 'HTTPRoute', namespace: from }], to: [{ group: '', kind: 'Service' }] },
  })),
  1,
);
export const CLASS = {
  apiVersion: `${GATEWAY_API}/v1`,
  kind: 'GatewayClass',
  metadata: { name: 'istio' },
  spec: { controllerName: 'istio.io/gateway-controller' },
};

/** Configurations with a Gateway of the Gateway API and its routes in the place of Istio's Gateways. */
export const gatewayApi: Arbitrary<Configuration> = fc
  .tuple(configurations, gateway, httpRoutes, grants)
  .map(([{ mesh, documents }, own, routes, grant]) => ({
    mesh,
    documents: [
      ...documents.filter((each) => (each as { kind: string }).kind !== 'Gateway'),
      CLASS,
      own,
      ...(grant ? [grant] : []),
      ...routes,
    ],
  }));
