import assert from 'node:assert/strict';
import { test } from 'node:test';
import { once } from './once.ts';
import { Recent } from './recent.ts';

test('of the values only those asked for last are kept', () => {
  const made: string[] = [];
  const recent = new Recent<string, { key: string }>(2);
  const get = (key: string) =>
    recent.get(key, () => {
      made.push(key);
      return { key };
    });
  for (const key of ['a', 'b', 'a', 'c', 'a', 'c', 'b']) assert.equal(get(key).key, key);
  assert.deepEqual(made, ['a', 'b', 'c', 'b']);
  assert.equal(recent.peek('a'), undefined);
  assert.equal(recent.peek('c')?.key, 'c');
});

test('a value is made once, also where it is undefined', () => {
  let made = 0;
  const value = once(() => {
    made++;
  });
  value();
  value();
  assert.equal(made, 1);
});
