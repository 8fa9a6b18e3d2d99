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
