/** The examples keep what their README says: verify proves them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { analyze } from '../analysis/index.ts';
import { openFiles } from '../config/files.ts';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { policiesFor } from './netpol.ts';
import { simulateFiles } from './simulated.ts';
import { parseStatements } from './statement-file.ts';
import { verifyMesh } from './verify.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');
const OPTIONS = { adversary: 'both', maxCells: 1_000_000 } as const;
const names = readdirSync(EXAMPLES, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() && !['policies', 'lists', 'chain'].includes(entry.name) ? [entry.name] : [],
);

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

test('of examples/chain nothing leaves but through the forward proxy, which nobody calls by itself', async () => {
  const { snapshot } = await openFiles([join(EXAMPLES, 'chain')]);
  const files = simulateFiles(snapshot, loadMeshConfig(snapshot).config);
  const text = readFileSync(join(EXAMPLES, 'chain.statements.yaml'), 'utf8');
  const { statements } = parseStatements(text, 'chain.statements.yaml', () => false);
  const stated = { statements, equivalentTo: [] };
  assert.deepEqual(
    verifyMesh(files, { ...OPTIONS, stated }).map(({ result }) => result),
    ['proved'],
  );
  // Without what keeps workloads from the proxy, they could ask it for any host.
  const open = simulateFiles(snapshotWithout(snapshot, 'VirtualService'), loadMeshConfig(snapshot).config);
  assert.deepEqual(
    verifyMesh(open, { ...OPTIONS, stated }).map(({ result }) => result),
    ['refuted'],
  );
});

function snapshotWithout(snapshot: Snapshot, kind: string): Snapshot {
  const documents = [...snapshot.all()].filter((resource) => resource.kind !== kind);
  return snapshotFromText(
    documents.map(({ apiVersion, kind, metadata, spec }) => JSON.stringify({ apiVersion, kind, metadata, spec })).join('\n---\n'),
  );
}

const POLICIES = join(EXAMPLES, 'policies');

for (const name of readdirSync(POLICIES).filter((file) => file.endsWith('.yaml') && file !== 'statements.yaml')) {
  test(`what leaves is what the EgressPolicies of examples/policies/${name} allow, and all of that gets there`, async () => {
    const { snapshot } = await openFiles([join(POLICIES, name)]);
    assert.deepEqual(
      snapshot.findings.map(({ message }) => message),
      [],
    );
    const files = simulateFiles(snapshot, loadMeshConfig(snapshot).config);
    const stated = {
      ...parseStatements(readFileSync(join(POLICIES, 'statements.yaml'), 'utf8'), 'statements.yaml', () => false),
      equivalentTo: [],
    };
    assert.ok(stated.egressPolicies);
    const verdicts = verifyMesh(files, { ...OPTIONS, adversary: 'captured', stated });
    assert.deepEqual(
      verdicts.map(({ result }) => result),
      ['proved', 'proved'],
      JSON.stringify(verdicts, undefined, 1),
    );
    assert.ok(verdicts.every(({ cells }) => cells > 0));
    const errors = analyze({ snapshot: files.mesh.snapshot, registry: files.mesh.registry, mesh: files.mesh.config, now: 0 });
    assert.deepEqual(
      errors.filter(({ level }) => level === 'Error').map(({ code, message }) => `${code} ${message}`),
      [],
    );
  });
}
