import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { localMesh, RouterAddresses } from '../config/local-mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { buildRegistry } from '../registry/index.ts';
import { convert, type Made } from './index.ts';
import { inApiOrder, orderProblem } from './order.ts';

type Json = Record<string, unknown>;
const NETWORKING = 'networking.istio.io/v1';

const object = (kind: string, name: string, spec: Json, namespace = 'default'): Json => ({
  apiVersion: NETWORKING,
  kind,
  metadata: { name, namespace },
  spec,
});
const entry = (hosts = ['www.example.com'], more: Json = {}, namespace = 'default') =>
  object('ServiceEntry', 'www', { hosts, resolution: 'DNS', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], ...more }, namespace);
const HTTP = { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['www.example.com'] };
const gateway = (servers: Json[] = [HTTP], selector: Json = { istio: 'egressgateway' }) =>
  object('Gateway', 'egress', { selector, servers });
const route = { route: [{ destination: { host: 'www.example.com' } }] };
const routes = (spec: Json, more: Json = {}) =>
  object('VirtualService', 'v', { hosts: ['www.example.com'], gateways: ['egress'], ...more, ...spec });
const TLS_ENTRY = { ports: [{ number: 443, name: 'tls', protocol: 'TLS' }] };
const PASSTHROUGH = { port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['www.example.com'], tls: { mode: 'PASSTHROUGH' } };

function converted(...objects: Json[]) {
  const mesh = defaultMeshConfig();
  const snapshot = snapshotFromText(objects.map((each) => JSON.stringify(each)).join('\n---\n'));
  assert.deepEqual(
    snapshot.findings.filter(({ level }) => level === 'Error'),
    [],
  );
  const local = localMesh(snapshot, mesh.rootNamespace, new RouterAddresses()).snapshot;
  const { replacements, unexpressed } = convert({ snapshot, registry: buildRegistry(local, mesh).registry });
  const made = replacements.flatMap((each) => each.made);
  return {
    made,
    stays: Object.fromEntries(replacements.map(({ resource, stays }) => [resource.metadata.name, stays])),
    problems: unexpressed.map(({ path, reason }) => `${path.slice(1).join('.')}: ${reason}`),
  };
}

const kinds = (made: readonly Made[]) => made.map(({ kind }) => kind);
const specOf = (made: readonly Made[], kind: string) => made.find((each) => each.kind === kind)?.spec as Json;

/** Nothing is made of the objects, and this is why. */
function stays(wanted: RegExp, ...objects: Json[]): void {
  const { made, problems } = converted(...objects);
  assert.deepEqual(made, []);
  assert.match(problems.join('\n'), wanted);
}

test('the standard pattern: one VirtualService for mesh and gateway', () => {
  const both = routes(
    {
      http: [
        {
          match: [{ gateways: ['mesh'], port: 80 }],
          route: [{ destination: { host: 'istio-egressgateway.istio-system.svc.cluster.local', port: { number: 80 } } }],
        },
        { match: [{ gateways: ['egress'], port: 80 }], ...route },
      ],
    },
    { gateways: ['mesh', 'egress'] },
  );
  const { made, problems, stays: left } = converted(entry(), gateway(), both);
  assert.deepEqual(problems, []);
  assert.deepEqual(left, { egress: [], v: [] });
  assert.deepEqual(made, [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { name: 'default-egress', namespace: 'istio-system' },
      spec: {
        gatewayClassName: 'istio',
        addresses: [{ type: 'Hostname', value: 'istio-egressgateway.istio-system.svc.cluster.local' }],
        listeners: [
          { name: 'http', port: 80, protocol: 'HTTP', hostname: 'www.example.com', allowedRoutes: { namespaces: { from: 'All' } } },
        ],
      },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'v-mesh', namespace: 'default' },
      spec: {
        parentRefs: [{ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'www', port: 80 }],
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/' } }],
            backendRefs: [
              { group: 'networking.istio.io', kind: 'Hostname', name: 'istio-egressgateway.istio-system.svc.cluster.local', port: 80 },
            ],
          },
        ],
      },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'v-egress', namespace: 'default' },
      spec: {
        parentRefs: [{ name: 'default-egress', namespace: 'istio-system', port: 80 }],
        hostnames: ['www.example.com'],
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/' } }],
            backendRefs: [{ group: 'networking.istio.io', kind: 'Hostname', name: 'www.example.com', port: 80 }],
          },
        ],
      },
    },
  ]);
});

