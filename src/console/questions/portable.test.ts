import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KINDS, type Kind } from '../../api/index.ts';
import { loadMeshConfig } from '../../config/mesh-config.ts';
import { readFiles } from '../../inputs/files.ts';
import { fromPortable, portable } from './portable.ts';

const EXAMPLES = join(import.meta.dirname, '../../../examples');

const plain = (resources: readonly object[]): unknown =>
  JSON.parse(JSON.stringify(resources, (key, value) => (key === 'source' ? undefined : value)));

test('every example is the same on the other side, down to the places of its fields', async () => {
  const files = [...globSync('*/', { cwd: EXAMPLES }).map((name) => join(EXAMPLES, name)), join(EXAMPLES, '../test/golden')];
  assert.ok(files.length > 5);
  for (const path of files) {
    const snapshot = await readFiles([path], { allowEmpty: true }, async () => undefined);
    const { config } = loadMeshConfig(snapshot);
    const sent = structuredClone(portable(snapshot, config));
    const came = fromPortable(sent);
    assert.deepEqual(sent.config, config);
    assert.deepEqual(portable(came, config), sent, path);
    for (const kind of Object.keys(KINDS) as Kind[]) {
      assert.deepEqual(plain(came.list(kind)), plain(snapshot.list(kind)), `${path}: ${kind}`);
      for (const [i, resource] of came.list(kind).entries()) {
        const there = snapshot.list(kind)[i]!;
        if (resource.derivedFrom) continue;
        assert.deepEqual(resource.source.position(['spec', 'hosts', 0]), there.source.position(['spec', 'hosts', 0]));
        assert.deepEqual(resource.source.keyPosition(['metadata']), there.source.keyPosition(['metadata']));
      }
    }
    assert.equal(came.all().length, snapshot.all().length);
    assert.deepEqual(came.findings, snapshot.findings);
  }
});
