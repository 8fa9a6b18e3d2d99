import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { chains, entry, hosts, httpOf, listenerOf, ROUTER, routesOf, translated } from '../../../test/support/translated.ts';
import { originText } from '../../lib/origin.ts';
import { DownstreamTlsContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Translation } from '../model.ts';

/** A Gateway of the router with these servers, as text. */
function gateway(name: string, servers: string, namespace = 'istio-system'): string {
  return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { istio: egressgateway }, servers: [${servers}] }
---
`;
}

const server = (port: number, protocol: string, host: string, more = '') =>
  `{ port: { number: ${port}, name: p${port}, protocol: ${protocol} }, hosts: ['${host}'] ${more} }`;

function virtualService(name: string, host: string, gateways: string, rules: string, namespace = 'default'): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: ${namespace} }
spec: { hosts: ['${host}'], gateways: [${gateways}], ${rules} }
---
`;
}

const toB = 'route: [{ destination: { host: b.example.com, port: { number: 81 } } }]';
const names = ({ resources }: Translation) => resources.listeners.map(({ name }) => name);
const codes = ({ findings }: Translation) => findings.map(({ code, origin }) => `${code} ${originText(origin)}`);

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: gw, namespace: istio-system }
spec: { clusterIP: 10.96.3.10, selector: { istio: egressgateway }, ports: [{ name: http2, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: egress, namespace: istio-system, labels: { istio: egressgateway } }
spec: { containers: [{ name: proxy }] }
status: { phase: Running, podIP: 10.244.3.10, conditions: [{ type: Ready, status: 'True' }] }
---
`;

test('a server binds the target port of a Service over the router, else its own port', () => {
  const servers = gateway('g', `${server(80, 'HTTP', '*')}, ${server(81, 'HTTP', '*')}`);
  assert.deepEqual(names(translated(SERVICE + servers, ROUTER)), ['0.0.0.0_8080', '0.0.0.0_81']);
  assert.deepEqual(names(translated(servers, ROUTER)), ['0.0.0.0_80', '0.0.0.0_81']);
  const moved = listenerOf(translated(servers, { ...ROUTER, bindAddress: '127.0.100.1' }), '0.0.0.0_81').address?.address;
  assert.ok(moved?.case === 'socketAddress');
  assert.equal(moved.value.address, '127.0.100.1');
});

test('a client of a gateway that does not say what it wants is given up in time', () => {
  const servers = gateway('g', server(443, 'HTTPS', 'a.example.com', ', tls: { mode: ISTIO_MUTUAL }'));
  const { listenerFilters, listenerFiltersTimeout, continueOnListenerFiltersTimeout } = listenerOf(
    translated(servers, ROUTER),
    '0.0.0.0_443',
  );
  assert.deepEqual(
    listenerFilters.map(({ name }) => name),
    ['envoy.filters.listener.tls_inspector'],
  );
  assert.equal(listenerFiltersTimeout, undefined, 'Envoy’s own 15 s');
  assert.equal(continueOnListenerFiltersTimeout, false);
});

test('a Gateway concerns the routers that its selector picks, of whatever namespace', () => {
  const other = gateway('g', server(80, 'HTTP', '*'), 'elsewhere');
  assert.deepEqual(names(translated(other, ROUTER)), ['0.0.0.0_80']);
  assert.deepEqual(names(translated(other, { ...ROUTER, labels: { istio: 'ingressgateway' } })), []);
});

test('HTTP servers of a port share routes; VirtualServices merge, older first, catch-alls last', () => {
  const text =
    gateway('one', server(80, 'HTTP', 'a.example.com')) +
    gateway('two', server(80, 'HTTP', '*.example.com')) +
    virtualService('all', 'a.example.com', 'istio-system/one', `http: [{ name: all, ${toB} }]`) +
    virtualService('some', 'a.example.com', 'istio-system/two', `http: [{ name: some, match: [{ uri: { prefix: /x } }], ${toB} }]`);
  const result = translated(text, ROUTER);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_80')), ['any → http http.80']);
  const routes = routesOf(result, 'http.80');
  assert.deepEqual(hosts(routes), ['a.example.com:80: a.example.com']);
  assert.deepEqual(
    routes.virtualHosts[0]!.routes.map(({ name }) => name),
    ['some', 'all'],
  );
  assert.equal(httpOf(listenerOf(result, '0.0.0.0_80').filterChains[0]!).useRemoteAddress, true);
});

test('a host has routes where server and VirtualService have it in common', () => {
  const common = (serverHost: string, ruleHost: string, ruleNamespace = 'default') => {
    const rules = virtualService('v', ruleHost, 'istio-system/g', `http: [{ ${toB} }]`, ruleNamespace);
    return hosts(routesOf(translated(gateway('g', server(80, 'HTTP', serverHost)) + rules, ROUTER), 'http.80'))[0];
  };
  assert.equal(common('*', 'a.example.com'), 'a.example.com:80: a.example.com');
  assert.equal(common('a.example.com', '*.example.com'), 'a.example.com:80: a.example.com');
  assert.equal(common('default/a.example.com', 'a.example.com'), 'a.example.com:80: a.example.com');
  assert.equal(common('*/a.example.com', 'a.example.com'), 'a.example.com:80: a.example.com');
  const none = 'blackhole:80: *';
  assert.equal(common('b.example.com', 'a.example.com'), none);
  assert.equal(common('other/a.example.com', 'a.example.com'), none);
  assert.equal(common('./a.example.com', 'a.example.com'), none);
  assert.equal(common('./a.example.com', 'a.example.com', 'istio-system'), 'a.example.com:80: a.example.com');
});

test('gateways are named within the namespace of the VirtualService unless they say theirs', () => {
  const text = gateway('g', server(80, 'HTTP', '*')) + virtualService('v', 'a.example.com', 'g', `http: [{ ${toB} }]`);
  assert.deepEqual(hosts(routesOf(translated(text, ROUTER), 'http.80')), ['blackhole:80: *']);
  const near = gateway('g', server(80, 'HTTP', '*'), 'default') + virtualService('v', 'a.example.com', 'g', `http: [{ ${toB} }]`);
  assert.deepEqual(hosts(routesOf(translated(near, ROUTER), 'http.80')), ['a.example.com:80: a.example.com']);
});

test('without a VirtualService httpsRedirect redirects no host that names a namespace', () => {
  const redirected = (host: string, more = '') => {
    const text = gateway('g', server(80, 'HTTP', host, ', tls: { httpsRedirect: true }')) + more;
    return routesOf(translated(text, ROUTER), 'http.80').virtualHosts.map(({ domains, requireTls }) => `${domains} ${requireTls}`);
  };
  assert.deepEqual(redirected('*/a.example.com'), ['a.example.com 2']);
  assert.deepEqual(redirected('default/a.example.com'), ['* 0']);
  const rules = virtualService('v', 'a.example.com', 'istio-system/g', `http: [{ ${toB} }]`);
  assert.deepEqual(redirected('default/a.example.com', rules), ['a.example.com 2']);
});

test('httpsRedirect redirects every host of the server, with and without routes', () => {
  const routes = routesOf(
    translated(gateway('g', server(80, 'HTTP', 'a.example.com', ', tls: { httpsRedirect: true }')), ROUTER),
    'http.80',
  );
  assert.deepEqual(hosts(routes), ['a.example.com:80: a.example.com']);
  assert.equal(routes.virtualHosts[0]!.requireTls, 2);
});

const SIMPLE =
  ', tls: { mode: SIMPLE, serverCertificate: /c.crt, privateKey: /c.key, minProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256] }';

test('HTTPS is terminated for the hosts of its server, each with its own routes', () => {
  const text = gateway(
    'g',
    `${server(443, 'HTTPS', 'a.example.com', SIMPLE)}, ${server(8443, 'HTTPS', '*.example.org', SIMPLE.replace('SIMPLE', 'MUTUAL, caCertificates: /ca.crt'))}`,
  );
  const result = translated(text, ROUTER);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_443')), ['a.example.com → http https.443.p443.g.istio-system']);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_8443')), ['*.example.org → http https.8443.p8443.g.istio-system']);
  const tls = (name: string) => {
    const socket = listenerOf(result, name).filterChains[0]!.transportSocket!;
    assert.ok(socket.configType.case === 'typedConfig');
    return fromBinary(DownstreamTlsContextSchema, socket.configType.value.value);
  };
  const simple = tls('0.0.0.0_443');
  assert.deepEqual(simple.commonTlsContext!.alpnProtocols, ['h2', 'http/1.1']);
  assert.equal(simple.commonTlsContext!.tlsParams!.tlsMinimumProtocolVersion, 4);
  assert.deepEqual(simple.commonTlsContext!.tlsParams!.cipherSuites, ['ECDHE-RSA-AES128-GCM-SHA256']);
  assert.equal(simple.requireClientCertificate, false);
  assert.equal(simple.commonTlsContext!.validationContextType.case, undefined);
  assert.equal(tls('0.0.0.0_8443').requireClientCertificate, true);
  assert.equal(tls('0.0.0.0_8443').commonTlsContext!.validationContextType.case, 'combinedValidationContext');
});

const PASSTHROUGH = ', tls: { mode: PASSTHROUGH }';
const tlsRule = (sni: string, more = '') => `tls: [{ match: [{ sniHosts: ['${sni}'] ${more} }], ${toB} }]`;

test('passthrough follows the tls rules of the VirtualServices bound to the Gateway', () => {
  const text =
    entry('b.example.com', ['81 TLS']) +
    gateway('g', server(443, 'TLS', '*.example.com', PASSTHROUGH)) +
    virtualService('v', 'a.example.com', 'istio-system/g', tlsRule('a.example.com', ', port: 443')) +
    virtualService('w', 'c.example.com', 'istio-system/g', tlsRule('c.example.com', ', port: 444')) +
    virtualService('x', 'd.example.com', 'istio-system/other', tlsRule('d.example.com'));
  const listener = listenerOf(translated(text, ROUTER), '0.0.0.0_443');
  assert.deepEqual(chains(listener), ['a.example.com → tcp outbound|81||b.example.com']);
  assert.equal(listener.continueOnListenerFiltersTimeout, false);
});

test('a server that no rule serves binds nothing', () => {
  assert.deepEqual(names(translated(gateway('g', `${server(443, 'TLS', '*', PASSTHROUGH)}, ${server(6379, 'TCP', '*')}`), ROUTER)), []);
});

test('TCP servers follow the first tcp rule for their port', () => {
  const rules =
    'tcp: [{ match: [{ port: 1 }], route: [{ destination: { host: nowhere } }] }, { route: [{ destination: { host: b.example.com, port: { number: 6379 } } }] }]';
  const text = gateway('g', server(6379, 'TCP', '*')) + virtualService('v', 'b.example.com', 'istio-system/g', rules);
  assert.deepEqual(chains(listenerOf(translated(text, ROUTER), '0.0.0.0_6379')), ['any → tcp outbound|6379||b.example.com']);
});

test('AUTO_PASSTHROUGH has a chain for each cluster, known by its SNI', () => {
  const result = translated(SERVICE + gateway('g', server(15443, 'TLS', '*.local', ', tls: { mode: AUTO_PASSTHROUGH }')), ROUTER);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_15443')), [
    'outbound_.80_._.gw.istio-system.svc.cluster.local istio istio-peer-exchange istio-http/1.0 istio-http/1.1 istio-h2 → ' +
      'tcp outbound_.80_._.gw.istio-system.svc.cluster.local',
  ]);
});

test('plain HTTP comes after TLS on one port, not before it', () => {
  const [https, http] = [
    gateway('tls', server(443, 'HTTPS', 'a.example.com', SIMPLE)),
    gateway('plain', server(443, 'HTTP', 'b.example.com')),
  ];
  const both = translated(https + http, ROUTER);
  assert.deepEqual(chains(listenerOf(both, '0.0.0.0_443')), [
    'a.example.com → http https.443.p443.tls.istio-system',
    'raw_buffer → http http.443',
  ]);
  assert.deepEqual(codes(both), []);
  const first = translated(http + https, ROUTER);
  assert.deepEqual(chains(listenerOf(first, '0.0.0.0_443')), ['any → http http.443']);
  assert.deepEqual(codes(first), ['IST0145 Gateway istio-system/tls']);
});

test('a server on 0.0.0.0 shares the listener of every address, one on another address has its own', () => {
  const bound = (bind: string) =>
    gateway('one', server(80, 'HTTP', 'a.example.com')) + gateway('two', server(80, 'HTTP', 'b.example.com', `, bind: ${bind}`));
  assert.deepEqual(names(translated(bound('0.0.0.0'), ROUTER)), ['0.0.0.0_80']);
  const own = translated(bound('10.0.0.1'), ROUTER);
  assert.deepEqual(names(own), ['0.0.0.0_80', '10.0.0.1_80']);
  assert.deepEqual(
    own.resources.routes.map(({ name }) => name),
    ['http.80', 'http.80.10.0.0.1'],
  );
});

test('of two passthrough matches that share a name the younger is not served at all', () => {
  const rule = (names: string) => `tls: [{ match: [{ sniHosts: [${names}] }], ${toB} }]`;
  const text =
    gateway('g', server(443, 'TLS', '*.example.com', ', tls: { mode: PASSTHROUGH }')) +
    virtualService('old', '*.example.com', 'istio-system/g', rule('a.example.com')) +
    virtualService('new', '*.example.com', 'istio-system/g', rule('a.example.com, c.example.com'));
  const result = translated(text, ROUTER);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_443')), ['a.example.com → tcp outbound|81||b.example.com']);
  assert.deepEqual(codes(result), ['IST0145 Gateway istio-system/g']);
});

test('of two TLS servers for one host the older is served', () => {
  const result = translated(
    gateway('old', server(443, 'HTTPS', 'a.example.com', SIMPLE)) + gateway('new', server(443, 'HTTPS', 'a.example.com', SIMPLE)),
    ROUTER,
  );
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_443')), ['a.example.com → http https.443.p443.old.istio-system']);
  assert.deepEqual(codes(result), ['IST0145 Gateway istio-system/new']);
});

test('ISTIO_MUTUAL asks for identities of the mesh; where nobody has one it refuses with the reason', () => {
  const text = gateway('g', server(443, 'HTTPS', 'a.example.com', ', tls: { mode: ISTIO_MUTUAL }'));
  const [chain] = listenerOf(translated(text, ROUTER), '0.0.0.0_443').filterChains;
  const context = fromBinary(DownstreamTlsContextSchema, chain!.transportSocket!.configType.value!.value);
  assert.equal(context.requireClientCertificate, true);
  assert.equal(chain!.transportSocketConnectTimeout?.seconds, 15n, 'a client that never ends its handshake');
  assert.deepEqual(
    context.commonTlsContext!.tlsCertificateSdsSecretConfigs.map(({ name }) => name),
    ['default'],
  );
  const result = translated(text, ROUTER, {}, { withoutIdentities: true });
  const listener = listenerOf(result, '0.0.0.0_443');
  assert.deepEqual(chains(listener), ['a.example.com tls → tcp BlackHoleCluster']);
  assert.match(String(listener.filterChains[0]!.metadata?.filterMetadata.sallyport?.refusal), /ISTIO_MUTUAL/);
  assert.deepEqual(codes(result), ['SP1024 Gateway istio-system/g']);
});
