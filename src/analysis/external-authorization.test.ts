import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { findingsIn } from './testing.ts';

const MESH = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: default }
spec: { selector: { matchLabels: { app: web } }, template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: app }] } } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: 8000 }, { name: tcp, port: 90, targetPort: 9000 }] }
---
apiVersion: v1
kind: Service
metadata: { name: authz, namespace: auth }
spec: { selector: { app: authz }, ports: [{ name: http, port: 8000 }, { name: grpc, port: 9000 }] }
---
`;
const service = 'authz.auth.svc.cluster.local';
const PROVIDERS = [
  { name: 'http', envoyExtAuthzHttp: { service, port: 8000 } },
  { name: 'grpc', envoyExtAuthzGrpc: { service, port: 9000 } },
  { name: 'gone', envoyExtAuthzGrpc: { service: `x/${service}`, port: 9000 } },
  { name: 'port', envoyExtAuthzGrpc: { service, port: 9 } },
  { name: 'log', envoyFileAccessLog: {} },
];

function found(provider: string, rules = '[{}]', selector = 'app: web', mesh = MESH): string[] {
  const text = `${mesh}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: default }
spec: { action: CUSTOM, provider: { name: ${provider} }, selector: { matchLabels: { ${selector} } }, rules: ${rules} }`;
  return findingsIn(snapshotFromText(text), {}, meshConfigOf({ extensionProviders: PROVIDERS }))
    .filter(({ code }) => code === 'SP1048' || code === 'SP1049')
    .map(({ code, message }) => `${code} ${message}`);
}

test('TCP ports that a policy with an authorizer over HTTP covers', () => {
  const [one, ...more] = found('http');
  assert.match(one!, /^SP1049 The rule covers TCP port 9000 of its workloads, .* refused here, while Istio lets them pass/);
  assert.deepEqual(more, []);
  assert.equal(found('http', '[{ to: [{ operation: { ports: ["9000", "1"] } }] }]').length, 1);
  for (const rules of ['[]', '[{ to: [{ operation: { ports: ["8000"] } }] }]', '[{ to: [{ operation: { notPorts: ["9000"] } }] }]'])
    assert.deepEqual(found('http', rules), [], rules);
  assert.deepEqual(found('http', '[{}]', 'app: other'), []);
  assert.deepEqual(found('grpc'), []);
});

test('several ports are named in their order, each once', () => {
  const more = MESH.replace(
    'ports: [{ name: http,',
    'ports: [{ name: tcp-x, port: 91, targetPort: 10000 }, { name: tcp-y, port: 92, targetPort: 9000 }, { name: http,',
  );
  assert.match(
    found('http', '[{}]', 'app: web', more).join(),
    /^SP1049 The rule covers TCP ports 9000, 10000 of its workloads, .*connections to them/,
  );
});

test('TCP servers of a gateway count as well', () => {
  const text = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: istio-system }
spec:
  selector: { istio: egressgateway }
  servers:
    - { port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }
    - { port: { number: 443, name: tls, protocol: TLS }, tls: { mode: PASSTHROUGH }, hosts: ['*'] }
---
${MESH}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: istio-system }
spec: { action: CUSTOM, provider: { name: http }, selector: { matchLabels: { istio: egressgateway } }, rules: [{}] }`;
  const messages = findingsIn(snapshotFromText(text), {}, meshConfigOf({ extensionProviders: PROVIDERS }))
    .filter(({ code }) => code === 'SP1049')
    .map(({ message }) => message);
  assert.match(messages.join(), /^The rule covers TCP port 443 /);
});

/** Servers of a gateway, and whether bytes go through them that no authorizer over HTTP can be asked about. */
for (const [protocol, tls, passes] of [
  ['HTTP', '', false],
  ['HTTPS', '{ mode: SIMPLE, credentialName: c }', false],
  ['HTTPS', '{ mode: PASSTHROUGH }', true],
  ['https', '{ mode: AUTO_PASSTHROUGH }', true],
  ['TLS', '{ mode: PASSTHROUGH }', true],
  ['TLS', '{ mode: SIMPLE, credentialName: c }', true],
  ['TCP', '', true],
  ['MONGO', '', true],
] as const)
  test(`a server of a gateway: ${protocol} ${tls}`, () => {
    const text = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: istio-system }
spec:
  selector: { istio: egressgateway }
  servers:
    - { port: { number: 9443, name: p, protocol: ${protocol} }, hosts: ['*']${tls && `, tls: ${tls}`} }
---
${MESH}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: istio-system }
spec: { action: CUSTOM, provider: { name: http }, selector: { matchLabels: { istio: egressgateway } }, rules: [{}] }`;
    const found = findingsIn(snapshotFromText(text), {}, meshConfigOf({ extensionProviders: PROVIDERS })).filter(
      ({ code }) => code === 'SP1049',
    );
    assert.equal(
      found.some(({ message }) => message.startsWith('The rule covers TCP port 9443 ')),
      passes,
    );
  });

test('an authorizer that is not there', () => {
  const cases = [
    ['other', /SP1048 Provider "other" can't be asked: extensionProviders of MeshConfig have none named "other"\. .* is refused \(403/],
    ['gone', /there is no service x\/authz/],
    ['port', /has no port 9\./],
    ['log', /it is no authorizer/],
  ] as const;
  for (const [provider, message] of cases) assert.match(found(provider).join(), message);
  assert.deepEqual(found('other', '[]'), []);
});

test('where keys are fetched from', () => {
  const text = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: r, namespace: default }
spec: { jwtRules: [{ issuer: 'https://a.example/' }, { issuer: b, jwksUri: 'https://keys.example/b' }, { issuer: c, jwks: '{"keys":[]}' }] }`;
  const messages = findingsIn(snapshotFromText(text)).filter(({ code }) => code === 'SP1050');
  assert.deepEqual(
    messages.map(({ message }) => message.slice(0, message.indexOf(','))),
    [
      'The control plane fetches the keys of https://a.example/ from the address that https://a.example/.well-known/openid-configuration names',
      'The control plane fetches the keys of b from https://keys.example/b',
    ],
  );
});
