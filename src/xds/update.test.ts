import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterSet } from './testing.ts';
import { EMPTY_SET, encodeSet, unsettled, updateBetween } from './update.ts';

test('the same content has the same version and no update', () => {
  const first = encodeSet(clusterSet({ a: '1' }));
  const second = encodeSet(clusterSet({ a: '1' }));
  assert.equal(first.version, second.version);
  assert.equal(updateBetween(first, second), undefined);
});

test('an update holds what was added, changed and removed, and nothing else', () => {
  const before = encodeSet(clusterSet({ same: '1', changed: '1', gone: '1' }));
  const after = encodeSet(clusterSet({ same: '1', changed: '2', added: '1' }));
  const update = updateBetween(before, after);
  assert.ok(update);
  assert.equal(update.version, after.version);
  assert.deepEqual(update.changed.map(({ type, name }) => `${type}/${name}`).sort(), ['cluster/added', 'cluster/changed']);
  assert.deepEqual(update.removed, [{ type: 'cluster', name: 'gone' }]);
});

test('the first update holds everything, the name table too', () => {
  const update = updateBetween(EMPTY_SET, encodeSet(clusterSet({ a: '1' })));
  assert.deepEqual(update?.changed.map(({ type, name }) => `${type}/${name}`).sort(), ['cluster/a', 'nameTable/nameTable']);
});

test('what is unsettled is sent again, and removed when it goes', () => {
  const set = encodeSet(clusterSet({ a: '1', b: '1' }));
  const before = unsettled(set, new Set(['cluster/a']));
  assert.deepEqual(
    updateBetween(before, set)?.changed.map(({ name }) => name),
    ['a'],
  );
  assert.deepEqual(updateBetween(before, encodeSet(clusterSet({ b: '1' })))?.removed, [{ type: 'cluster', name: 'a' }]);
});

test('a message is encoded once, and a list that has not changed is not looked at', () => {
  const set = clusterSet({ a: '1', b: '1' });
  const first = encodeSet(set);
  const second = encodeSet({ ...set, secrets: [] });
  assert.equal(second.version, first.version);
  assert.equal(second.resources.get('cluster/a'), first.resources.get('cluster/a'));
  const third = encodeSet({ ...set, clusters: [...set.clusters] });
  assert.equal(third.version, first.version);
  assert.equal(third.resources.get('cluster/b'), first.resources.get('cluster/b'));
});

test('a set is a map by type and name', () => {
  const { resources } = encodeSet(clusterSet({ a: '1', b: '1' }));
  const keys = ['cluster/a', 'cluster/b', 'nameTable/nameTable'];
  assert.equal(resources.size, 3);
  assert.deepEqual([...resources.keys()], keys);
  assert.deepEqual(
    [...resources].map(([key, { name }]) => `${key} ${name}`),
    ['cluster/a a', 'cluster/b b', 'nameTable/nameTable nameTable'],
  );
  const seen: string[] = [];
  resources.forEach(({ type, name }, key) => {
    seen.push(key, `${type}/${name}`);
  });
  assert.deepEqual(
    seen,
    keys.flatMap((key) => [key, key]),
  );
  assert.equal(resources.has('cluster/c'), false);
  assert.equal(resources.get('route/a'), undefined);
});
