import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chains, httpOf, listenerOf, SIDECAR, translated } from '../../../test/support/translated.ts';
import { originText } from '../../lib/origin.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { Translation } from '../model.ts';

const SERVER: ProxyIdentity = { ...SIDECAR, name: 'web', labels: { app: 'web' }, addresses: ['10.244.1.20'] };

const WORKLOAD = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: default, labels: { app: web } }
spec: { containers: [{ name: app }] }
status: { phase: Running, podIP: 10.244.1.20, conditions: [{ type: Ready, status: 'True' }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec:
  clusterIP: 10.96.1.20
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: 8000 }, { name: tcp, port: 90, targetPort: 9000 }, { name: any, port: 70, targetPort: 7000 }]
---
`;

const HTTP = 'http/1.1 h2c';
const MESH_HTTP = 'istio-http/1.0 istio-http/1.1 istio-h2';
const MESH_TCP = 'istio-peer-exchange istio';
const MESH_ANY = `istio istio-peer-exchange ${MESH_HTTP}`;
const REST = [
  `tls ${MESH_HTTP} → http inline InboundPassthroughCluster`,
  `raw_buffer ${HTTP} → http inline InboundPassthroughCluster`,
  `tls ${MESH_TCP} → tcp InboundPassthroughCluster`,
  'raw_buffer → tcp InboundPassthroughCluster',
  'tls → tcp InboundPassthroughCluster',
];
const inbound = (result: Translation) => chains(listenerOf(result, 'virtualInbound'));

test('each served port has its chains, by what its protocol is', () => {
  const result = translated(WORKLOAD, SERVER);
  assert.deepEqual(inbound(result), [
    'port 15006 → tcp BlackHoleCluster',
    ...REST,
    `port 7000 tls ${MESH_HTTP} → http inline inbound|7000||`,
    `port 7000 raw_buffer ${HTTP} → http inline inbound|7000||`,
    `port 7000 tls ${MESH_TCP} → tcp inbound|7000||`,
    'port 7000 raw_buffer → tcp inbound|7000||',
    'port 7000 tls → tcp inbound|7000||',
    `port 8000 tls ${MESH_ANY} → http inline inbound|8000||`,
    'port 8000 raw_buffer → http inline inbound|8000||',
    `port 9000 tls ${MESH_ANY} → tcp inbound|9000||`,
    'port 9000 raw_buffer → tcp inbound|9000||',
    'port 9000 tls → tcp inbound|9000||',
  ]);
});

test('on a TCP port that takes plain bytes alone nobody waits for the client’s first ones', () => {
  const disable = policy('PeerAuthentication', 'selector: { matchLabels: { app: web } }, portLevelMtls: { 9000: { mode: DISABLE } }');
  const filters = listenerOf(translated(WORKLOAD + disable, SERVER), 'virtualInbound').listenerFilters;
  const disabled = (name: string) => {
    const rule = filters.find((filter) => filter.name === `envoy.filters.listener.${name}`)!.filterDisabled!.rule;
    const rules = rule.case === 'orMatch' ? rule.value.rules.map((each) => each.rule) : [rule];
    return rules.map((each) => (each.case === 'destinationPortRange' ? each.value.start : undefined));
  };
  assert.equal(filters[0]!.name, 'envoy.filters.listener.original_dst');
  assert.deepEqual(disabled('tls_inspector'), [9000, 15006]);
  assert.deepEqual(disabled('http_inspector'), [8000, 9000, 15006]);
});

test('the routes to the application name the service', () => {
  const chain = listenerOf(translated(WORKLOAD, SERVER), 'virtualInbound').filterChains.find(({ name }) => name === '0.0.0.0_8000')!;
  const { routeSpecifier, serverName, useRemoteAddress } = httpOf(chain);
  assert.ok(routeSpecifier.case === 'routeConfig');
  const [host] = routeSpecifier.value.virtualHosts;
  assert.equal(host!.name, 'inbound|http|80');
  assert.equal(host!.routes[0]!.decorator!.operation, 'web.default.svc.cluster.local:80/*');
  assert.equal(serverName, 'istio-envoy');
  assert.equal(useRemoteAddress, false);
});

test('the application is asked again where it had just closed the connection, save for gRPC', () => {
  const retries = (protocol: string) => {
    const text = WORKLOAD.replace('name: http,', `name: ${protocol},`);
    const chain = listenerOf(translated(text, SERVER), 'virtualInbound').filterChains.find(({ name }) => name === '0.0.0.0_8000')!;
    const { routeSpecifier } = httpOf(chain);
    assert.ok(routeSpecifier.case === 'routeConfig');
    const { action } = routeSpecifier.value.virtualHosts[0]!.routes[0]!;
    return action.case === 'route' && action.value.retryPolicy?.retryOn;
  };
  assert.deepEqual(['http', 'http2', 'grpc'].map(retries), ['reset-before-request', 'reset-before-request', undefined]);
});

test('a Sidecar’s ingress takes the place of the services', () => {
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: s, namespace: default }
spec:
  ingress:
    - { port: { number: 8080, protocol: HTTP, name: h }, defaultEndpoint: 127.0.0.1:8000 }
    - { port: { number: 9090, protocol: TCP, name: t }, defaultEndpoint: 127.0.0.1:9000, captureMode: NONE, bind: 10.244.1.20 }
`;
  const result = translated(WORKLOAD + sidecar, SERVER);
  assert.deepEqual(inbound(result), [
    'port 15006 → tcp BlackHoleCluster',
    ...REST,
    `port 8080 tls ${MESH_ANY} → http inline inbound|8080||`,
    'port 8080 raw_buffer → http inline inbound|8080||',
  ]);
  assert.deepEqual(chains(listenerOf(result, '10.244.1.20_9090')), [
    `tls ${MESH_ANY} → tcp inbound|9090||`,
    'raw_buffer → tcp inbound|9090||',
    'tls → tcp inbound|9090||',
  ]);
});

