import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowOf } from '../flows/testing.ts';
import { cutFlow, type FlowMesh, lossSeen } from './flow-cut.ts';
import { EVERYTHING, LEFT_OUT, sightOf } from './sight.ts';

const MESH: FlowMesh = { trustDomain: 'cluster.local', rootNamespace: 'istio-system' };
const KNOWN = new Set(['shop', 'payments', 'istio-system']);
const SHOP = sightOf(new Set(['shop']), () => KNOWN);
const own = flowOf({ proxy: 'shop/cart', workload: 'shop/cart', verdict: 'refused', reason: 'not allowed' });
const atGateway = flowOf({
  proxy: 'istio-system/egress',
  role: 'router',
  workload: 'spiffe://cluster.local/ns/shop/sa/cart',
  cluster: 'outbound|443||www.example.com',
  upstream: '198.51.100.7:443',
  reason: 'AuthorizationPolicy payments/only refuses',
  origins: [
    { kind: 'VirtualService', namespace: 'istio-system', name: 'way' },
    { kind: 'ServiceEntry', namespace: 'shop', name: 'www' },
  ],
});

test('whoever sees all is told all', () => {
  for (const flow of [own, atGateway]) assert.equal(cutFlow(flow, EVERYTHING, MESH), flow);
});

test('a call is told to those who see the namespace of who called, and to nobody else', () => {
  assert.deepEqual(cutFlow(own, SHOP, MESH), own);
  const { workload: _, ...unnamed } = own;
  assert.deepEqual(cutFlow(unnamed, SHOP, MESH), unnamed);
  for (const other of [
    { ...own, proxy: 'payments/ledger', workload: 'payments/ledger' },
    // Into the namespace from another: who called is not theirs to know.
    { ...own, workload: 'spiffe://cluster.local/ns/payments/sa/ledger' },
    // Of another mesh, whatever its namespaces are called; and of nobody that a gateway knows.
    { ...own, workload: 'spiffe://other.mesh/ns/shop/sa/cart' },
    { ...unnamed, role: 'router' as const },
    { ...own, workload: 'spiffe://cluster.local' },
    { ...own, workload: '' },
  ])
    assert.equal(cutFlow(other, SHOP, MESH), undefined, JSON.stringify(other));
});

test('at a gateway elsewhere a call is told without what is there', () => {
  const { proxy, cluster, upstream, reason, origins, host, verdict } = cutFlow(atGateway, SHOP, MESH)!;
  assert.deepEqual(
    [proxy, cluster, upstream, reason, origins, host, verdict],
    [
      'a proxy of another namespace',
      undefined,
      undefined,
      LEFT_OUT,
      [{ kind: 'ServiceEntry', namespace: 'shop', name: 'www' }],
      'www.example.com',
      'allowed',
    ],
  );
  const through = cutFlow(
    { ...own, gateway: 'istio-system/egress', cluster: 'outbound|80||egress.istio-system.svc', upstream: '10.0.0.1:80' },
    SHOP,
    MESH,
  )!;
  assert.deepEqual([through.gateway, through.cluster, through.upstream], ['a proxy of another namespace', undefined, undefined]);
});

test('what a proxy of another namespace says of callers is not told, unless it is of the root namespace', () => {
  assert.equal(cutFlow({ ...atGateway, proxy: 'payments/forger' }, SHOP, MESH), undefined);
  assert.notEqual(cutFlow({ ...atGateway, proxy: 'shop/egress' }, SHOP, MESH), undefined);
});

test('calls that are not told are counted for those whose they were', () => {
  assert.equal(lossSeen('shop/cart', SHOP, MESH), 'counted');
  assert.equal(lossSeen('istio-system/egress', SHOP, MESH), 'uncounted');
  assert.equal(lossSeen('payments/ledger', SHOP, MESH), 'none');
  assert.equal(lossSeen('payments/ledger', EVERYTHING, MESH), 'counted');
});
