/** Ways round a gateway that a proof must not overlook: each was proved away once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { gatewaysOf } from './inside.ts';
import { type SimulatedFiles, simulateFiles } from './simulated.ts';
import { onlyThroughGateways, type StatementFile, statementOf } from './statements.ts';
import { podText } from './testing.ts';
import { verifyFiles } from './verify.ts';

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';

const mesh = (text: string, mode = 'REGISTRY_ONLY') =>
  simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode } }));

const document = (kind: string, name: string, spec: string, namespace = 'default') =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n---\n`;

const HTTP = '{number: 80, name: http, protocol: HTTP}';
const entry = (host: string, more = 'resolution: DNS', ports = HTTP) =>
  document(
    'ServiceEntry',
    host.replace(/[*.]+/g, '-').replace(/^-/, ''),
    `{hosts: ['${host}'], location: MESH_EXTERNAL, ports: [${ports}], ${more}}`,
  );
const WWW = entry('www.example.com');
/** Seen by the gateway alone. */
const SECRET = entry('secret.example.com', 'resolution: DNS, exportTo: [istio-system]');
const gateway = (servers: string) => document('Gateway', 'egress', `{selector: {istio: egressgateway}, servers: [${servers}]}`);
const GATEWAY = gateway(`{port: ${HTTP}, hosts: ['*']}`);
const pod = (...of: Parameters<typeof podText>) => `${podText(...of)}\n`;
const CALLER = pod('app', '10.0.0.1');
const to = (host: string, port = 80) => `route: [{destination: {host: ${host}, port: {number: ${port}}}}]`;
const routes = (http: string, more = 'hosts: [www.example.com], gateways: [mesh, egress]', name = 'routes') =>
  document('VirtualService', name, `{${more}, http: [${http}]}`);
const AT_GATEWAY = `{match: [{gateways: [egress]}], ${to('www.example.com')}}`;

interface Judged {
  readonly result: string;
  readonly undecided: readonly string[];
}

function judged(files: SimulatedFiles, statement?: StatementFile): Judged {
  const isGateway = gatewaysOf(files);
  const asked = statement ? statementOf(statement, 'test', isGateway) : onlyThroughGateways(isGateway);
  return verifyFiles(files, [asked], 100_000)[0]!;
}

/** A statement about the secret host that no call of the files' workload may break. */
const NOBODY: StatementFile = { onlyWorkloads: { host: 'secret.example.com', workloads: ['default/nobody'] } };

