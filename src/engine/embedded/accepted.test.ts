import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterSet } from '../../xds/testing.ts';
import { EMPTY_SET, type EncodedSet, encodeSet, updateBetween } from '../../xds/update.ts';
import { Accepted } from './accepted.ts';

test('a refused resource keeps its last good version until it changes or goes', () => {
  const accepted = new Accepted(clusterSet({}));
  let before: EncodedSet = EMPTY_SET;
  const take = (clusters: Readonly<Record<string, string>>, refused: readonly string[], at: number) => {
    const sent = clusterSet(clusters);
    const after = encodeSet(sent);
    const update = updateBetween(before, after) ?? assert.fail('nothing changed');
    before = after;
    const rejected = refused.map((name) => ({ type: 'cluster', name, message: 'no' }) as const);
    accepted.take(sent, update, { version: update.version, rejected }, at);
  };
  const running = () => accepted.resources.clusters.map(({ name, altStatName }) => `${name}=${altStatName}`);

  take({ a: '1', b: '1' }, [], 10);
  take({ a: '2', b: '2' }, ['a'], 20);
  assert.deepEqual(running(), ['a=1', 'b=2']);
  assert.equal(accepted.version('cluster', 'a')?.at, 10);
  assert.equal(accepted.version('cluster', 'b')?.at, 20);
  assert.deepEqual(
    accepted.rejected.map(({ name, at }) => [name, at]),
    [['a', 20]],
  );

  // A refusal of something that never ran leaves nothing.
  take({ a: '2', b: '2', c: '1' }, ['c'], 30);
  assert.deepEqual(running(), ['a=1', 'b=2']);
  assert.deepEqual(accepted.rejected.map(({ name }) => name).sort(), ['a', 'c']);

  take({ b: '2', c: '2' }, [], 40);
  assert.deepEqual(running(), ['b=2', 'c=2']);
  assert.deepEqual(accepted.rejected, []);
});
