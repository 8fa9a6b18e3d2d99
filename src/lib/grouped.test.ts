import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapGrouped } from './grouped.ts';

test('items of a group are worked on together, and the results keep the order of the items', () => {
  const items = [{ name: 'a1' }, { name: 'b1' }, { name: 'a2' }, { name: 'b2' }];
  const seen: string[] = [];
  const results = mapGrouped(
    items,
    ({ name }) => name[0],
    ({ name }) => {
      seen.push(name);
      return name.toUpperCase();
    },
  );
  assert.deepEqual(seen, ['a1', 'a2', 'b1', 'b2']);
  assert.deepEqual(results, ['A1', 'B1', 'A2', 'B2']);
});