test('a half that can be expressed goes, the other stays', () => {
  const half = routes(
    {
      http: [
        { match: [{ gateways: ['mesh'] }], ...route },
        { match: [{ gateways: ['egress'] }], ...route, retries: { attempts: 2 } },
      ],
    },
    { gateways: ['mesh', 'egress'] },
  );
  const { made, stays: left, problems } = converted(entry(), gateway(), half);
  assert.deepEqual(kinds(made), ['HTTPRoute']);
  assert.deepEqual(left, { v: ['default/egress'] });
  assert.match(problems.join('\n'), /name: its routes can’t all be expressed \(VirtualService default\/v\)/);
  assert.match(problems.join('\n'), /http\.1\.retries: the standard HTTPRoute has no retries/);
});

test('a list of gateways without a rule for one of them says nothing to it', () => {
  const only = routes({ http: [{ match: [{ gateways: ['mesh'] }], ...route }] }, { gateways: ['mesh', 'egress'] });
  const { made, stays: left } = converted(entry(), gateway(), only);
  assert.deepEqual(kinds(made), ['Gateway', 'HTTPRoute']);
  assert.deepEqual(left, { egress: [], v: [] });
});

test('Gateways: hosts, namespaces, TLS', () => {
  const listeners = (server: Json) => specOf(converted(gateway([{ ...HTTP, ...server }])).made, 'Gateway').listeners as Json[];
  assert.deepEqual(
    listeners({ hosts: ['a.example.com', '*.example.org', '*'] }).map(({ name, hostname }) => [name, hostname]),
    [
      ['http-1', 'a.example.com'],
      ['http-2', '*.example.org'],
      ['http-3', undefined],
    ],
  );
  const namespaces = (hosts: string[]) => listeners({ hosts }).map(({ allowedRoutes }) => (allowedRoutes as Json).namespaces);
  // The Kubernetes Gateway is beside its pods, in istio-system.
  assert.deepEqual(namespaces(['./a.example.com']), [
    { from: 'Selector', selector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['default'] }] } },
  ]);
  assert.deepEqual(namespaces(['*/a.example.com', 'b/a.example.com']), [{ from: 'All' }]);
  assert.deepEqual(namespaces(['b/a.example.com', 'a/a.example.com']), [
    { from: 'Selector', selector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['a', 'b'] }] } },
  ]);
  const tcp = converted(
    gateway([{ port: { number: 6379, name: 'TCP-Redis', protocol: 'TCP' }, hosts: ['a.example.com', 'b.example.com'] }]),
  );
  assert.deepEqual(specOf(tcp.made, 'Gateway').listeners, [
    { name: 'tcp-redis', port: 6379, protocol: 'TCP', allowedRoutes: { namespaces: { from: 'All' } } },
  ]);
  const https = converted(
    gateway([
      { port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['a.example.com'], tls: { mode: 'SIMPLE', credentialName: 'c' } },
    ]),
  );
  assert.deepEqual(kinds(https.made), ['Gateway']);
  assert.deepEqual(https.made[0]!.metadata, { name: 'default-egress', namespace: 'istio-system' });
  assert.deepEqual(((specOf(https.made, 'Gateway').listeners as Json[])[0]!.tls as Json).certificateRefs, [{ name: 'c' }]);
});