test('a mirror leaves the mesh past the gateway', () => {
  const unreached = entry('secret.example.com') + routes('{directResponse: {status: 403}}', 'hosts: [secret.example.com]', 'secret');
  assert.equal(
    judged(mesh(WWW + unreached + GATEWAY + routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`))).result,
    'proved',
  );
  const copies =
    WWW + unreached + GATEWAY + routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}, mirror: {host: secret.example.com}}, ${AT_GATEWAY}`);
  assert.equal(judged(mesh(copies)).result, 'refuted');
  assert.equal(judged(mesh(copies), NOBODY).result, 'refuted');
});

test('a mirror at the gateway reaches a host', () => {
  const copies =
    WWW +
    SECRET +
    GATEWAY +
    routes(
      `{match: [{gateways: [mesh]}], ${to(EGRESS)}}, {match: [{gateways: [egress]}], ${to('www.example.com')}, mirrors: [{destination: {host: secret.example.com}, percentage: {value: 1}}]}`,
    );
  assert.equal(judged(mesh(copies)).result, 'proved');
  assert.equal(judged(mesh(copies), NOBODY).result, 'refuted');
});

test('a route whose path ignores case behind one that does not', () => {
  const leak = `{match: [{gateways: [mesh], uri: {prefix: /a}}], ${to(EGRESS)}}, {match: [{gateways: [mesh], uri: {prefix: /a}, ignoreUriCase: true}], ${to('www.example.com')}}, {match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`;
  assert.equal(judged(mesh(WWW + GATEWAY + routes(leak))).result, 'refuted');
});

test('a path that the gateway takes whatever its case', () => {
  const hidden = `{match: [{gateways: [mesh], uri: {exact: /a}, ignoreUriCase: true}], ${to(EGRESS)}}, {match: [{gateways: [egress], uri: {exact: /A}}], ${to('secret.example.com')}}`;
  assert.notEqual(judged(mesh(WWW + SECRET + GATEWAY + routes(hidden)), NOBODY).result, 'proved');
});

test('a sample that path normalisation takes to another route', () => {
  const leak = `{match: [{gateways: [mesh], uri: {regex: '/a/..'}}], ${to('www.example.com')}}, {match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`;
  assert.notEqual(judged(mesh(WWW + GATEWAY + routes(leak))).result, 'proved');
});

test('what a refusal keeps from Sallyport alone is not proved', () => {
  const refused = document('DestinationRule', 'gateway', `{host: ${EGRESS}, trafficPolicy: {proxyProtocol: {version: V2}}}`);
  const behind = routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}}, {match: [{gateways: [egress]}], ${to('secret.example.com')}}`);
  assert.notEqual(judged(mesh(WWW + SECRET + GATEWAY + refused + behind), NOBODY).result, 'proved');
});

test('preflights that a CORS policy answers do not stand for others', () => {
  const cors = `{match: [{gateways: [mesh], method: {exact: OPTIONS}, headers: {origin: {prefix: 'http://'}, access-control-request-method: {}}}], corsPolicy: {allowOrigins: [{exact: 'http://'}]}, ${to('www.example.com')}}, {match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`;
  assert.notEqual(judged(mesh(WWW + GATEWAY + routes(cors))).result, 'proved');
});
test('HTTP inside of what a sidecar takes for bytes', () => {
  const tcp = entry('tcp.example.com', 'resolution: DNS', '{number: 9000, name: tcp, protocol: TCP}');
  const toGateway = document('VirtualService', 'tcp', `{hosts: [tcp.example.com], tcp: [{${to(EGRESS)}}]}`);
  const behind = routes(`{${to('secret.example.com')}}`, 'hosts: [hidden.example.com], gateways: [egress]');
  assert.equal(judged(mesh(tcp + SECRET + GATEWAY + toGateway + behind), NOBODY).result, 'refuted');
});

test('HTTP in TLS of the application that the gateway terminates', () => {
  const secret = `apiVersion: v1\nkind: Secret\nmetadata: {name: cert, namespace: istio-system}\ntype: kubernetes.io/tls\ndata: {tls.crt: '', tls.key: ''}\n---\n`;
  const tls = entry('www.example.com', 'resolution: DNS', '{number: 443, name: tls, protocol: TLS}');
  const server = gateway("{port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: cert}, hosts: ['*']}");
  const passed = document(
    'VirtualService',
    'tls',
    `{hosts: [www.example.com], tls: [{match: [{sniHosts: [www.example.com]}], ${to(EGRESS, 443)}}]}`,
  );
  const behind = routes(`{${to('secret.example.com')}}`, 'hosts: [hidden.example.com], gateways: [egress]');
  assert.equal(judged(mesh(secret + tls + SECRET + server + passed + behind), NOBODY).result, 'refuted');
  // A certificate that the files lack may well be in the cluster.
  assert.notEqual(judged(mesh(tls + SECRET + server + passed + behind), NOBODY).result, 'proved');
});

test("a gateway's own address, dialled where any address may be", () => {
  const wild = entry('*.example.org', 'resolution: NONE', '{number: 8080, name: http, protocol: HTTP}');
  const gatewayPod = pod('egress', '10.0.3.1', { namespace: 'istio-system', labels: '{istio: egressgateway}' });
  const server = gateway("{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}");
  const behind = routes(`{${to('secret.example.com')}}`, "hosts: ['*.example.org'], gateways: [egress]");
  assert.equal(judged(mesh(CALLER + gatewayPod + wild + SECRET + server + behind), NOBODY).result, 'refuted');
});

test("a Service's name that is looked up leads to the gateway", () => {
  const alias = entry('alias.example.com', `resolution: DNS, endpoints: [{address: ${EGRESS}}]`);
  const behind = routes(`{${to('secret.example.com')}}`, 'hosts: [alias.example.com], gateways: [egress]');
  assert.equal(judged(mesh(alias + SECRET + GATEWAY + behind), NOBODY).result, 'refuted');
});

test('a ServiceEntry that says of an outside address that it is inside', () => {
  const inside = document(
    'ServiceEntry',
    'inside',
    `{hosts: [out.example.com], location: MESH_INTERNAL, ports: [${HTTP}], resolution: STATIC, endpoints: [{address: 198.51.100.7}]}`,
  );
  assert.notEqual(judged(mesh(inside)).result, 'proved');
});

test('a Service whose EndpointSlice names an outside address', () => {
  const service = `apiVersion: v1\nkind: Service\nmetadata: {name: out, namespace: default}\nspec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}\n---
apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: out-1, namespace: default, labels: {kubernetes.io/service-name: out}}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: [{addresses: [198.51.100.7]}]\n---\n`;
  assert.notEqual(judged(mesh(service)).result, 'proved');
});

test('statements that are about nothing are refused', () => {
  const files = mesh(WWW);
  for (const host of ['198.51.100.10', 'db.example.com:5432', '', 'https://db.example.com'])
    assert.throws(() => judged(files, { onlyWorkloads: { host, workloads: [] } }), { code: 'statements-invalid' });
});

test('workloads of one kind in two places, with endpoints of their own', () => {
  const at = (name: string, ip: string, place: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: default, labels: {app: app, istio-locality: ${place}}}
spec: {containers: [{name: app, image: x}]}
status: {podIP: ${ip}, phase: Running}
---
`;
  const service = document(
    'ServiceEntry',
    'places',
    `{hosts: [places.example.com], location: MESH_INTERNAL, ports: [${HTTP}], resolution: STATIC, endpoints: [{address: 10.0.9.1, locality: a}, {address: 198.51.100.7, locality: b}]}`,
  );
  const rule = document(
    'DestinationRule',
    'places',
    '{host: places.example.com, trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a: 100}}, {from: b, to: {b: 100}}]}}}}',
  );
  assert.equal(judged(mesh(at('one', '10.0.0.1', 'a') + service + rule)).result, 'proved');
  assert.equal(judged(mesh(at('one', '10.0.0.1', 'a') + at('two', '10.0.0.2', 'b') + service + rule)).result, 'refuted');
});

