import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { meshFromText, proxyOf, type TestMesh } from '../../test/support/mesh.ts';
import { selfSigned } from '../ca/certificates.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { policyDocuments } from '../policy/index.ts';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { injectedSecrets } from '../xds/injected-secrets.ts';
import { credentialRules } from '../xds/match/credentials.ts';
import { refusalOf } from '../xds/match/metadata.ts';
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

const sources = (credential: string, to = '', tls = '') => `
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: pays, namespace: shop }
spec:
  through: gateway
  tls: { originate: true${tls} }
  to: [{ hosts: [api.example], credentials: [{ ${credential} }] }${to}]
---`;
const KEYS = 'sigv4: { region: eu-west-1, service: s3 }, from: { secret: { name: api, keys: { secretAccessKey: key, accessKeyId: id } } }';
const CLIENT = (endpoint = 'https://auth.example/token', more = '') =>
  `bearer: true, from: { secret: { name: api, keys: { clientId: id, clientSecret: key } }, oauth2: { tokenEndpoint: "${endpoint}"${more} } }`;
const AUTH = ', { hosts: [auth.example], methods: [POST], paths: [/token] }';
const pair = (id: string, key: string) => secret('').replace('token: ""', `id: ${JSON.stringify(id)}, key: ${JSON.stringify(key)}`);

test('several keys of a Secret are one value; what of them is missing or none leaves it empty', () => {
  const name = 'credential:shop/api/accessKeyId=id,secretAccessKey=key';
  const { rules, values } = at(meshFromText(POD + pair('AKID', 's3cret') + sources(KEYS)));
  assert.deepEqual(values, [[name, '{"accessKeyId":"AKID","secretAccessKey":"s3cret"}']]);
  assert.ok(rules !== 'broken');
  assert.deepEqual(rules[0]!.signing, { region: 'eu-west-1', service: 's3', unsigned: true });
  for (const [id, key, said] of [
    ['', 's3cret', /Key id of Secret shop\/api is empty/],
    ['A KID', 's3cret', /Key id of Secret shop\/api holds spaces/],
    ['AKID', 's3\ncret', /Key key of Secret shop\/api holds other characters/],
  ] as const) {
    const found = at(meshFromText(POD + pair(id, key) + sources(KEYS)));
    assert.deepEqual(found.values, [[name, '']]);
    assert.match(found.findings.join(), said);
  }
});

test('a token is asked for by the cluster of its endpoint, and whoever says where that is closes the host', () => {
  const own = POD + pair('client', 's3 cret') + dated(sources(CLIENT(undefined, ', scopes: [pay]'), AUTH), '2026-02-01T00:00:00Z');
  const { rules, values } = at(meshFromText(own));
  assert.deepEqual(values, [['credential:shop/api/clientId=id,clientSecret=key', '{"clientId":"client","clientSecret":"s3 cret"}']]);
  assert.ok(rules !== 'broken');
  const token = { endpoint: 'https://auth.example/token', cluster: 'outbound|80||auth.example', parameters: {}, authentication: 'basic' };
  assert.deepEqual(rules[0]!.token, { ...token, scopes: ['pay'] });
  const { rules: none, findings } = at(meshFromText(own + declared('evil', 'istio-system').replace('[api.example]', '[auth.example]')));
  assert.deepEqual(none, []);
  assert.match(
    findings.join(),
    /access tokens for api\.example are asked for at auth\.example, and ServiceEntry evil\/steal says where it is/,
  );
});

test('keys that do not go with what they are for, and endpoints that the policy does not allow, are refused where they are written', () => {
  for (const [text, said] of [
    [
      sources(KEYS.replace('accessKeyId: id', 'clientId: id')),
      /sigv4 signs with several keys of the Secret: write from\.secret\.keys with accessKeyId and secretAccessKey/,
    ],
    [sources(KEYS.replace('keys: {', 'key: one, keys: {')), /and no key/],
    [
      sources(CLIENT().replace('clientId', 'accessKeyId'), AUTH),
      /from\.oauth2 asks with several keys of the Secret: write from\.secret\.keys with clientId and clientSecret/,
    ],
    [sources(`${KEYS}, bearer: true`), /say once where it goes/],
    [sources(CLIENT().replace('bearer: true', 'sigv4: { region: a, service: b }'), AUTH), /from\.oauth2 gives a token, and sigv4 signs/],
    [sources('bearer: true, from: { secret: { name: api, keys: { clientId: id } } }'), /keys are for sigv4 and from\.oauth2/],
    [sources('bearer: true, from: { secret: { name: api } }'), /from\.secret\.key: it is missing/],
    [sources(CLIENT()), /destinations of this policy alone: add auth\.example to spec\.to, with POST and \/token/],
    [sources(CLIENT(), AUTH.replace('POST', 'GET')), /add auth\.example/],
    [sources(CLIENT(), AUTH.replace('/token', '/other')), /add auth\.example/],
    [sources(CLIENT('https://auth.example:8443/token'), AUTH), /it is at port 8443, and the TLS of this policy goes to port 443/],
    [sources(CLIENT('http://auth.example/token'), AUTH), /is no URL of a token endpoint/],
    [sources(CLIENT('https://u:p@auth.example/token'), AUTH), /is no URL of a token endpoint/],
    [sources(CLIENT(undefined, ', parameters: { client_secret: x }'), AUTH), /client_secret is not one of them/],
    [
      policy('bearer: true').replace('originate: true', 'originate: true, clientCertificate: { secret: { name: a/b } }'),
      /"a\/b" is no name of a Secret/,
    ],
    [shown('own', 'api.example').replace('through: gateway', 'through: direct'), /clientCertificate: comes from the egress gateway alone/],
  ] as const) {
    const snapshot = snapshotFromText(POD + text);
    assert.match(snapshot.findings.map(({ message }) => message).join(), said);
    assert.deepEqual(snapshot.list('Gateway'), [], String(said));
  }
});