test('Gateways that stay', () => {
  const server = (more: Json) => gateway([{ ...HTTP, ...more }]);
  const https = (tls: Json, hosts = ['a.example.com']) =>
    gateway([{ port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts, tls }]);
  const own = { mode: 'SIMPLE', credentialName: 'c' };
  stays(
    /selector: .*no Service has exactly the pods/,
    gateway([HTTP], { app: 'unknown' }),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'other', namespace: 'other' },
      spec: { selector: { app: 'other' }, ports: [{ port: 80 }] },
    },
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'x', labels: { app: 'unknown' } }, spec: { containers: [] } },
  );
  stays(/selector: /, gateway([HTTP], {}));
  stays(/servers\.0\.bind: a listener has no address/, server({ bind: '10.0.0.1' }));
  stays(/defaultEndpoint/, server({ defaultEndpoint: '127.0.0.1:80' }));
  stays(/there are no listeners of MONGO/, server({ port: { number: 80, name: 'm', protocol: 'MONGO' } }));
  stays(/"10\.0\.0\.1" is no hostname/, server({ hosts: ['10.0.0.1'] }));
  stays(/tls\.httpsRedirect: a redirect/, server({ tls: { httpsRedirect: true } }));
  stays(/on a connection for one host/, https(own, ['a.example.com', 'b.example.com']));
  stays(/tls\.minProtocolVersion/, https({ ...own, minProtocolVersion: 'TLSV1_3' }));
  stays(/tls\.cipherSuites/, https({ ...own, cipherSuites: ['AES128-SHA'] }));
  stays(/tls\.serverCertificate/, https({ mode: 'SIMPLE', serverCertificate: '/a', privateKey: '/b' }));
  stays(/tls\.mode: a listener has no mode MUTUAL/, https({ mode: 'MUTUAL', credentialName: 'c' }));
  stays(/at most 64 listeners/, server({ hosts: Array.from({ length: 65 }, (_, index) => `h${index}.example.com`) }));
});

const rule = (http: Json, more: Json = {}, entries: Json[] = [entry()]) => [
  ...entries,
  gateway(),
  routes({ http: [{ ...route, ...http }] }, more),
];
const ruleOf = (http: Json) => {
  const { made, problems } = converted(...rule(http));
  assert.deepEqual(problems, []);
  return (specOf(made, 'HTTPRoute').rules as Json[])[0]!;
};