test('a header that the route to the gateway takes away opens a route there', () => {
  const hidden = `{match: [{gateways: [mesh], headers: {x-a: {exact: '1'}}}], headers: {request: {remove: [x-a]}}, ${to(EGRESS)}},
    {match: [{gateways: [egress], headers: {x-a: {exact: '1'}}}], directResponse: {status: 403}},
    {match: [{gateways: [egress], uri: {regex: '/b[0-9]{3}(x|y)'}}], ${to('secret.example.com')}}`;
  assert.notEqual(judged(mesh(WWW + SECRET + GATEWAY + routes(hidden)), NOBODY).result, 'proved');
});

test('a second gateway sees what the first one made of a path', () => {
  const second = pod('second', '10.0.3.2', { namespace: 'istio-system', labels: '{istio: second}' });
  const first = pod('first', '10.0.3.1', { namespace: 'istio-system', labels: '{istio: egressgateway}' });
  const service = (name: string, ip: string) =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: istio-system}\nspec: {clusterIP: ${ip}, selector: {istio: ${name}}, ports: [{name: http, port: 80}]}\n---\n`;
  const behind = document('Gateway', 'second', `{selector: {istio: second}, servers: [{port: ${HTTP}, hosts: ['*']}]}`);
  const chain = `{match: [{gateways: [mesh], uri: {exact: /a}}], ${to('egressgateway.istio-system.svc.cluster.local')}},
    {match: [{gateways: [egress]}], rewrite: {uri: /b123x}, ${to('second.istio-system.svc.cluster.local')}},
    {match: [{gateways: [second], uri: {regex: '/b[0-9]{3}(x|y).*'}}], ${to('secret.example.com')}}`;
  const text =
    CALLER +
    first +
    second +
    service('egressgateway', '10.96.3.1') +
    service('second', '10.96.3.2') +
    WWW +
    SECRET +
    GATEWAY +
    behind +
    routes(chain, 'hosts: [www.example.com], gateways: [mesh, egress, second]');
  assert.equal(judged(mesh(text), NOBODY).result, 'refuted');
});

test('files without Pods: workloads of every namespace that something is said of', () => {
  const open = document('Sidecar', 'open', "{egress: [{hosts: ['*/*']}], outboundTrafficPolicy: {mode: ALLOW_ANY}}", 'payments');
  assert.equal(judged(mesh(open)).result, 'refuted');
  const labelled = document(
    'Sidecar',
    'open',
    "{workloadSelector: {labels: {app: legacy}}, egress: [{hosts: ['*/*']}], outboundTrafficPolicy: {mode: ALLOW_ANY}}",
  );
  assert.equal(judged(mesh(labelled)).result, 'refuted');
  assert.equal(judged(mesh(open), { nothingLeaves: { namespace: 'payments' } }).result, 'refuted');
  assert.equal(judged(mesh(WWW + GATEWAY + routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`))).result, 'proved');
});

test('statements about a namespace that nobody is in', () => {
  assert.equal(judged(mesh(CALLER + WWW), { nothingLeaves: { namespace: 'paymnets' } }).result, 'undecided');
});

test('a workload that a Gateway selects is still one that calls', () => {
  const selected = document('Gateway', 'own', `{selector: {app: tenant}, servers: [{port: ${HTTP}, hosts: ['*']}]}`);
  const tenant = pod('tenant', '10.0.0.5', { labels: '{app: tenant}' }).replace(
    'containers: [',
    'containers: [{name: istio-proxy, image: y}, ',
  );
  const open = document(
    'Sidecar',
    'open',
    "{workloadSelector: {labels: {app: tenant}}, egress: [{hosts: ['*/*']}], outboundTrafficPolicy: {mode: ALLOW_ANY}}",
  );
  assert.equal(judged(mesh(CALLER + tenant + selected + open)).result, 'refuted');
});

