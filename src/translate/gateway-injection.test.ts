import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText, proxyOf, type TestMesh } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { policyDocuments } from '../policy/index.ts';
import { injectedSecrets } from '../xds/injected-secrets.ts';
import { credentialRules } from '../xds/match/credentials.ts';
import { translate } from './index.ts';

const GATEWAY = { type: 'router', namespace: 'istio-system', labels: { istio: 'egressgateway' }, serviceAccount: 'egress' } as const;

const POD = `
apiVersion: v1
kind: Pod
metadata: { name: egress, namespace: istio-system, labels: { istio: egressgateway } }
spec: { serviceAccountName: egress, containers: [{ name: istio-proxy }] }
status: { phase: Running, podIP: 10.0.0.9 }
---`;

const secret = (text: string, namespace = 'shop') => `
apiVersion: v1
kind: Secret
metadata: { name: api, namespace: ${namespace} }
stringData: { token: ${JSON.stringify(text)} }
---`;

const policy = (credential = 'bearer: true', namespace = 'shop', name = 'pays', more = '') => `
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  through: gateway
  tls: { originate: true }
  to: [{ hosts: [api.example], methods: [POST], credentials: [{ ${credential}, from: { secret: { name: api, key: token } } }] }]
  ${more}
---`;

function at(mesh: TestMesh, proxy: Partial<ProxyIdentity> = GATEWAY) {
  const { resources, findings } = translate(proxyOf(proxy), mesh);
  const [host] = resources.routes.flatMap(({ virtualHosts }) => virtualHosts).filter(({ domains }) => domains.includes('api.example'));
  const values = resources.secrets.flatMap(({ name, type }) => {
    if (type.case !== 'genericSecret' || type.value.secret?.specifier.case !== 'inlineBytes') return [];
    return [[name, Buffer.from(type.value.secret.specifier.value).toString()]];
  });
  const asked = resources.listeners.flatMap(({ filterChains }) => filterChains.flatMap(injectedSecrets));
  const sent = host?.routes.map(({ action }) => action.case);
  return {
    rules: credentialRules(host?.metadata),
    asked,
    values,
    sent,
    findings: findings.map(({ code, message }) => `${code} ${message}`),
  };
}

function findingsOf(text: string) {
  return snapshotFromText(text).findings;
}

test('the gateway gets the value over SDS, and its virtual host what goes where', () => {
  const mesh = meshFromText(POD + secret('s3cret\n') + policy('bearer: true, placeholder: none'));
  const { rules, asked, values, findings } = at(mesh);
  assert.deepEqual(findings, []);
  assert.deepEqual(values, [['credential:shop/api/token', 's3cret']]);
  assert.deepEqual(asked, ['credential:shop/api/token']);
  assert.ok(rules !== 'broken');
  assert.deepEqual(
    rules.map(({ name, key, scheme, placeholder, methods }) => ({ name, key, scheme, placeholder, methods })),
    [{ name: 'shop/api/token', key: 'authorization', scheme: 'Bearer', placeholder: 'none', methods: ['POST'] }],
  );
});

test('nobody else gets it: not a sidecar, nor who only says that it is the gateway, nor an Envoy', () => {
  const mesh = meshFromText(POD + secret('s3cret') + policy());
  for (const other of [
    { namespace: 'shop', labels: { app: 'web' } },
    { ...GATEWAY, namespace: 'shop' },
    { ...GATEWAY, serviceAccount: 'default' },
    { ...GATEWAY, injects: false },
  ] as const) {
    const { asked, values, rules } = at(mesh, other);
    assert.deepEqual([asked, values, rules], [[], [], []], JSON.stringify(other));
  }
  const { sent, findings } = at(mesh, { ...GATEWAY, injects: false });
  assert.deepEqual(sent, ['directResponse']);
  assert.match(findings.join(), /SP1024 .*Envoy cannot/);
});

test('what is missing or no value comes empty, and says so', () => {
  for (const [text, said] of [
    ['', /Secret shop\/api does not exist/],
    [secret('s3cret').replace('token:', 'other:'), /has no key token/],
    [secret('two\nlines'), /Key token of Secret shop\/api holds other characters/],
    [secret('s3cret', 'elsewhere'), /Secret shop\/api does not exist/],
  ] as const) {
    const { values, findings } = at(meshFromText(POD + text + policy()));
    assert.deepEqual(values, [['credential:shop/api/token', '']], text);
    assert.match(findings.join(), said);
    assert.ok(!findings.join().includes('s3cret'));
  }
});

