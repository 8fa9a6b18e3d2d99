import assert from 'node:assert/strict';
import { test } from 'node:test';
import { own, table } from './table.ts';

const INHERITED = ['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf'];

test('what every object inherits is no entry', () => {
  const numbers = table({ one: 1 });
  assert.equal(numbers.one, 1);
  assert.deepEqual(Object.keys(numbers), ['one']);
  for (const key of INHERITED) {
    assert.equal(numbers[key], undefined);
    assert.ok(!(key in numbers));
    assert.equal(own({ one: 1 }, key), undefined);
  }
  assert.equal(own({ one: 1 }, 'one'), 1);
  assert.equal(own({ one: 1 }, undefined), undefined);
});