test('rules of requests', () => {
  const match = (more: Json) => (ruleOf({ match: [more] }).matches as Json[])[0];
  assert.deepEqual(match({ uri: { exact: '/a' }, method: { exact: 'GET' } }), { path: { type: 'Exact', value: '/a' }, method: 'GET' });
  assert.deepEqual(match({ uri: { prefix: '/a.b' } }), { path: { type: 'RegularExpression', value: '/a\\.b.*' } });
  assert.deepEqual(match({ uri: { regex: '/a+' } }), { path: { type: 'RegularExpression', value: '/a+' } });
  assert.deepEqual(match({ headers: { a: { exact: '1' }, b: { prefix: '2' }, c: {} }, queryParams: { d: { regex: '3' } } }), {
    path: { type: 'PathPrefix', value: '/' },
    headers: [
      { type: 'Exact', name: 'a', value: '1' },
      { type: 'RegularExpression', name: 'b', value: '2.*' },
      { type: 'RegularExpression', name: 'c', value: '.*' },
    ],
    queryParams: [{ type: 'RegularExpression', name: 'd', value: '3' }],
  });
  assert.deepEqual(ruleOf({ timeout: '2s' }).timeouts, { request: '2s' });
  assert.deepEqual(ruleOf({ timeout: '0.25s' }).timeouts, { request: '250ms' });
  const headers = { request: { set: { a: '1' }, remove: ['b'] }, response: { add: { c: '2' } } };
  const filters = [
    { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'a', value: '1' }], remove: ['b'] } },
    { type: 'ResponseHeaderModifier', responseHeaderModifier: { add: [{ name: 'c', value: '2' }] } },
  ];
  assert.deepEqual(ruleOf({ headers }).filters, filters);
  assert.deepEqual((ruleOf({ route: [{ ...route.route[0], headers }] }).backendRefs as Json[])[0]!.filters, filters);
  const destination = { host: 'www.example.com' };
  const backendRef = { group: 'networking.istio.io', kind: 'Hostname', name: 'www.example.com', port: 80 };
  assert.deepEqual(
    ruleOf({ mirrors: [{ destination }, { destination, percentage: { value: 12.5 } }, { destination, percentage: { value: 0 } }] }).filters,
    [
      { type: 'RequestMirror', requestMirror: { backendRef } },
      { type: 'RequestMirror', requestMirror: { backendRef, fraction: { numerator: 125_000, denominator: 1_000_000 } } },
    ],
  );
  assert.deepEqual(ruleOf({ mirror: destination, mirrorPercentage: { value: 5 } }).filters, [
    { type: 'RequestMirror', requestMirror: { backendRef, percent: 5 } },
  ]);
  const weighted = ruleOf({
    route: [
      { destination, weight: 3 },
      { destination, weight: 0 },
      { destination, weight: 1 },
    ],
  }).backendRefs as Json[];
  assert.deepEqual(
    weighted.map(({ weight }) => weight),
    [3, 1],
  );
  assert.deepEqual(ruleOf({ route: [], redirect: { scheme: 'https', authority: 'a.example.com', uri: '/x', redirectCode: 302 } }).filters, [
    {
      type: 'RequestRedirect',
      requestRedirect: {
        statusCode: 302,
        scheme: 'https',
        hostname: 'a.example.com',
        path: { type: 'ReplaceFullPath', replaceFullPath: '/x' },
      },
    },
  ]);
  assert.deepEqual(ruleOf({ match: [{ uri: { exact: '/a' } }], rewrite: { uri: '/b', authority: 'c.example.com' } }).filters, [
    { type: 'URLRewrite', urlRewrite: { hostname: 'c.example.com', path: { type: 'ReplaceFullPath', replaceFullPath: '/b' } } },
  ]);
  assert.deepEqual(ruleOf({ rewrite: { uriRegexRewrite: { match: '/.*', rewrite: '/b' } } }).filters, [
    { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/b' } } },
  ]);
  assert.deepEqual(
    ruleOf({
      corsPolicy: { allowOrigins: [{ exact: 'https://a.example.com' }], allowMethods: ['GET'], allowCredentials: true, maxAge: '60s' },
    }).filters,
    [{ type: 'CORS', cors: { allowOrigins: ['https://a.example.com'], allowMethods: ['GET'], maxAge: 60, allowCredentials: true } }],
  );
});

test('rules that stay', () => {
  const refused = (wanted: RegExp, http: Json) => stays(wanted, ...rule(http));
  refused(/http\.0\.directResponse: an HTTPRoute can’t answer/, { route: [], directResponse: { status: 200 } });
  refused(/http\.0\.fault/, { fault: { abort: { httpStatus: 500 } } });
  for (const [field, value] of Object.entries({
    ignoreUriCase: true,
    scheme: { exact: 'http' },
    authority: { exact: 'a' },
    statPrefix: 'x',
    sourceNamespace: 'a',
  }))
    refused(new RegExp(`match\\.0\\.${field}`), { match: [{ uri: { exact: '/a' }, [field]: value }] });
  refused(/match\.0\.sourceLabels/, { match: [{ sourceLabels: { a: 'b' } }] });
  refused(/match\.0\.withoutHeaders/, { match: [{ withoutHeaders: { a: {} } }] });
  refused(/match\.0\.method/, { match: [{ method: { exact: 'PURGE' } }] });
  refused(/match\.0\.headers\.a: .*no empty value/, { match: [{ headers: { a: { exact: '' } } }] });
  refused(/match\.0\.headers\.@request/, { match: [{ headers: { '@request.auth.claims.a': { exact: '1' } } }] });
  refused(/headers\.request\.set\.Host: a header filter leaves the Host/, { headers: { request: { set: { Host: 'a' } } } });
  refused(/headers\.request\.add\.a: a header filter sets no empty/, { headers: { request: { add: { a: '' } } } });
  refused(/destination\.subset/, { route: [{ destination: { host: 'www.example.com', subset: 'v1' } }] });
  refused(/destination: unknown\.example\.com has no port 80/, {
    route: [{ destination: { host: 'unknown.example.com', port: { number: 80 } } }],
  });
  refused(/rewrite\.uri: /, { match: [{ uri: { prefix: '/a' } }], rewrite: { uri: '/b' } });
  refused(/rewrite\.uriRegexRewrite/, { rewrite: { uriRegexRewrite: { match: '/a(.*)', rewrite: '/\\1' } } });
  refused(/rewrite\.authority/, { rewrite: { authority: 'a.example.com:80' } });
  refused(/redirect\.prefixRewrite/, { route: [], redirect: { prefixRewrite: '/a' } });
  refused(/redirect\.authority/, { route: [], redirect: { authority: 'a:80' } });
  refused(/redirect\.redirectCode/, { route: [], redirect: { uri: '/x', redirectCode: 304 } });
  refused(/redirect: with a scheme/, { route: [], redirect: { scheme: 'https', derivePort: 'FROM_REQUEST_PORT' } });
  refused(/corsPolicy\.maxAge/, { corsPolicy: { allowOrigins: [{ exact: 'a' }] } });
  refused(/corsPolicy\.unmatchedPreflights/, { corsPolicy: { maxAge: '1s', unmatchedPreflights: 'IGNORE' } });
  refused(/corsPolicy\.allowOrigins\.0/, { corsPolicy: { maxAge: '1s', allowOrigins: [{ regex: '.*' }] } });
});

