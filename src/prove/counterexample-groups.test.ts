import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { originText } from '../lib/origin.ts';
import { groupedCounterexamples } from './counterexample-groups.ts';
import { simulateFiles } from './simulated.ts';
import { podText, WWW_ENTRY } from './testing.ts';
import { verifyMesh } from './verify.ts';

/** A Sidecar of its own for each workload, so that each is looked at by itself. */
const workload = (name: string, hosts: string) => `${podText(name, `10.0.0.${name.length}`, { labels: `{app: ${name}}` })}
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: ${name}, namespace: default}
spec: {workloadSelector: {labels: {app: ${name}}}, egress: [{hosts: [${hosts}]}]}
---`;

test('hosts and workloads of one way out are one group, the largest first; each call is counted', () => {
  const entries = ['www', 'api', 'db'].map((name) => WWW_ENTRY.replaceAll('www', name)).join('');
  const text = workload('a', "'./*'") + workload('bb', "'./*'") + workload('ccc', "'./db.example.com'") + entries;
  const files = simulateFiles(
    snapshotFromText(text, { file: 'mesh.yaml' }),
    meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
  );
  const [verdict] = verifyMesh(files, { adversary: 'captured', maxCells: 10_000 });
  assert.equal(verdict?.counterexamples.length, 4, 'a and bb are one class');
  const groups = groupedCounterexamples(verdict.counterexamples).map(({ workloads, destinations, way, origins, count }) => [
    `${workloads.join()}: ${destinations.join()} ${way}`,
    origins.map((origin) => originText(origin)).join(),
    count,
  ]);
  const way = 'leaves for the host at its own sidecar, cluster outbound|80||HOST';
  assert.deepEqual(groups, [
    [
      `default/a,default/bb: api.example.com:80,www.example.com:80 ${way}`,
      'ServiceEntry default/api mesh.yaml:40,ServiceEntry default/www mesh.yaml:35',
      2,
    ],
    [`default/a,default/bb,default/ccc: db.example.com:80 ${way}`, 'ServiceEntry default/db mesh.yaml:45', 2],
  ]);
});

test('workloads that go round their sidecars in one way are told once', () => {
  const text = podText('a', '10.0.0.1') + podText('bb', '10.0.0.2') + WWW_ENTRY;
  const [verdict] = verifyMesh(simulateFiles(snapshotFromText(text), meshConfigOf({})), { adversary: 'bypassing', maxCells: 1 });
  assert.deepEqual(verdict?.openings, [
    {
      workloads: ['default/a', 'default/bb'],
      how: 'connects to 203.0.113.1, any port, past its sidecar: no NetworkPolicy restricts its egress',
      closable: true,
    },
  ]);
});
