import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EncodedResource } from '../resources.ts';
import { refusalsOf } from './nack.ts';

const resource = (name: string): EncodedResource => ({ type: 'cluster', name, version: '1', bytes: new Uint8Array() });
const said = (message: string, ...names: string[]) =>
  refusalsOf('cluster', { message, resources: names.map(resource) }).map(({ resource: text, key }) => `${text} (${key})`);

test('a refusal names the resources that the client’s words name, by themselves', () => {
  const names = ['outbound|80||a.example', 'outbound|80||a.example.com', 'a', 'b'];
  assert.deepEqual(said('Error adding/updating cluster(s) outbound|80||a.example.com: no address', ...names), [
    'cluster outbound|80||a.example.com (cluster/outbound|80||a.example.com)',
  ]);
  assert.deepEqual(said('b: bad, outbound|80||a.example: bad', ...names), [
    'cluster outbound|80||a.example (cluster/outbound|80||a.example)',
    'cluster b (cluster/b)',
  ]);
});

test('a refusal of one resource is of that, whatever is said; of many without a name, of them all', () => {
  assert.deepEqual(said('no', 'b'), ['cluster b (cluster/b)']);
  assert.deepEqual(said('no', 'a', 'b'), ['2 resources of type cluster (undefined)']);
  assert.equal(said(Array.from({ length: 9 }, (_, i) => `n${i}`).join(' '), ...Array.from({ length: 9 }, (_, i) => `n${i}`)).length, 5);
  assert.deepEqual(
    refusalsOf(undefined, { message: 'no', resources: [] }).map((refusal) => refusal.resource),
    ['0 resources of type unknown'],
  );
});
