/** The examples keep what their README says: verify proves them. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { policiesFor } from './netpol.ts';
import { readMesh } from './read-mesh.ts';
import { judge } from './verify.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');
const OPTIONS = { adversary: 'both', clusterCidr: [], maxCells: 1_000_000, namespace: 'default', output: 'text' } as const;
const names = readdirSync(EXAMPLES, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

test('there are examples', () => assert.ok(names.includes('egress-http'), names.join()));

for (const name of names) {
  test(`verify proves examples/${name}, and with the policies that netpol writes for whoever goes round the sidecar too`, async () => {
    const { snapshot, mesh } = await readMesh([join(EXAMPLES, name)], OPTIONS);
    const files = simulateFiles(snapshot, mesh);
    const results = async (given: typeof files) => (await judge(given, OPTIONS)).map(({ adversary, result }) => `${adversary} ${result}`);
    assert.deepEqual(await results(files), ['captured proved', 'bypassing refuted']);
    const policies = snapshotFromText(
      policiesFor(files)
        .map((policy) => JSON.stringify(policy))
        .join('\n---\n'),
    );
    assert.deepEqual(await results(simulateFiles(new Layered(snapshot, policies), mesh)), ['captured proved', 'bypassing proved']);
  });
}