test('a VirtualService’s order, where the API has another', () => {
  const match = (type: string, value: string, more: Json = {}) => ({ path: { type, value }, ...more });
  const problem = (...rules: Json[]) => orderProblem(inApiOrder(rules.map((each, index) => ({ index, matches: [each] }))))?.index;
  const [exact, prefix, regex] = [match('Exact', '/a'), match('PathPrefix', '/'), match('RegularExpression', '/a.*')];
  assert.equal(problem(exact, regex), undefined);
  assert.equal(problem(regex, exact), 1);
  assert.equal(problem(match('RegularExpression', '/b.*'), exact), undefined);
  assert.equal(problem(regex, prefix), 1);
  assert.equal(problem(prefix, exact), undefined);
  assert.equal(problem(regex, match('RegularExpression', '/abc.*')), 1);
  assert.equal(problem(regex, match('RegularExpression', '/bcd.*')), undefined);
  assert.equal(problem(match('Exact', '/a'), match('Exact', '/a', { method: 'GET' })), 1);
  assert.equal(problem(match('Exact', '/a', { method: 'POST' }), match('Exact', '/a', { method: 'GET' })), undefined);
});

test('beside prefixes of characters what takes everything is a regular expression, so that it comes last', () => {
  const both = routes({ http: [{ match: [{ uri: { prefix: '/api' } }], ...route }, route] });
  const { made, problems } = converted(entry(), gateway(), both);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    (specOf(made, 'HTTPRoute').rules as Json[]).map(({ matches }) => (matches as Json[])[0]!.path),
    [
      { type: 'RegularExpression', value: '/api.*' },
      { type: 'RegularExpression', value: '/.*' },
    ],
  );
});

test('routes of TLS and TCP', () => {
  const tls = (match: Json, more: Json = {}) =>
    routes({ tls: [{ match: [{ port: 443, sniHosts: ['www.example.com'], ...match }], ...route }], ...more });
  const { made, problems } = converted(entry(undefined, TLS_ENTRY), gateway([PASSTHROUGH]), tls({}));
  assert.deepEqual(problems, []);
  assert.deepEqual(specOf(made, 'TLSRoute'), {
    parentRefs: [{ name: 'default-egress', namespace: 'istio-system', port: 443 }],
    hostnames: ['www.example.com'],
    rules: [{ backendRefs: [{ group: 'networking.istio.io', kind: 'Hostname', name: 'www.example.com', port: 443 }] }],
  });
  stays(/sourceLabels/, entry(undefined, TLS_ENTRY), gateway([PASSTHROUGH]), tls({ sourceLabels: { a: 'b' } }));
  stays(/sourceNamespace/, entry(undefined, TLS_ENTRY), gateway([PASSTHROUGH]), tls({ sourceNamespace: 'b' }));
  stays(/destinationSubnets/, entry(undefined, TLS_ENTRY), gateway([PASSTHROUGH]), tls({ destinationSubnets: ['10.0.0.0/8'] }));
  const redis = entry(undefined, { addresses: ['10.1.1.1'], ports: [{ number: 6379, name: 'tcp', protocol: 'TCP' }] });
  const tcp = (destinationSubnets: string[]) =>
    routes({ tcp: [{ match: [{ destinationSubnets, port: 6379 }], ...route }] }, { gateways: ['mesh'] });
  assert.deepEqual(specOf(converted(redis, tcp(['10.1.1.1/32'])).made, 'TCPRoute').parentRefs, [
    { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'www', port: 6379 },
  ]);
  stays(/destinationSubnets/, redis, tcp(['10.1.1.0/24']));
});

