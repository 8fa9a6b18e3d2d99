import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyOf } from '../../test/support/mesh.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { holdsFor, recording } from './reading.ts';

const PROXY = proxyOf({ labels: { app: 'web' }, addresses: ['10.0.0.1'] });

function readsOf(use: (proxy: ProxyIdentity) => unknown): string[] {
  const watched = recording(PROXY);
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
  const { proxy } = recording(PROXY);
  assert.deepEqual(structuredClone({ ...proxy, labels: { ...proxy.labels }, addresses: [...proxy.addresses] }), PROXY);
});

test('whether a read would be the same at another proxy', () => {
  const watched = recording(PROXY);
  const { labels, addresses } = watched.proxy;
  assert.ok(labels.app && !labels.team && addresses.includes('10.0.0.1'));
  const holds = (overrides: Partial<ProxyIdentity>) => watched.reads().every((read) => holdsFor(read, { ...PROXY, ...overrides }));
  assert.ok(holds({ labels: { app: 'web', tier: 'x' }, addresses: ['10.0.0.1', '10.0.0.2'], name: 'other' }));
  assert.equal(holds({ labels: { app: 'api' } }), false);
  assert.equal(holds({ labels: { app: 'web', team: 'one' } }), false);
  assert.equal(holds({ addresses: [] }), false);
});
