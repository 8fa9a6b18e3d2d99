/** Analysis sees objects of the Kubernetes Gateway API as what they stand for, and points into them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originText } from '../lib/origin.ts';
import { codesOf, findingsOf } from './testing.ts';

const ENTRY = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec: {hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
`;
const GATEWAY = (addresses: string, tls = '') => `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: ${addresses === '[]' ? 'default' : 'istio-system'}}
spec:
  gatewayClassName: istio
  addresses: ${addresses}
  listeners:
  - {name: http, port: 80, protocol: HTTP, hostname: www.example.com, allowedRoutes: {namespaces: {from: All}}}${tls}
`;
const INSTALLED = '[{type: Hostname, value: istio-egressgateway.istio-system.svc.cluster.local}]';
const MESH = (host: string) => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mesh, namespace: default}
spec:
  parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: www}]
  rules:
  - backendRefs: [{group: networking.istio.io, kind: Hostname, name: ${host}, port: 80}]
`;
const OUT = (name = 'www.example.com', port = 80, gateways = 'istio-system') => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: out, namespace: default}
spec:
  parentRefs: [{name: eg, namespace: ${gateways}}]
  rules:
  - matches: [{path: {value: /a}}]
    backendRefs: [{group: networking.istio.io, kind: Hostname, name: www.example.com, port: 80}]
  - backendRefs:
    - {group: networking.istio.io, kind: Hostname, name: www.example.com, port: 80, weight: 0}
    - {group: networking.istio.io, kind: Hostname, name: ${name}, port: ${port}}
`;
const TO_INSTALLED = MESH('istio-egressgateway.istio-system.svc.cluster.local');
const join = (...documents: string[]) => documents.join('---\n');

test('the way out through a gateway that is there, and through one that Istio deploys, gives no finding', () => {
  assert.deepEqual(codesOf(join(ENTRY, GATEWAY(INSTALLED), TO_INSTALLED, OUT())), []);
  assert.deepEqual(
    codesOf(join(ENTRY, GATEWAY('[]'), MESH('eg-istio.default.svc.cluster.local'), OUT(undefined, undefined, 'default'))),
    [],
  );
});

test('a route of the mesh that is missing lets traffic bypass the gateway', () => {
  assert.deepEqual(codesOf(join(ENTRY, GATEWAY(INSTALLED), OUT())), ['SP1001']);
});

test('a route of the gateway that is missing', () => {
  assert.ok(codesOf(join(ENTRY, GATEWAY(INSTALLED), TO_INSTALLED)).includes('SP1017'));
});

test('a rule that leads nowhere, and redirects nothing', () => {
  const rule = (text: string) => codesOf(join(ENTRY, GATEWAY(INSTALLED), TO_INSTALLED, OUT().replace(/- matches:.*/s, `- ${text}\n`)));
  assert.deepEqual(rule('backendRefs: []'), ['SP1030']);
  assert.deepEqual(rule('filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]'), []);
});

test('a class of Gateways that is misspelt', () => {
  const misspelt = GATEWAY(INSTALLED).replace('gatewayClassName: istio', 'gatewayClassName: itsio');
  assert.ok(codesOf(join(ENTRY, misspelt, TO_INSTALLED, OUT())).includes('SP1032'));
  const declared = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: itsio}
spec: {controllerName: example.com/other}
`;
  assert.ok(!codesOf(join(ENTRY, misspelt, declared, TO_INSTALLED, OUT())).includes('SP1032'));
});

test('a backend that does not exist is found where it is written, with the answer that this API gives', () => {
  const at = (...args: Parameters<typeof OUT>) => {
    const [finding, ...more] = findingsOf(join(OUT(...args), ENTRY, GATEWAY(INSTALLED), TO_INSTALLED));
    assert.deepEqual(more, []);
    return finding!;
  };
  const host = at('wwww.example.com');
  assert.equal(host.code, 'IST0101');
  assert.equal(originText(host.origin), 'HTTPRoute default/out');
  assert.match(host.message, /end in 500 \(NC\)\. Did you mean www\.example\.com\?/);
  assert.deepEqual([host.position?.line, host.position?.column], [11, 58]);
  const port = at('www.example.com', 81);
  assert.equal(port.code, 'IST0101');
  assert.deepEqual([port.position?.line, port.position?.column], [11, 81]);
});

test('a certificate is looked for where the listener says it is', () => {
  const listener = (ref: string) => `
  - {name: https, port: 443, protocol: HTTPS, hostname: www.example.com, allowedRoutes: {namespaces: {from: All}}, tls: {certificateRefs: [${ref}]}}`;
  const findings = findingsOf(join(ENTRY, GATEWAY(INSTALLED, listener('{name: cert}')), TO_INSTALLED, OUT()));
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['IST0101'],
  );
  assert.match(findings[0]!.message, /credentialName not found: "cert"/);
  assert.match(findings[0]!.message, /kubectl -n istio-system create secret/);
  assert.equal(findings[0]!.position?.line, 14);
});

test('findings on objects of this API can be suppressed by their name', () => {
  assert.deepEqual(
    codesOf(join(ENTRY, GATEWAY(INSTALLED), TO_INSTALLED, OUT('nowhere.example.com')), { suppress: ['IST0101=HTTPRoute default/out'] }),
    [],
  );
});

test('a regular expression beside a prefix that takes everything is never reached', () => {
  const regex = OUT().replace('{value: /a}', '{type: RegularExpression, value: "/a.*"}');
  const [finding, ...more] = findingsOf(join(ENTRY, GATEWAY(INSTALLED), TO_INSTALLED, regex));
  assert.deepEqual(more, []);
  assert.equal(finding?.code, 'IST0130');
  assert.match(finding.message, /prefixes, then regular expressions/);
});

test('a Gateway of the Kubernetes Gateway API is called what its document calls it', () => {
  const found = findingsOf(join(ENTRY, GATEWAY(INSTALLED), TO_INSTALLED));
  assert.deepEqual(
    [...new Set(found.filter(({ code }) => code === 'SP1022').map(({ origin }) => originText(origin)))],
    ['Gateway istio-system/eg'],
  );
});

const TWO = (kind: 'HTTPRoute' | 'TLSRoute', app: string) =>
  ['one', 'two'].map(
    (namespace) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: ${namespace}}
spec:
  hosts: [www.example.com]
  exportTo: ['.', app-${namespace}]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 443, name: x, protocol: ${kind === 'TLSRoute' ? 'TLS' : 'HTTP'}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: {name: to, namespace: ${namespace}}
spec:
  ${kind === 'TLSRoute' ? 'hostnames: [www.example.com]' : ''}
  parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: www}]
  rules:
  - backendRefs: [{group: networking.istio.io, kind: Hostname, name: www.example.com, port: 443}]
---
apiVersion: v1
kind: Pod
metadata: {name: app, namespace: ${app}}
spec: {containers: [{name: app}]}
`,
  );

for (const kind of ['HTTPRoute', 'TLSRoute'] as const) {
  test(`of ${kind}s for one host in two namespaces the one that loses is found, and none where each wins at home`, () => {
    const losing = findingsOf(join(...TWO(kind, 'app-two'))).filter(({ code }) => code === 'IST0109');
    assert.deepEqual(
      losing.map(({ origin }) => originText(origin)),
      [`${kind} two/to`],
    );
    assert.ok(!codesOf(join(...TWO(kind, 'two'))).includes('IST0109'));
    assert.ok(!codesOf(join(...TWO(kind, 'app-one'))).includes('IST0109'));
  });
}