test('where routes on the mesh are attached, and whose they are', () => {
  const mesh = (more: Json = {}, namespace = 'default') =>
    object('VirtualService', 'v', { hosts: ['www.example.com'], gateways: ['mesh'], http: [route], ...more }, namespace);
  assert.equal(converted(entry(), mesh()).made[0]!.metadata.namespace, 'default');
  // For everybody it must be beside its parent.
  assert.equal(converted(entry(), mesh({}, 'other')).made[0]!.metadata.namespace, 'default');
  const own = converted(entry(), mesh({ exportTo: ['.'] }, 'other')).made[0]!;
  assert.deepEqual([own.metadata.namespace, ((own.spec as Json).parentRefs as Json[])[0]!.namespace], ['other', 'default']);
  stays(/exportTo: a route holds for everybody/, entry(), mesh({ exportTo: ['.'] }));
  stays(/hosts\.0: .*none declares www\.example\.com/, entry(['other.example.com']), mesh());
  stays(/declares more\.example\.com as well/, entry(['www.example.com', 'more.example.com']), mesh());
  stays(/of VirtualServices one counts/, entry(), mesh(), { ...mesh(), metadata: { name: 'w', namespace: 'default' } });
});

test('why routes of a Gateway stay', () => {
  stays(/exportTo: a route can’t be hidden/, entry(), gateway(), routes({ http: [route], exportTo: ['.'] }));
  stays(/gateways\.0: there is no Gateway default\/none/, entry(), routes({ http: [route] }, { gateways: ['none'] }));
  const other = object('VirtualService', 'w', { hosts: ['www.example.com'], gateways: ['egress'], http: [route] });
  stays(/has rules for www\.example\.com too/, entry(), gateway(), routes({ http: [route] }), other);
  stays(
    /no rule that takes effect on Gateway default\/egress/,
    entry(),
    gateway([{ ...HTTP, hosts: ['other.example.com'] }]),
    routes({ http: [route] }),
  );
  stays(/"10\.0\.0\.1" is no hostname/, entry(), gateway([{ ...HTTP, hosts: ['*'] }]), routes({ http: [route] }, { hosts: ['10.0.0.1'] }));
});

test('long lists are cut to what an HTTPRoute may have', () => {
  const hosts = Array.from({ length: 20 }, (_, index) => `h${index}.example.com`);
  const http = Array.from({ length: 17 }, (_, index) => ({ match: [{ uri: { exact: `/${index}` } }], ...route }));
  const { made, problems } = converted(entry(), gateway([{ ...HTTP, hosts: ['*'] }]), routes({ http }, { hosts }));
  assert.deepEqual(problems, []);
  const parts = made.filter(({ kind }) => kind === 'HTTPRoute');
  assert.deepEqual(
    parts.map(({ metadata }) => metadata.name),
    ['v', 'v-2', 'v-3', 'v-4'],
  );
  assert.deepEqual(
    parts.map(({ spec }) => ((spec as Json).rules as Json[]).length),
    [16, 1, 16, 1],
  );
});

test('kinds without a counterpart are named', () => {
  const rules = object('DestinationRule', 'd', { host: 'www.example.com' });
  assert.deepEqual(converted(entry(), rules).problems, [': the Gateway API has no counterpart of a DestinationRule without TLS']);
});

