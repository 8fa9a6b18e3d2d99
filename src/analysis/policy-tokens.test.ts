/** Policies that ask for tokens: where they are read, and of which issuers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsOf } from './testing.ts';

const GATEWAY_API = 'group: gateway.networking.k8s.io, kind: Gateway, name: out';
const object = (kind: string, spec: string, namespace = 'default') =>
  `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: { name: ${namespace}, namespace: ${namespace} }\nspec: ${spec}\n---\n`;
const reads = (spec: string, namespace?: string) => object('RequestAuthentication', spec, namespace);
const RULES = `jwtRules: [{ issuer: idp, jwks: '{"keys":[]}' }]`;
const asks = (rule: string, more = '') => object('AuthorizationPolicy', `{ ${more}rules: [${rule}] }`);
const principal = (value: string) => `{ from: [{ source: { requestPrincipals: ["${value}"] } }] }`;
const CLAIM = '{ when: [{ key: "request.auth.claims[group]", values: [admin] }] }';
const POD = `apiVersion: v1
kind: Pod
metadata: { name: app, namespace: default, labels: { app: app } }
spec: { containers: [{ name: app }, { name: istio-proxy }] }
---
`;
const ATTACHED = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: out, namespace: default }
spec: { gatewayClassName: istio, listeners: [{ name: http, port: 80, protocol: HTTP }] }
---
`;

const found = (yaml: string) =>
  findingsOf(yaml)
    .filter(({ code }) => code === 'SP1068')
    .map(({ message }) => message);

test('tokens have to be read at the workloads of the policy', () => {
  for (const rule of [principal('*'), CLAIM]) {
    assert.match(found(POD + asks(rule)).join(), /^No RequestAuthentication .*As it stands it allows nothing\./);
    assert.match(found(POD + reads(`{ selector: { matchLabels: { app: other } }, ${RULES} }`) + asks(rule)).join(), /^No RequestAuth/);
    assert.match(found(POD + reads(`{ ${RULES} }`, 'elsewhere') + asks(rule)).join(), /^No RequestAuth/);
    assert.match(found(POD + reads('{}') + asks(rule)).join(), /^No RequestAuth/, 'without rules nothing is read');
    assert.deepEqual(found(POD + reads(`{ ${RULES} }`) + asks(rule)), []);
    assert.deepEqual(found(POD + reads(`{ ${RULES} }`, 'istio-system') + asks(rule)), [], 'of the root namespace');
    assert.deepEqual(found(asks(rule)), [], 'no workload is known');
  }
  const denied = asks('{ from: [{ source: { notRequestPrincipals: ["*"] } }] }', 'action: DENY, ');
  assert.match(found(POD + denied).join(), /As it stands it excludes nothing\./);
  const patch = 'apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: { name: f, namespace: default }\n';
  const reading =
    'spec: { configPatches: [{ applyTo: HTTP_FILTER, patch: { operation: INSERT_BEFORE, value: { name: envoy.filters.http.jwt_authn } } }] }\n---\n';
  assert.deepEqual(found(POD + asks(CLAIM) + patch + reading), [], 'a patch may read them');
});

test('at a Gateway of the Gateway API tokens are read by what is attached to it', () => {
  const policy = asks(principal('*'), `targetRefs: [{ ${GATEWAY_API} }], `);
  assert.match(found(ATTACHED + policy).join(), /^No RequestAuthentication/);
  assert.match(found(ATTACHED + reads(`{ selector: { matchLabels: { app: out } }, ${RULES} }`) + policy).join(), /^No RequestAuth/);
  assert.deepEqual(found(ATTACHED + reads(`{ targetRefs: [{ ${GATEWAY_API} }], ${RULES} }`) + policy), []);
  assert.deepEqual(found(ATTACHED + reads(`{ ${RULES} }`) + policy), []);
});

test('a principal begins with an issuer whose tokens are read', () => {
  const all = (value: string) => found(POD + reads(`{ ${RULES} }`) + asks(principal(value)));
  for (const value of ['*', '*/me', 'idp/me', 'idp/*', 'i*', 'idp/m*']) assert.deepEqual(all(value), [], value);
  for (const value of ['idp', 'me', 'other/*', 'idp2*'])
    assert.match(all(value).join(), /tokens of idp alone are read.*Write idp\/\*/, value);
});
