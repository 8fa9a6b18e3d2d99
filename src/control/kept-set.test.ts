import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { SetKeeper } from './kept-set.ts';

/** A folder, its file, and what writes into it as a keeper would have. */
function world(t: TestContext) {
  const folder = join(mkdtempSync(join(tmpdir(), 'sallyport-kept-')), 'kept');
  t.after(() => rmSync(join(folder, '..'), { recursive: true }));
  const keeper = new SetKeeper(folder, 'node-1');
  const file = join(folder, 'configuration.json');
  const put = (altStatName: string, more: object = {}) => {
    const bytes = toBinary(ClusterSchema, create(ClusterSchema, { name: 'c', altStatName }));
    const resources = { cluster: [['c', Buffer.from(bytes).toString('base64')]], endpoint: [], route: [], listener: [], nameTable: [] };
    writeFileSync(file, JSON.stringify({ form: 1, node: 'node-1', at: 7, resources, ...more }));
  };
  return { folder, keeper, file, put };
}

test('what is kept is read as it was written, by this user alone', (t) => {
  const { keeper, file, put, folder } = world(t);
  assert.equal(keeper.read(), undefined);
  put('a');
  const kept = keeper.read()!;
  rmSync(file);
  keeper.write(kept.publication, 9);
  const again = keeper.read()!;
  assert.deepEqual([again.at, again.publication.set.version], [9, kept.publication.set.version]);
  assert.equal(again.publication.resources.clusters[0]!.altStatName, 'a');
  assert.deepEqual([statSync(file).mode & 0o777, statSync(folder).mode & 0o777], [0o600, 0o700]);
});

test('what is cut, of another form or of another workload is not used, and says why', (t) => {
  const { keeper, file, put } = world(t);
  put('a');
  const whole = readFileSync(file, 'utf8');
  for (const text of ['', whole.slice(0, -9), '{}', '[]', 'null', whole.replace('cluster', 'clusters')]) {
    writeFileSync(file, text);
    assert.throws(() => keeper.read(), { code: 'kept-unreadable' }, text);
  }
  put('a', { node: 'node-2' });
  assert.throws(() => keeper.read(), /of the node node-2/);
  put('a', { form: 2 });
  assert.throws(() => keeper.read(), /another version/);
});

test('what cannot be kept leaves nothing older behind: a private key is never written', (t) => {
  const { keeper, file, put } = world(t);
  put('-----BEGIN PRIVATE KEY-----');
  const { publication } = keeper.read()!;
  put('older');
  assert.throws(() => keeper.write(publication, 9), { code: 'kept-secret', message: /cluster c has a private key/ });
  assert.equal(existsSync(file), false);
  assert.equal(existsSync(`${file}.new`), false);
});