test('DestinationRules that originate TLS', () => {
  const https = entry(undefined, { ports: [{ number: 443, name: 'https', protocol: 'HTTPS' }] });
  const unnamed = { mode: 'SIMPLE', sni: 'www.example.com', caCertificates: 'system' };
  const tls = { ...unnamed, subjectAltNames: ['www.example.com'] };
  const rules = (trafficPolicy: Json, more: Json = {}, namespace = 'default') =>
    object('DestinationRule', 'd', { host: 'www.example.com', trafficPolicy, ...more }, namespace);
  const target = { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'www' };
  const validation = {
    hostname: 'www.example.com',
    wellKnownCACertificates: 'System',
    subjectAltNames: [{ type: 'Hostname', hostname: 'www.example.com' }],
  };
  const specs = (...args: Parameters<typeof rules>) => {
    const { made, problems } = converted(https, rules(...args));
    assert.deepEqual(problems, []);
    assert.deepEqual(kinds(made), ['BackendTLSPolicy']);
    return made[0]!.spec;
  };
  assert.deepEqual(specs({ tls }), { targetRefs: [target], validation });
  assert.deepEqual(
    specs({ portLevelSettings: [{ port: { number: 443 }, tls: { ...tls, subjectAltNames: ['spiffe://a', 'b.example.com'] } }] }),
    {
      targetRefs: [{ ...target, sectionName: 'https' }],
      validation: {
        ...validation,
        subjectAltNames: [
          { type: 'URI', uri: 'spiffe://a' },
          { type: 'Hostname', hostname: 'b.example.com' },
        ],
      },
    },
  );
  const refused = (wanted: RegExp, ...args: Parameters<typeof rules>) => stays(wanted, https, rules(...args));
  refused(/subsets: the Gateway API has no subsets/, { tls }, { subsets: [{ name: 'v1' }] });
  refused(/exportTo: /, { tls }, { exportTo: ['.'] });
  refused(/workloadSelector: /, { tls }, { workloadSelector: { matchLabels: { a: 'b' } } });
  refused(/trafficPolicy\.connectionPool: /, { tls, connectionPool: { tcp: { maxConnections: 1 } } });
  refused(/portLevelSettings\.0\.outlierDetection: /, {
    portLevelSettings: [{ port: { number: 443 }, tls, outlierDetection: { interval: '1s' } }],
  });
  refused(/portLevelSettings: of BackendTLSPolicies/, { tls, portLevelSettings: [{ port: { number: 443 }, tls }] });
  refused(/portLevelSettings\.0\.port: .*no port 80/, { portLevelSettings: [{ port: { number: 80 }, tls }] });
  refused(/namespace: a BackendTLSPolicy stands in the namespace of its ServiceEntry, default/, { tls }, {}, 'istio-system');
  refused(/host: .*none declares other\.example\.com/, { tls }, { host: 'other.example.com' });
  refused(/tls\.mode: .*not DISABLE/, { tls: { mode: 'DISABLE' } });
  refused(/state subjectAltNames/, { tls: unnamed });
  refused(/state sni/, { tls: { mode: 'SIMPLE', caCertificates: 'system' } });
  refused(/caCertificates: /, { tls: { ...tls, caCertificates: '/etc/ca.crt' } });
  refused(/credentialName: /, { tls: { mode: 'SIMPLE', sni: 'www.example.com', credentialName: 'c' } });
  refused(/insecureSkipVerify/, { tls: { mode: 'SIMPLE', sni: 'www.example.com', insecureSkipVerify: true } });
  refused(/at most five names/, { tls: { ...tls, subjectAltNames: ['a', 'b', 'c', 'd', 'e', 'f'] } });
  stays(/holds for www\.example\.com too/, https, rules({ tls }), { ...rules({ tls }), metadata: { name: 'e', namespace: 'default' } });
  stays(/declares other hosts as well/, entry(['www.example.com', 'example.com']), rules({ tls }));
});
