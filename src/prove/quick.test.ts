/** Comparisons that leave out calls which can be told to end alike: that they do, and that they see what differs further on. `test/calls/quick-diff.test.ts` holds them against whole ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../test/support/mesh.ts';
import { decodeDocuments } from '../api/documents.ts';
import { ClusterObjects } from '../config/kubernetes/cluster-objects.ts';
import { compare } from './diff.ts';
import { simulateFiles } from './simulated.ts';

const entry = (name: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: shop}
spec:
  hosts: [${name}.example.com]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
---`;
const route = (name: string, host = `${name}.example.com`) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: shop}
spec:
  hosts: [${name}.example.com]
  gateways: [mesh, egress]
  http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: gateway.shop.svc.cluster.local, port: {number: 80}}}]
  - match: [{gateways: [egress], port: 80}]
    route: [{destination: {host: ${host}, port: {number: 80}}}]
---`;
const NAMES = Array.from({ length: 20 }, (_, i) => `h${i}`);
const WORLD = `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: app, image: x}, {name: istio-proxy, image: x}]}
status: {podIP: 10.0.0.1, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: gateway, namespace: shop, labels: {istio: egress}}
spec: {containers: [{name: istio-proxy, image: x}]}
status: {podIP: 10.0.0.9, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: gateway, namespace: shop}
spec: {clusterIP: 10.96.0.9, selector: {istio: egress}, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: gateway-1, namespace: shop, labels: {kubernetes.io/service-name: gateway}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.9], conditions: {ready: true}}]
ports: [{name: http, port: 80}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: shop}
spec: {selector: {istio: egress}, servers: [{hosts: ['*'], port: {number: 80, name: http, protocol: HTTP}}]}
---${NAMES.map(entry).join('')}${NAMES.slice(0, 10)
  .map((name) => route(name))
  .join('')}`;

const { snapshot, config } = meshFromText(WORLD, { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
const before = simulateFiles(snapshot, config);

/** What a whole comparison and a quick one find when the object is as it says. */
function both(text: string) {
  const [resource] = decodeDocuments(text, 'change.yaml').resources;
  const { apiVersion, kind, metadata } = resource!;
  const objects = ClusterObjects.of(snapshot);
  const { name, namespace } = metadata;
  objects.put(
    { apiVersion, kind, metadata: { name, namespace }, spec: JSON.parse(JSON.stringify(resource!.spec)) as object },
    { apiVersion, kind },
  );
  const after = simulateFiles(objects.snapshot(), config, undefined, { near: before.mesh });
  const told = ({ changes }: ReturnType<typeof compare>) =>
    changes.map(({ kind, destination, after }) => `${kind} ${destination}: ${after}`).sort();
  const [full, quick] = [compare(before, after), compare(before, after, { quick: true })];
  assert.deepEqual(told(quick), told(full));
  return { told: told(quick), left: full.cells - quick.cells, cells: quick.cells };
}

test('another host is found, and the calls to those that it has nothing to do with are not made', () => {
  const { told, left, cells } = both(entry('www'));
  assert.ok(
    told.some((change) => /^widens www\.example\.com:443: reaches www\.example\.com directly/.test(change)),
    told.join('\n'),
  );
  assert.ok(left > cells, `${cells} made, ${left} left out`);
});

test('what differs at the gateway alone is found, and other hosts behind it are left out', () => {
  const { told, left, cells } = both(route('h3', 'h4.example.com'));
  assert.ok(
    told.some((change) => /h3\.example\.com:80: reaches h4\.example\.com/.test(change)),
    told.join('\n'),
  );
  assert.ok(left > cells, `${cells} made, ${left} left out`);
});
