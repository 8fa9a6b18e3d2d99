import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDocuments } from '../api/documents.ts';
import { localMesh, RouterAddresses } from './local-mesh.ts';
import { snapshotFromText } from './memory.ts';
import { Store } from './store.ts';

const gateway = (name: string, selector: string, port: number, protocol: string) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: default }
spec:
  selector: { ${selector} }
  servers:
  - port: { number: ${port}, name: p, protocol: ${protocol} }
    hosts: [example.com]
---`;

const meshOf = (text: string, addresses = new RouterAddresses()) =>
  localMesh(snapshotFromText(text, { file: 'a.yaml' }), 'istio-system', addresses);

test('each distinct selector gets a router with an address of its own, as a Pod', () => {
  const { routers, snapshot } = meshOf(
    gateway('a', 'istio: egressgateway', 80, 'HTTP') +
      gateway('b', 'istio: egressgateway', 443, 'TLS') +
      gateway('c', 'istio: ingressgateway', 80, 'HTTP'),
  );
  assert.deepEqual(
    routers.map(({ identity: { name, namespace, bindAddress } }) => [name, namespace, bindAddress]),
    [
      ['istio-egressgateway', 'istio-system', '127.0.100.1'],
      ['istio-ingressgateway', 'istio-system', '127.0.100.2'],
    ],
  );
  assert.deepEqual(snapshot.get('Pod', 'istio-system', 'istio-egressgateway')?.metadata.labels, {
    app: 'istio-egressgateway',
    istio: 'egressgateway',
  });
});

test('a Gateway that is not in force has its router all the same', () => {
  const { routers } = meshOf(gateway('a', 'istio: egressgateway', 80, 'HTTP').replace('hosts:', 'host:'));
  assert.equal(routers.length, 1);
});

test('a selector by another label of the same gateway is the same router', () => {
  const { routers } = meshOf(gateway('a', 'istio: egressgateway', 80, 'HTTP') + gateway('b', 'app: istio-egressgateway', 81, 'HTTP'));
  assert.equal(routers.length, 1);
});

test('the default Services have the usual ports and those of the Gateways, which is said', () => {
  const { snapshot, findings } = meshOf(gateway('redis', 'istio: egressgateway', 6379, 'TCP'));
  const ports = snapshot
    .get('Service', 'istio-system', 'istio-egressgateway')
    ?.spec.ports?.map(({ name, port, targetPort }) => [name, port, targetPort]);
  assert.deepEqual(ports, [
    ['http2', 80, 8080],
    ['https', 443, 8443],
    ['tcp-6379', 6379, 6379],
  ]);
  assert.equal(findings.length, 1);
  assert.match(findings[0]!.message, /6379/);
});

test('a Service of the files stays as it is, and its selector decides namespace and labels of the router', () => {
  const service = `
apiVersion: v1
kind: Service
metadata: { name: out, namespace: edge }
spec: { selector: { istio: edge, tier: front }, ports: [{ port: 80, name: http }] }
---`;
  const { routers } = meshOf(service + gateway('a', 'istio: edge', 80, 'HTTP'));
  assert.equal(routers[0]?.identity.namespace, 'edge');
  assert.deepEqual(routers[0]?.identity.labels, { istio: 'edge', tier: 'front' });
});

test('a Service without an address gets one, as the API server would give it', () => {
  const { snapshot } = meshOf(`
apiVersion: v1
kind: Service
metadata: { name: db, namespace: default }
spec: { selector: { app: db }, ports: [{ port: 5432, name: tcp }] }
---
apiVersion: v1
kind: Service
metadata: { name: headless, namespace: default }
spec: { clusterIP: None, selector: { app: db }, ports: [{ port: 5432, name: tcp }] }`);
  assert.match(snapshot.get('Service', 'default', 'db')?.spec.clusterIP ?? '', /^240\.96\./);
  assert.equal(snapshot.get('Service', 'default', 'headless')?.spec.clusterIP, 'None');
});

test('a router keeps its address while others come and go', () => {
  const addresses = new RouterAddresses();
  meshOf(gateway('a', 'istio: one', 80, 'HTTP') + gateway('b', 'istio: two', 80, 'HTTP'), addresses);
  const { routers } = meshOf(gateway('b', 'istio: two', 80, 'HTTP') + gateway('c', 'istio: three', 80, 'HTTP'), addresses);
  assert.deepEqual(
    routers.map(({ identity }) => identity.bindAddress),
    ['127.0.100.2', '127.0.100.3'],
  );
});

test('a Kubernetes Gateway without an address gets a router and a Service of its own, on ports that need no privilege', () => {
  const own = (namespace: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: eg, namespace: ${namespace} }
spec: { gatewayClassName: istio, listeners: [{ name: http, port: 80, protocol: HTTP }] }
---`;
  const { routers, snapshot } = meshOf(own('a') + own('b'));
  assert.deepEqual(
    routers.map(({ key, identity: { name, namespace, bindAddress } }) => [key, name, namespace, bindAddress]),
    [
      ['router gateway.networking.k8s.io/gateway-name,eg', 'eg', 'a', '127.0.100.1'],
      ['router b gateway.networking.k8s.io/gateway-name,eg', 'eg', 'b', '127.0.100.2'],
    ],
  );
  for (const namespace of ['a', 'b']) {
    const service = snapshot.get('Service', namespace, 'eg-istio');
    assert.deepEqual(
      service?.spec.ports.map(({ port, targetPort }) => [port, targetPort]),
      [[80, 10_080]],
    );
  }
});

const service = (name: string) => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec: { selector: { app: ${name} }, ports: [{ port: 5432, name: tcp }] }
---`;

test('a Service keeps its address while others come and go; what did not change is the same', () => {
  const addresses = new RouterAddresses();
  const before = meshOf(service('b') + service('c') + gateway('a', 'istio: one', 80, 'HTTP'), addresses);
  const after = meshOf(service('a') + service('c') + gateway('a', 'istio: one', 80, 'HTTP'), addresses);
  const addressOf = ({ snapshot }: typeof before, name: string) => snapshot.get('Service', 'default', name)?.spec.clusterIP;
  assert.deepEqual([addressOf(before, 'b'), addressOf(before, 'c')], ['240.96.1.0', '240.96.1.1']);
  assert.equal(addressOf(after, 'c'), '240.96.1.1');
  assert.equal(new Set([addressOf(before, 'b'), addressOf(before, 'c'), addressOf(after, 'a')]).size, 3);
  assert.equal(after.routers, before.routers);
  assert.equal(after.snapshot.list('Pod'), before.snapshot.list('Pod'));
  for (const name of ['istio-egressgateway', 'istio-ingressgateway'])
    assert.equal(after.snapshot.get('Service', 'istio-system', name), before.snapshot.get('Service', 'istio-system', name));
});

test('nothing changed: every list is the same', () => {
  const store = new Store();
  store.set('a.yaml', decodeDocuments(service('a') + gateway('a', 'istio: egressgateway', 6379, 'TCP'), 'a.yaml'));
  const addresses = new RouterAddresses();
  const [before, after] = [1, 2].map(() => localMesh(store.snapshot(), 'istio-system', addresses));
  for (const kind of ['Service', 'Pod', 'Gateway', 'ServiceEntry'] as const)
    assert.equal(after!.snapshot.list(kind), before!.snapshot.list(kind), kind);
  assert.equal(after!.snapshot.all(), before!.snapshot.all());
  assert.equal(after!.findings, before!.findings);
});
