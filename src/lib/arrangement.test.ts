import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arrangement } from './arrangement.ts';

test('a list whose members say the same is not arranged again', () => {
  interface Named {
    readonly name: string;
    readonly value: number;
  }
  let runs = 0;
  const sorted = new Arrangement<Named, readonly number[]>(
    (a, b) => a.name === b.name,
    (list) => {
      runs += 1;
      return list.map((_, i) => i).sort((a, b) => (list[a]!.name < list[b]!.name ? -1 : 1));
    },
  );
  const named = (...names: string[]) => names.map((name, value) => ({ name, value }));
  assert.deepEqual(sorted.of(named('b', 'a')), [1, 0]);
  assert.deepEqual(sorted.of(named('b', 'a')), [1, 0]);
  assert.equal(runs, 1);
  assert.deepEqual(sorted.of(named('b', 'c')), [0, 1]);
  assert.deepEqual(sorted.of(named('b', 'c', 'a')), [2, 0, 1]);
  assert.deepEqual(sorted.of([]), []);
  assert.equal(runs, 4);
});
