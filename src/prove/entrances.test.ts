import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { clusterDns, entrancesOf } from './entrances.ts';
import { gatewaysOf, insideAddresses } from './inside.ts';
import { simulateFiles } from './simulated.ts';
import { podText, WWW_ENTRY, WWW_THROUGH_GATEWAY } from './testing.ts';

const service = (name: string, ip: string, selector: string, namespace = 'default') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec: {clusterIP: ${ip}, selector: {${selector}}, ports: [{name: http, port: 80, targetPort: 8080}]}
---`;
const PODS =
  podText('app', '10.0.0.1', { labels: '{app: app}' }) +
  podText('gateway', '10.0.0.9', { namespace: 'istio-system', labels: '{istio: egressgateway}' });
const TEXT =
  PODS +
  service('app', '10.96.0.1', 'app: app') +
  service('headless', 'None', 'app: app') +
  service('istio-egressgateway', '10.96.0.9', 'istio: egressgateway', 'istio-system') +
  WWW_ENTRY +
  WWW_THROUGH_GATEWAY;
const files = (text = TEXT) => simulateFiles(snapshotFromText(text), meshConfigOf());

test('the DNS of the cluster: whole and short names of Services, and endpoints of headless ones', () => {
  const lookUp = clusterDns(files().mesh.registry);
  for (const name of ['app', 'app.default', 'APP.default.svc', 'app.default.svc.cluster.local.'])
    assert.deepEqual(lookUp(name, 'default'), ['10.96.0.1'], name);
  assert.equal(lookUp('app', 'other'), undefined);
  assert.deepEqual(lookUp('headless', 'default'), ['10.0.0.1']);
  assert.equal(lookUp('www.example.com', 'default'), undefined, 'a ServiceEntry is none of its names');
});

test('entrances of gateways: at their own ports, and at those of the Services before them', () => {
  const { mesh, proxy } = files();
  const found = entrancesOf(mesh.registry, [proxy('istio-system/gateway')]).map(({ ip, port }) => `${ip}:${port}`);
  assert.ok(found.includes('10.0.0.9:8080') && found.includes('10.96.0.9:80'), found.join());
  assert.ok(!found.some((text) => text.startsWith('10.96.0.1:')), found.join());
});

test('a gateway is told by its name, and by the clusters of Services that lead to nothing else', () => {
  const isGateway = gatewaysOf(files());
  assert.ok(isGateway('istio-system/gateway'));
  assert.ok(isGateway('outbound|80||istio-egressgateway.istio-system.svc.cluster.local'));
  for (const name of [
    'default/app',
    'outbound|80||app.default.svc.cluster.local',
    'outbound|80||www.example.com',
    'PassthroughCluster',
    '',
  ]) {
    assert.ok(!isGateway(name), name);
  }
  // A Service with another endpoint beside the gateway may lead there.
  const gateway = podText('gateway', '10.0.0.9', { labels: '{istio: egressgateway, app: app}' });
  const alone = files(gateway + service('app', '10.96.0.1', 'app: app') + WWW_ENTRY + WWW_THROUGH_GATEWAY);
  assert.ok(gatewaysOf(alone)('outbound|80||app.default.svc.cluster.local'));
  const mixed = podText('app', '10.0.0.1', { labels: '{app: app}' }) + gateway;
  assert.ok(
    !gatewaysOf(files(mixed + service('app', '10.96.0.1', 'app: app') + WWW_ENTRY + WWW_THROUGH_GATEWAY))(
      'outbound|80||app.default.svc.cluster.local',
    ),
  );
});

test('inside are Pods wherever they are, and what else lies in the ranges of the cluster', () => {
  const entry = (address: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vm, namespace: default}
spec: {hosts: [vm.internal], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: ${address}}]}
---`;
  const inside = (text: string, ranges?: readonly string[]) => insideAddresses(files(text), ranges);
  assert.ok(inside(podText('far', '198.51.100.7')).has('198.51.100.7'));
  assert.ok(inside(PODS + entry('10.1.2.3')).has('10.1.2.3'));
  assert.ok(!inside(PODS + entry('198.51.100.8')).has('198.51.100.8'), 'it says so of itself');
  assert.ok(inside(PODS + entry('198.51.100.8'), ['198.51.100.0/24']).has('198.51.100.8'));
  assert.ok(!inside(PODS + entry('10.1.2.3').replace('MESH_INTERNAL', 'MESH_EXTERNAL')).has('10.1.2.3'));
});