const shown = (name: string, host: string, namespace = 'shop') => `
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: shows-${name}, namespace: ${namespace} }
spec:
  from: [{ namespace: shop }, { namespace: evil }]
  through: gateway
  tls: { originate: true, clientCertificate: { secret: { name: ${name} } } }
  to: [{ hosts: [${host}] }]
---`;

test('a client certificate is the gateway’s alone, of its own Secret and hosts, and the server is verified by nothing of the Secret', () => {
  const { certificate, key } = selfSigned('shop', { notBefore: 0, notAfter: Date.UTC(2049, 0) });
  const privateKey = key.export({ type: 'pkcs8', format: 'pem' });
  const data = JSON.stringify({ 'tls.crt': certificate, 'tls.key': privateKey, 'ca.crt': certificate });
  const stored = `\n${`{ apiVersion: v1, kind: Secret, metadata: { name: own, namespace: shop }, stringData: ${data} }`}\n---`;
  const mesh = meshFromText(POD + stored + shown('own', 'api.example') + policy('bearer: true').replaceAll('api.example', 'other.example'));
  const secretsAt = (proxy: Partial<ProxyIdentity>) => translate(proxyOf(proxy), mesh).resources.secrets.map(({ name }) => name);
  const refusedAt = (proxy: Partial<ProxyIdentity>) => {
    const { clusters } = translate(proxyOf(proxy), mesh).resources;
    return clusters.filter(({ name }) => name.endsWith('|client_certificate|api.example')).map(({ metadata }) => refusalOf(metadata));
  };
  assert.ok(secretsAt(GATEWAY).includes('kubernetes-gateway://shop/own'));
  assert.ok(!secretsAt(GATEWAY).some((name) => name.includes('cacert')));
  assert.deepEqual(refusedAt(GATEWAY), [undefined]);
  for (const [other, why] of [
    [{ namespace: 'shop', labels: { app: 'web' } }, /hold/],
    [{ ...GATEWAY, namespace: 'shop' }, /by its service account/],
    [{ ...GATEWAY, namespace: 'evil' }, /by its service account/],
    [{ ...GATEWAY, serviceAccount: 'default' }, /by its service account/],
    [{ ...GATEWAY, injects: false }, /on the embedded engine, and this is an Envoy/],
  ] as const) {
    assert.ok(!secretsAt(other).some((name) => name.includes('own')), JSON.stringify(other));
    for (const reason of refusedAt(other)) assert.match(String(reason), why);
    assert.ok(refusedAt(other).length > 0);
  }
  for (const quiet of [
    { namespace: 'shop', labels: { app: 'web' } },
    { ...GATEWAY, serviceAccount: 'default' },
  ] as const)
    assert.deepEqual(
      translate(proxyOf(quiet), mesh).findings.filter(({ message }) => message.includes('certificate')),
      [],
    );
  assert.match(
    translate(proxyOf({ ...GATEWAY, injects: false }), mesh)
      .findings.map(({ message }) => message)
      .join(),
    /this is an Envoy/,
  );
});

test('routes that somebody else has at the gateway lead to the host without the certificate, and cannot name the way with it', () => {
  const stray = (subset: string) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: own, namespace: evil }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 8080, name: http, protocol: HTTP }, hosts: [api.example] }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: own, namespace: evil }
spec:
  hosts: [api.example]
  gateways: [evil/own]
  http: [{ route: [{ destination: { host: api.example, port: { number: 80 }${subset} } }] }]
---`;
  const mesh = meshFromText(POD + shown('own', 'api.example') + stray(''));
  const { routes, clusters } = translate(proxyOf(GATEWAY), mesh).resources;
  const led = (port: string) => {
    const actions = routes
      .filter(({ name }) => name.includes(port))
      .flatMap(({ virtualHosts }) => virtualHosts.flatMap((host) => host.routes));
    return actions.map(({ action }) => action.case === 'route' && action.value.clusterSpecifier.value);
  };
  assert.deepEqual([led('20080'), led('8080')], [['outbound|80|client_certificate|api.example'], ['outbound|80||api.example']]);
  const plain = clusters.find(({ name }) => name === 'outbound|80||api.example')!;
  assert.ok(!Buffer.from(toBinary(ClusterSchema, plain)).includes('shop/own'));
  const { findings } = snapshotFromText(POD + shown('own', 'api.example') + stray(', subset: client_certificate'));
  assert.match(findings.map(({ message }) => message).join(), /"client_certificate" is no name of a subset/);
});

test('policies for one host show one certificate, and that of another namespace is not to be had', () => {
  const said = findingsOf(POD + shown('own', 'api.example') + shown('other', 'api.example')).map(
    ({ code, message }) => `${code} ${message}`,
  );
  assert.match(said.join(), /SP0018 .*client certificate shop\/own there, shop\/other here/);
  const elsewhere =
    '\n{ apiVersion: v1, kind: Secret, metadata: { name: own, namespace: istio-system }, stringData: { tls.crt: a, tls.key: b } }\n---';
  const { findings } = translate(proxyOf(GATEWAY), meshFromText(POD + elsewhere + shown('own', 'api.example')));
  assert.match(findings.map(({ message }) => message).join(), /Secret shop\/own does not exist: calls for which it is shown are refused/);
});
