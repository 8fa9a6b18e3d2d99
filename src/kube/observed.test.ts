import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObservedObjects } from './observed.ts';

const KUBERNETES = { kind: 'Gateway', apiVersion: 'gateway.networking.k8s.io/v1' };
const ISTIO = { kind: 'Gateway', apiVersion: 'networking.istio.io/v1' };
const object = (resourceVersion: string) => ({ metadata: { name: 'web', namespace: 'shop', uid: 'u', resourceVersion, generation: 2 } });

test('the Gateways of two groups are told apart', () => {
  const observed = new ObservedObjects();
  let changes = 0;
  observed.follow(() => changes++);
  observed.put(KUBERNETES, object('1'));
  observed.put(ISTIO, object('7'));
  observed.removed(ISTIO, 'shop', 'web');
  assert.deepEqual([observed.get('Gateway', 'shop', 'web')?.metadata.resourceVersion, changes], ['1', 1]);
  // The same again is no change.
  observed.put(KUBERNETES, object('1'));
  observed.put(KUBERNETES, object('2'));
  assert.equal(changes, 2);
  observed.removed(KUBERNETES, 'shop', 'web');
  assert.equal(observed.get('Gateway', 'shop', 'web'), undefined);
});
