import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText, proxyOf } from '../../../test/support/mesh.ts';
import { Turn } from '../turn.ts';
import { expectedProxies } from './expected.ts';

const ENTRY = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: one, namespace: shop }
spec: { hosts: [one.example.com], resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }], endpoints: [{ address: 192.0.2.1 }] }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: istio-system }
spec: { selector: { istio: egress }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }] }
`;
const POD = (name: string, labels: string) => `
---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: ${labels} }
spec: { containers: [{ name: ${name} }] }
status: { podIP: 10.0.0.${name.length} }
`;

test('the proxies of workloads are expected, gateways as gateways; without workloads one sidecar', () => {
  const told = (text: string) => expectedProxies(meshFromText(text)).map(({ type, namespace, name }) => `${type} ${namespace}/${name}`);
  assert.deepEqual(told(ENTRY + POD('cart', '{ app: cart }') + POD('egress', '{ istio: egress }')), [
    'sidecar shop/cart',
    'router shop/egress',
  ]);
  assert.deepEqual(told(ENTRY), ['sidecar default/local']);
});

test('preparing goes on for as long as it is told to, and a proxy of a prepared class gets that', () => {
  const turn = new Turn({ number: 1, mesh: meshFromText(ENTRY), findings: [], identities: undefined, adapt: undefined });
  const prepared = proxyOf({ name: 'a', labels: {}, addresses: ['10.0.0.1'] });
  let asked = 0;
  turn.prepare([prepared, proxyOf({ type: 'router', name: 'b' })], () => asked++ < 1);
  assert.equal(asked, 2);
  assert.equal(turn.setFor(proxyOf({ name: 'c', labels: {}, addresses: ['10.0.0.9'] })), turn.setFor(prepared));
});