test('a WorkloadEntry outside that is labelled like the gateway', () => {
  const entry = document('WorkloadEntry', 'out', '{address: 198.51.100.7, labels: {istio: egressgateway}}');
  const service = document(
    'ServiceEntry',
    'out',
    `{hosts: [out.example.com], location: MESH_EXTERNAL, ports: [${HTTP}], resolution: STATIC, workloadSelector: {labels: {istio: egressgateway}}}`,
  );
  const real = pod('egress', '10.0.3.1', { namespace: 'istio-system', labels: '{istio: egressgateway}' });
  assert.equal(judged(mesh(CALLER + real + GATEWAY + entry + service)).result, 'refuted');
});

test('an SNI that the gateway serves, among those that it does not', () => {
  const wild = entry('*.example.org', 'resolution: NONE', '{number: 443, name: tls, protocol: TLS}');
  const toGateway = document(
    'VirtualService',
    'wild',
    `{hosts: ['*.example.org'], tls: [{match: [{sniHosts: ['*.example.org']}], ${to(EGRESS, 443)}}]}`,
  );
  const server = gateway('{port: {number: 443, name: tls, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: [hidden.example.org]}');
  const behind = document(
    'VirtualService',
    'hidden',
    `{hosts: [hidden.example.org], gateways: [egress], tls: [{match: [{sniHosts: [hidden.example.org]}], ${to('secret.example.com', 80)}}]}`,
  );
  assert.equal(judged(mesh(wild + toGateway + server + SECRET + behind), NOBODY).result, 'refuted');
});

test('an SNI that names a cluster of an AUTO_PASSTHROUGH gateway', () => {
  const server = gateway("{port: {number: 443, name: auto, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*']}");
  // It has clusters of this kind for services of the mesh whose endpoints take its mTLS.
  const secret = document(
    'ServiceEntry',
    'secret',
    '{hosts: [secret.example.com], location: MESH_INTERNAL, resolution: STATIC, endpoints: [{address: 198.51.100.7, labels: {security.istio.io/tlsMode: istio}}], exportTo: [istio-system], ports: [{number: 443, name: tls, protocol: TLS}]}',
  );
  assert.equal(judged(mesh(secret + server), NOBODY).result, 'refuted');
  assert.equal(judged(mesh(secret + server)).result, 'proved');
});

test('what is refused on the way to the gateway, or at it, does not leave past it', () => {
  const refused = document('DestinationRule', 'gateway', `{host: ${EGRESS}, trafficPolicy: {proxyProtocol: {version: V2}}}`);
  const pattern = WWW + GATEWAY + routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`);
  assert.equal(judged(mesh(pattern + refused)).result, 'proved');
  const outside = document('DestinationRule', 'www', '{host: www.example.com, trafficPolicy: {proxyProtocol: {version: V2}}}');
  assert.equal(judged(mesh(WWW + outside)).result, 'undecided');
});

test('what is not captured, does not decode, or is patched is not proved', () => {
  const pattern = WWW + GATEWAY + routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`);
  assert.equal(judged(mesh(CALLER + pattern)).result, 'proved');
  const annotated = CALLER.replace('labels:', "annotations: {traffic.sidecar.istio.io/excludeOutboundPorts: '443'}, labels:");
  assert.equal(judged(mesh(annotated + pattern)).result, 'undecided');
  const patch = document(
    'EnvoyFilter',
    'patch',
    '{configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: envoy.filters.http.lua}}}]}',
  ).replace('/v1\n', '/v1alpha3\n');
  assert.equal(judged(mesh(CALLER + pattern + patch)).result, 'undecided');
  const broken = document(
    'ServiceEntry',
    'broken',
    '{hosts: [out.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNSS}',
  );
  assert.equal(judged(mesh(CALLER + pattern + broken)).result, 'undecided');
});

test('a name that the sidecar takes for another one, and the gateway does not', () => {
  const service =
    'apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: default}\nspec: {clusterIP: 10.96.0.7, selector: {app: shop}, ports: [{name: http, port: 80}]}\n---\n';
  const shop = 'shop.default.svc.cluster.local';
  const more = `hosts: [${shop}], gateways: [mesh, egress]`;
  const through = routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}}, {match: [{gateways: [egress]}], ${to(shop)}}`, more);
  // Of the Service's names only the whole one leads to the Service there.
  const other = (host: string) => routes(`{${to('secret.example.com')}}`, `hosts: ['${host}'], gateways: [egress]`, 'other');
  const named = gateway(`{port: ${HTTP}, hosts: ['${shop}', shop.default]}`);
  assert.equal(judged(mesh(CALLER + service + SECRET + named + through), NOBODY).result, 'proved');
  assert.equal(judged(mesh(CALLER + service + SECRET + named + through + other('shop.default')), NOBODY).result, 'refuted');
});
