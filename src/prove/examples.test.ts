/** The examples keep what their README says: verify proves them. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFiles } from '../config/files.ts';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import { policiesFor } from './netpol.ts';
import { simulateFiles } from './simulated.ts';
import { verifyMesh } from './verify.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');
const OPTIONS = { adversary: 'both', maxCells: 1_000_000 } as const;
const names = readdirSync(EXAMPLES, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

test('there are examples', () => assert.ok(names.includes('egress-http'), names.join()));

for (const name of names) {
  test(`verify proves examples/${name}, and with the policies that netpol writes for whoever goes round the sidecar too`, async () => {
    const { snapshot } = await openFiles([join(EXAMPLES, name)]);
    const { config: mesh } = loadMeshConfig(snapshot);
    const files = simulateFiles(snapshot, mesh);
    const results = (given: typeof files) => verifyMesh(given, OPTIONS).map(({ adversary, result }) => `${adversary} ${result}`);
    assert.deepEqual(results(files), ['captured proved', 'bypassing refuted']);
    const policies = snapshotFromText(
      policiesFor(files)
        .policies.map((policy) => JSON.stringify(policy))
        .join('\n---\n'),
    );
    assert.deepEqual(results(simulateFiles(new Layered(snapshot, policies), mesh)), ['captured proved', 'bypassing proved']);
  });
}
