import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ring } from './ring.ts';

test('the newest are kept, oldest first', () => {
  const ring = new Ring<number>(3);
  const seen = [ring.all];
  for (const item of [1, 2, 3, 4, 5, 6, 7]) {
    ring.add(item);
    seen.push(ring.all);
  }
  assert.deepEqual(seen, [[], [1], [1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6], [5, 6, 7]]);
});
