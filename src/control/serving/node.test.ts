import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { buildRegistry } from '../../registry/index.ts';
import type { Mesh } from '../../translate/model.ts';
import { NodeSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { inputOf } from '../testing.ts';
import { checkIdentity, declaredProxy, followedProxy, proxyOfNode } from './node.ts';

const ID = 'sidecar~10.1.2.3~cart.v1.shop~shop.svc.cluster.local';

const proxyOf = (node: MessageInitShape<typeof NodeSchema>) => proxyOfNode(create(NodeSchema, node));

function meshOf(text: string): Mesh {
  const { snapshot, mesh } = inputOf(text);
  return { snapshot, config: mesh, registry: buildRegistry(snapshot, mesh).registry };
}

const POD = `
apiVersion: v1
kind: Pod
metadata: { name: cart.v1, namespace: shop, labels: { app: cart, tier: front } }
spec: { serviceAccountName: cart, containers: [] }
status: { podIP: 10.9.9.9 }
`;

test('a node in the form of Istio’s agent is a proxy', () => {
  const proxy = proxyOf({
    id: ID,
    metadata: {
      NAME: 'cart.v1',
      NAMESPACE: 'shop',
      LABELS: { app: 'cart' },
      SERVICE_ACCOUNT: 'cart',
      INSTANCE_IPS: '10.1.2.3,fd00::3',
      CLUSTER_ID: 'Kubernetes',
    },
    locality: { region: 'eu', zone: 'b' },
  });
  assert.deepEqual(proxy, {
    type: 'sidecar',
    name: 'cart.v1',
    namespace: 'shop',
    labels: { app: 'cart' },
    serviceAccount: 'cart',
    addresses: ['10.1.2.3', 'fd00::3'],
    locality: 'eu/b',
    injects: false,
  });
  assert.deepEqual(proxyOf({ id: ID }).addresses, ['10.1.2.3']);
});

test('a node that cannot be understood is refused with what is wrong', () => {
  const cases: readonly (readonly [MessageInitShape<typeof NodeSchema>, RegExp])[] = [
    [{ id: '' }, /node\.id "" is not TYPE~ADDRESS~NAME\.NAMESPACE~DOMAIN/],
    [{ id: 'sidecar~10.1.2.3~cart.shop' }, /is not TYPE~/],
    [{ id: 'ztunnel~10.1.2.3~cart.shop~d' }, /begins with "ztunnel": there are sidecar and router/],
    [{ id: 'sidecar~10.1.2.3~cart~d' }, /no NAME\.NAMESPACE/],
    [{ id: 'sidecar~10.1.2.3~.shop~d' }, /no NAME\.NAMESPACE/],
    [{ id: 'sidecar~here~cart.shop~d' }, /"here" of node .* is no IP address/],
    [{ id: `sidecar~10.1.2.3~${'x'.repeat(3000)}.shop~d` }, /node\.id has 30\d\d characters, more than 2048/],
    [{ id: ID, metadata: { LABELS: { a: 'x'.repeat(70_000) } } }, /more than the 65536 that are kept/],
    [{ id: ID, metadata: { INSTANCE_IPS: '10.1.2.3,x' } }, /"x" of node/],
    [{ id: ID, metadata: { INSTANCE_IPS: ',' } }, /is no IP address/],
    [{ id: ID, metadata: { NAMESPACE: 'bank' } }, /NAMESPACE is "bank", but node\.id says "shop"/],
    [{ id: ID, metadata: { NAME: 'other' } }, /NAME is "other"/],
    [{ id: ID, metadata: { LABELS: 'app=cart' } }, /LABELS is no map/],
    [{ id: ID, metadata: { LABELS: { app: 1 } } }, /the value of app is no text/],
    [{ id: ID, metadata: { SERVICE_ACCOUNT: 7 } }, /SERVICE_ACCOUNT is no text/],
  ];
  for (const [node, message] of cases) assert.throws(() => proxyOf(node), { code: 'xds-invalid-node', message });
});

test('where the files declare the workload they are the truth, and what contradicts them is refused', () => {
  const mesh = meshOf(POD);
  const claiming = (LABELS: Record<string, string>, SERVICE_ACCOUNT = 'cart') => proxyOf({ id: ID, metadata: { LABELS, SERVICE_ACCOUNT } });
  const declared = declaredProxy(claiming({ app: 'cart', extra: 'x' }), mesh);
  assert.deepEqual(declared.labels, { app: 'cart', tier: 'front' });
  assert.deepEqual(declared.addresses, ['10.9.9.9']);
  assert.throws(() => declaredProxy(claiming({ app: 'admin' }), mesh), {
    code: 'xds-forbidden',
    message: 'the node\'s label app is "admin", but Pod shop/cart.v1 is declared with "cart"',
  });
  assert.throws(() => declaredProxy(claiming({}, 'root'), mesh), { code: 'xds-forbidden', message: /SERVICE_ACCOUNT is "root"/ });
  const elsewhere = proxyOf({ id: ID.replaceAll('shop', 'bank'), metadata: { LABELS: { app: 'admin' } } });
  assert.equal(declaredProxy(elsewhere, mesh), elsewhere);
});

test('of a proxy that is connected the files are followed; one that they no longer declare stays what it was', () => {
  const claimed = proxyOf({ id: ID, metadata: { SERVICE_ACCOUNT: 'cart' } });
  const before = declaredProxy(claimed, meshOf(POD));
  const changed = followedProxy(claimed, before, meshOf(POD.replace('tier: front', 'tier: back')));
  assert.equal(changed.labels.tier, 'back');
  assert.equal(followedProxy(claimed, changed, meshOf('')), changed);
});

test('who a client proved to be has to be the workload that the node claims to be', () => {
  const mesh = meshOf('');
  const proxy = proxyOf({ id: ID, metadata: { SERVICE_ACCOUNT: 'cart' } });
  checkIdentity('spiffe://cluster.local/ns/shop/sa/cart', proxy, mesh);
  for (const other of [
    '',
    'spiffe://other.domain/ns/shop/sa/cart',
    'spiffe://cluster.local/ns/bank/sa/cart',
    'spiffe://cluster.local/ns/shop/sa/cart2',
  ])
    assert.throws(() => checkIdentity(other, proxy, mesh), { code: 'xds-forbidden' }, other);
});
