/** What is asked of the cluster itself: its versions, and the other clusters of its mesh. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Pair, testPairs } from '../../test/support/findings.ts';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import { buildRegistry } from '../registry/index.ts';
import { analyze } from './index.ts';
import { findingsOf, TEST_DAY } from './testing.ts';

const node = (name: string, version: string) => `
apiVersion: v1
kind: Node
metadata: {name: ${name}}
status: {nodeInfo: {kubeletVersion: ${version}}}
---`;
const definition = (kind: string, versions: string) => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ${kind.toLowerCase()}s.gateway.networking.k8s.io}
spec: {group: gateway.networking.k8s.io, scope: Namespaced, names: {kind: ${kind}, plural: x}, versions: [${versions}]}
---`;
const V1 = '{name: v1, served: true}';
const BETA = '{name: v1beta1, served: true}';
const ALPHA = '{name: v1alpha2, served: true}';

const PAIRS: Record<string, Pair> = {
  IST0142: { wrong: node('a', 'v1.30.4') + node('b', 'v1.31.9+k3s1'), right: node('a', 'v1.30.4') + node('b', 'v1.32.0') },
  'IST0142 of nodes that do not say': { wrong: node('a', 'v1.9.0'), right: node('a', 'unknown') },
  IST0156: { wrong: definition('HTTPRoute', V1), right: definition('HTTPRoute', `${V1}, ${BETA}`) },
  'IST0156 of a version that is not served': {
    wrong: definition('Gateway', `${V1}, {name: v1beta1, served: false}`),
    right: definition('GRPCRoute', V1),
  },
  IST0172: { wrong: definition('GRPCRoute', ALPHA), right: definition('TLSRoute', ALPHA) },
};

testPairs(PAIRS);

test('the versions that are served are named in order', () => {
  const messages = findingsOf(definition('HTTPRoute', `{name: v1beta2, served: true}, {name: v1beta3, served: false}, ${ALPHA}`)).map(
    ({ message }) => message,
  );
  assert.match(messages.join(), /in the versions v1alpha2, v1beta2, and Istio asks for v1beta1/);
  const none = findingsOf(definition('HTTPRoute', '{name: v1, served: false}')).map(({ message }) => message);
  assert.match(none.join(), /in the versions \(none\)/);
});

const service = (spec: string, name = 'web') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec: ${spec}
---`;
const PORTS = 'ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 443}]';

/** The messages on the Service of this cluster and those of others. */
function differences(here: string, ...there: readonly string[]): string[] {
  const snapshot = snapshotFromText(here || '# nothing\n');
  const mesh = defaultMeshConfig();
  const { registry } = buildRegistry(snapshot, mesh);
  const remoteClusters = new Map(there.map((text, i) => [`c${i + 1}`, snapshotFromText(text, { file: `c${i + 1}.yaml` })]));
  return analyze({ snapshot, registry, mesh, now: TEST_DAY, remoteClusters })
    .filter(({ code }) => code === 'IST0170')
    .map(({ message, position }) => `${position!.file} ${message}`);
}

test('IST0170: a Service is held against those of its name in other clusters', () => {
  const here = service(`{${PORTS}}`);
  assert.deepEqual(
    differences(here, here, service('{ports: [{name: b, port: 443, nodePort: 30443}, {name: a, port: 80, targetPort: 8080}]}')),
    [],
  );
  assert.deepEqual(differences(here, service(`{type: LoadBalancer, ${PORTS}}`, 'other')), []);
  const [type] = differences(here, here, service(`{type: LoadBalancer, ${PORTS}}`));
  assert.match(type!, /^inline\.yaml Service shop\/web of this cluster is another in c2 \(type LoadBalancer in place of ClusterIP\):/);
  const [headless] = differences(here, service(`{clusterIP: None, ${PORTS}}`));
  assert.match(headless!, /another in c1 \(headless\)/);
  const [ports] = differences(here, service('{ports: [{name: a, port: 80}]}'));
  assert.match(ports!, /\(ports a 80\/TCP in place of a 80\/TCP to 8080, b 443\/TCP\)/);
});

test('IST0170: other clusters are held against each other where this one has no such Service', () => {
  const found = differences('', service(`{${PORTS}}`), service('{ports: [{port: 81}]}'));
  assert.equal(found.length, 1);
  assert.match(found[0]!, /^c1\.yaml Service shop\/web of c1 is another in c2 /);
});
