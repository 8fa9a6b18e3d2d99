/**
 * What a comparison finds that leaves out calls which can be told to end alike is what it finds when it makes them all: for the call table's configurations, each with
 * one of its objects taken away or put in. `QUICK_DIFF=all` takes all objects of all cases, which takes minutes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDocuments } from '../../src/api/documents.ts';
import { ClusterObjects } from '../../src/config/kubernetes/cluster-objects.ts';
import type { Snapshot } from '../../src/config/snapshot.ts';
import { Store } from '../../src/config/store.ts';
import { compare } from '../../src/prove/diff.ts';
import { simulateFiles } from '../../src/prove/simulated.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { loadCases } from './cases.ts';
import { madeFixedObjects } from './loopback/fixed-objects.ts';
import { MESH } from './loopback/topology.ts';
import { merged } from './merged.ts';

const ALL = process.env.QUICK_DIFF === 'all';
const cases = loadCases().filter(({ group }, i) => (ALL ? true : ['egress', 'tls', 'registry'].includes(group) && i % 4 === 0));

test('leaving calls out changes no answer', async (t) => {
  const fixed = await madeFixedObjects();
  const counts = { objects: 0, changes: 0, all: 0, quick: 0 };
  for (const { name, config, mesh = {} } of cases) {
    const store = new Store();
    store.set('fixed.yaml', decodeDocuments(fixed, 'fixed.yaml'));
    store.set('case.yaml', decodeDocuments(config, 'case.yaml'));
    const settings = meshConfigOf(merged(MESH, mesh) as Record<string, unknown>);
    const whole = simulateFiles(store.snapshot(), settings);
    for (const object of whole.mesh.snapshot.all()) {
      if (object.source.position().file !== 'case.yaml' || object.derivedFrom) continue;
      const less = simulateFiles(without(whole.mesh.snapshot, object), settings, undefined, { near: whole.mesh });
      for (const [what, before, after] of [
        ['without', whole, less],
        ['with', less, whole],
      ] as const) {
        const where = `${name} ${what} ${object.kind} ${object.metadata.name}`;
        const [full, quick] = [compare(before, after), compare(before, after, { quick: true })];
        assert.deepEqual(said(quick), said(full), where);
        for (const sentence of quick.undecided) assert.ok(full.undecided.includes(sentence), `${where}: ${sentence}`);
        counts.objects++;
        counts.changes += full.changes.length;
        counts.all += full.cells;
        counts.quick += quick.cells;
      }
    }
  }
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.objects > 20 && counts.changes > 20);
  assert.ok(counts.quick < counts.all);
});

function without(snapshot: Snapshot, { kind, apiVersion, metadata }: ReturnType<Snapshot['all']>[number]): Snapshot {
  const objects = ClusterObjects.of(snapshot);
  objects.delete({ kind, apiVersion }, metadata.namespace, metadata.name);
  return objects.snapshot();
}

/** Each change with what it is about; which call is the example for it depends on which come first. */
function said({ changes }: ReturnType<typeof compare>): unknown[] {
  return changes
    .map(({ kind, workloads, destination, before, after, elsewhere }) =>
      JSON.stringify([kind, workloads, destination, before, after, elsewhere]),
    )
    .sort();
}
