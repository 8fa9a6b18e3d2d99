import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText, proxyOf } from '../../test/support/mesh.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { holdsFor, recording } from './reading.ts';

const MESH = meshFromText(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: sleep, namespace: default, labels: {app: web}}
spec: {containers: [{name: c}]}
status: {phase: Running, podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: default, labels: {app: web}}
spec: {containers: [{name: c}]}
status: {phase: Running, podIP: 10.0.0.2}
`);
const PROXY = proxyOf({ labels: { app: 'web' }, addresses: ['10.0.0.1'] });

function readsOf(use: (proxy: ProxyIdentity) => unknown): string[] {
  const watched = recording(PROXY, MESH);
  use(watched.proxy);
  return watched.reads().map(({ of, name, value }) => `${of} ${name} ${JSON.stringify(value)}`);
}

test('a read is noted with its value, and nothing else is', () => {
  assert.deepEqual(
    readsOf(({ namespace }) => namespace),
    ['field namespace "default"'],
  );
  assert.deepEqual(
    readsOf(({ labels }) => labels.app),
    ['label app "web"'],
  );
  assert.deepEqual(
    readsOf(({ labels }) => 'team' in labels),
    ['label team undefined'],
  );
  assert.deepEqual(
    readsOf(({ labels }) => Object.hasOwn(labels, 'app')),
    ['label app "web"'],
  );
  assert.deepEqual(
    readsOf(({ addresses }) => addresses.includes('10.0.0.2')),
    ['address 10.0.0.2 false'],
  );
  assert.deepEqual(
    readsOf((proxy) => proxy.bindAddress),
    ['field bindAddress undefined'],
  );
  assert.deepEqual(
    readsOf(({ labels, addresses }) => [labels, addresses]),
    [],
  );
});

test('to list is to read all', () => {
  const all = 'field labels {"app":"web"}';
  for (const use of [Object.keys, Object.entries, (labels: object) => ({ ...labels }), JSON.stringify])
    assert.ok(readsOf(({ labels }) => use(labels)).includes(all));
  const addresses = ['field addresses ["10.0.0.1"]'];
  assert.deepEqual(
    readsOf((proxy) => proxy.addresses.some((address) => address.includes(':'))),
    addresses,
  );
  assert.deepEqual(
    readsOf((proxy) => [...proxy.addresses]),
    addresses,
  );
  assert.deepEqual(
    readsOf((proxy) => proxy.addresses.length),
    addresses,
  );
  assert.deepEqual(
    readsOf((proxy) => proxy.addresses.map((each) => each)),
    addresses,
  );
  assert.ok(readsOf((proxy) => ({ ...proxy })).includes('field bindAddress undefined'));
  assert.ok(readsOf((proxy) => ({ ...proxy })).includes('field name "sleep"'));
});

test('what is read is what the proxy says', () => {
  const { proxy } = recording(PROXY, MESH);
  assert.deepEqual(structuredClone({ ...proxy, labels: { ...proxy.labels }, addresses: [...proxy.addresses] }), PROXY);
});

test('whether a read would be the same at another proxy', () => {
  const watched = recording(PROXY, MESH);
  const { labels, addresses } = watched.proxy;
  assert.ok(labels.app && !labels.team && addresses.includes('10.0.0.1'));
  const holds = (overrides: Partial<ProxyIdentity>) => watched.reads().every((read) => holdsFor(read, { ...PROXY, ...overrides }, MESH));
  assert.ok(holds({ labels: { app: 'web', tier: 'x' }, addresses: ['10.0.0.1', '10.0.0.2'], name: 'other' }));
  assert.equal(holds({ labels: { app: 'api' } }), false);
  assert.equal(holds({ labels: { app: 'web', team: 'one' } }), false);
  assert.equal(holds({ addresses: [] }), false);
});

test('what a workload serves is read as one thing', () => {
  const watched = recording(PROXY, MESH);
  assert.deepEqual(watched.mesh.registry.servicesOf(watched.proxy), MESH.registry.servicesOf(PROXY));
  assert.deepEqual(watched.reads(), [{ of: 'services', name: 'served', value: ['default/web.default.svc.cluster.local 80 8080'] }]);
  const [read] = watched.reads();
  assert.ok(holdsFor(read!, { ...PROXY, addresses: ['10.0.0.2'], name: 'other' }, MESH));
  assert.equal(holdsFor(read!, { ...PROXY, addresses: ['10.0.0.3'], labels: {} }, MESH), false);
});
