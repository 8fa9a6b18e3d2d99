/** Who may ask which proxies there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mesh } from '../../translate/model.ts';
import { seenBy } from './client-status.ts';

test('a workload of another mesh sees no proxies, whatever its namespace is called', () => {
  const config = { rootNamespace: 'istio-system', trustDomain: 'cluster.local' } as Mesh['config'];
  assert.equal(seenBy(undefined, config), undefined);
  assert.equal(seenBy('spiffe://cluster.local/ns/istio-system/sa/admin', config), undefined);
  assert.equal(seenBy('spiffe://cluster.local/ns/shop/sa/cart', config), 'shop');
  for (const domain of ['elsewhere', 'cluster.local.elsewhere', 'elsewhere/cluster.local'])
    for (const namespace of ['istio-system', 'shop']) assert.equal(seenBy(`spiffe://${domain}/ns/${namespace}/sa/admin`, config), '');
});