test('a Gateway that somebody wrote asks for no Secrets, and routes of others close the host', () => {
  const mesh = meshFromText(POD + secret('s3cret') + policy());
  const [gateway] = mesh.snapshot.list('Gateway');
  const servers = gateway!.spec.servers.map(({ port, hosts }) => ({ port, hosts, tls: { mode: 'ISTIO_MUTUAL' } }));
  const written = JSON.stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'own', namespace: 'istio-system', annotations: gateway!.metadata.annotations },
    spec: { selector: gateway!.spec.selector, servers },
  });
  const own = at(meshFromText(`${POD}${secret('s3cret')}\n${written}\n---`));
  assert.deepEqual([own.asked, own.values], [[], []]);
  const stray = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: stray, namespace: evil }
spec:
  hosts: [api.example]
  gateways: [istio-system/${gateway!.metadata.name}]
  http: [{ rewrite: { uri: /admin }, route: [{ destination: { host: api.example } }] }]
---`;
  const { rules, sent } = at(meshFromText(POD + secret('s3cret') + policy() + stray));
  assert.deepEqual([rules, sent], [[], ['directResponse']]);
});

const OLDER = '2026-01-01T00:00:00Z';
const dated = (text: string, at: string) => text.replace('metadata: { ', `metadata: { creationTimestamp: "${at}", `);
const declared = (namespace: string, exportTo: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { creationTimestamp: "${OLDER}", name: steal, namespace: ${namespace}, annotations: { sallyport.dev/bind: enforce } }
spec:
  hosts: [api.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints: [{ address: 10.66.6.6 }]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  exportTo: ["${exportTo}"]
---`;
const known = (namespace: string, host: string, exportTo: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: known, namespace: ${namespace} }
spec:
  host: "${host}"
  exportTo: ["${exportTo}"]
  trafficPolicy: { tls: { mode: SIMPLE, caCertificates: /tmp/own.pem, sni: api.example, subjectAltNames: [api.example] } }
---`;

test('an object of others that says where the host is, or by what it is known, closes it wherever it would count', () => {
  const own = POD + secret('s3cret') + dated(policy(), '2026-02-01T00:00:00Z');
  for (const [stray, said] of [
    [declared('evil', 'istio-system'), /ServiceEntry evil\/steal says where it is/],
    [declared('shop', 'istio-system'), /ServiceEntry shop\/steal says where it is/],
    [known('shop', 'api.example', 'istio-system'), /DestinationRule shop\/known says by what its server is known/],
    [known('istio-system', '*.example', '.'), /DestinationRule istio-system\/known says by what/],
  ] as const) {
    const { rules, sent, findings } = at(meshFromText(own + stray));
    assert.deepEqual([rules, sent], [[], ['directResponse']], stray);
    assert.match(findings.join(), said);
  }
  for (const harmless of [declared('evil', '*'), known('evil', 'api.example', '*'), known('istio-system', 'api.example', '*')]) {
    const { rules, sent } = at(meshFromText(own + harmless));
    assert.deepEqual([rules.length, sent], [1, ['route', 'directResponse']], harmless);
  }
});

test('policies for one host say the same of credentials, or the younger one is not in force', () => {
  const other = policy('bearer: true', 'evil', 'other');
  const without = policy('bearer: true', 'evil', 'without').replace(/, credentials: .*\]/, ' }]');
  for (const second of [other, without]) {
    const said = findingsOf(POD + secret('s3cret') + policy() + second).map(
      ({ code, origin, message }) => `${code} ${origin.namespace} ${message}`,
    );
    assert.match(said.join(), /SP0018 evil .*\(credentials of namespace shop there/);
  }
  assert.deepEqual(findingsOf(POD + secret('s3cret') + policy() + policy('bearer: true', 'shop', 'more')), []);
});

test('what could not be kept from the workload is refused where it is written', () => {
  for (const [text, said] of [
    [policy().replace('through: gateway', 'through: direct'), /write through: gateway/],
    [policy().replace('originate: true', 'originate: false'), /write tls: { originate: true }/],
    [policy('bearer: true', 'shop', 'pays', 'bind: audit'), /needs bind: enforce/],
    [policy('header: host'), /the header host is not a place/],
    [policy('bearer: true, query: key'), /say once where it goes/],
    [policy().replace('name: api,', 'name: other/api,'), /is no name of a Secret/],
    [policy().replace('key: token', 'key: token, namespace: other'), /namespace/],
  ] as const) {
    const snapshot = snapshotFromText(POD + secret('s3cret') + text);
    assert.match(snapshot.findings.map(({ message }) => message).join(), said);
    assert.deepEqual(snapshot.list('Gateway'), [], String(said));
  }
});

test('no documents are written for a policy with credentials, which Istio would send without', () => {
  const policies = snapshotFromText(policy()).list('EgressPolicy');
  const { documents, findings } = policyDocuments(policies, Date.now());
  assert.deepEqual(documents, []);
  assert.match(
    findings.map(({ code, message }) => `${code} ${message}`).join(),
    /^SP0018 what it has of Secrets is used where Sallyport reads/,
  );
});