test('a Sidecar’s ingress that terminates TLS refuses', () => {
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: s, namespace: default }
spec:
  ingress:
    - port: { number: 8443, protocol: HTTPS, name: h }
      defaultEndpoint: 127.0.0.1:8000
      tls: { mode: SIMPLE, serverCertificate: /c.crt, privateKey: /c.key }
`;
  const result = translated(WORKLOAD + sidecar, SERVER);
  assert.deepEqual(
    inbound(result).filter((line) => line.startsWith('port 8443')),
    [
      `port 8443 tls ${MESH_ANY} → tcp BlackHoleCluster`,
      'port 8443 raw_buffer → tcp BlackHoleCluster',
      'port 8443 tls → tcp BlackHoleCluster',
    ],
  );
  assert.deepEqual(
    result.findings.map(({ code, origin }) => `${code} ${originText(origin)}`),
    ['SP1024 Sidecar default/s'],
  );
});

function policy(kind: string, spec: string, more = ''): string {
  return `
apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { name: p, namespace: default ${more} }
spec: { ${spec} }
---
`;
}

const refused = (origin: string) => {
  const http = `http inline refused|${origin}`;
  return [
    'port 15006 → tcp BlackHoleCluster',
    `raw_buffer ${HTTP} → ${http}`,
    'raw_buffer → tcp BlackHoleCluster',
    `port 7000 raw_buffer ${HTTP} → ${http}`,
    'port 7000 raw_buffer → tcp BlackHoleCluster',
    `port 8000 raw_buffer → ${http}`,
    'port 9000 raw_buffer → tcp BlackHoleCluster',
  ];
};

/** Nothing enforces it where nobody has an identity. */
const NAMED = "rules: [{ from: [{ source: { principals: ['*'] } }] }]";
const nameless = (text: string) => translated(text, SERVER, {}, { withoutIdentities: true });

test('an AuthorizationPolicy that can’t be enforced closes the workload', () => {
  const spec = `selector: { matchLabels: { app: web } }, ${NAMED}`;
  const result = nameless(WORKLOAD + policy('AuthorizationPolicy', spec));
  assert.deepEqual(inbound(result), refused('AuthorizationPolicy default/p'));
  assert.deepEqual(
    result.findings.map(({ code, level, origin }) => `${code} ${level} ${originText(origin)}`),
    ['SP1024 Error AuthorizationPolicy default/p'],
  );
  const chain = listenerOf(result, 'virtualInbound').filterChains.find(
    ({ filterChainMatch }) => filterChainMatch?.destinationPort === 8000,
  )!;
  const { routeSpecifier } = httpOf(chain);
  assert.ok(routeSpecifier.case === 'routeConfig');
  const { action } = routeSpecifier.value.virtualHosts[0]!.routes[0]!;
  assert.ok(action.case === 'directResponse');
  assert.equal(action.value.status, 403);
});

test('policies that concern others, or only report, close nothing', () => {
  const open = inbound(nameless(WORKLOAD));
  const others = [
    policy('AuthorizationPolicy', `selector: { matchLabels: { app: other } }, ${NAMED}`),
    policy('AuthorizationPolicy', NAMED).replace('namespace: default', 'namespace: other'),
    policy('AuthorizationPolicy', `${NAMED}, targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: g }]`),
    policy('PeerAuthentication', 'mtls: { mode: PERMISSIVE }'),
  ];
  for (const text of others) assert.deepEqual(inbound(nameless(WORKLOAD + text)), open, text);
});

test('policies of the root namespace hold everywhere', () => {
  const root = policy('AuthorizationPolicy', NAMED).replace('namespace: default', 'namespace: istio-system');
  assert.deepEqual(inbound(nameless(WORKLOAD + root)), refused('AuthorizationPolicy istio-system/p'));
});

test('PeerAuthentication: the nearest policy decides on a port, and the mesh’s TLS alone is taken where it is STRICT', () => {
  const lines = (text: string, port: number) =>
    inbound(translated(WORKLOAD + text, SERVER)).filter((line) => line.startsWith(`port ${port} `));
  const strict = policy('PeerAuthentication', 'mtls: { mode: STRICT }');
  assert.deepEqual(lines(strict, 8000), ['port 8000 tls → http inline inbound|8000||']);
  assert.deepEqual(lines(strict, 9000), ['port 9000 tls → tcp inbound|9000||']);
  assert.deepEqual(lines(strict, 7000), [`port 7000 tls ${MESH_HTTP} → http inline inbound|7000||`, 'port 7000 tls → tcp inbound|7000||']);
  const own = (spec: string) =>
    policy('PeerAuthentication', `selector: { matchLabels: { app: web } }, ${spec}`).replace('name: p', 'name: q');
  const disabled = strict + own('mtls: { mode: DISABLE }');
  assert.deepEqual(lines(disabled, 8000), ['port 8000 raw_buffer → http inline inbound|8000||']);
  assert.deepEqual(lines(disabled, 9000), ['port 9000 raw_buffer → tcp inbound|9000||']);
  const byPort = strict + own('portLevelMtls: { 9000: { mode: DISABLE } }');
  assert.deepEqual(lines(byPort, 9000), ['port 9000 raw_buffer → tcp inbound|9000||']);
  assert.deepEqual(lines(byPort, 8000), lines(strict, 8000));
  const ofMesh = strict.replace('namespace: default', 'namespace: istio-system');
  assert.deepEqual(lines(ofMesh, 8000), lines(strict, 8000));
  // With a selector a policy of the root namespace says nothing, as in Istio.
  assert.deepEqual(lines(ofMesh.replace('mtls:', 'selector: { matchLabels: { app: web } }, mtls:'), 8000), lines('', 8000));
});

test('where proxies have no identities, STRICT refuses, and the rest is plain', () => {
  const without = (text: string) => translated(WORKLOAD + text, SERVER, {}, { withoutIdentities: true });
  const strict = without(policy('PeerAuthentication', 'mtls: { mode: STRICT }'));
  assert.deepEqual(
    strict.findings.map(({ code, origin }) => `${code} ${originText(origin)}`),
    ['SP1024 PeerAuthentication default/p'],
  );
  assert.ok(inbound(strict).every((line) => /BlackHoleCluster|refused/.test(line)));
  assert.ok(inbound(without('')).every((line) => !line.includes('istio')));
  const named = policy('AuthorizationPolicy', "rules: [{ from: [{ source: { principals: ['*'] } }] }]");
  assert.equal(without(named).findings.length, 1);
});
