import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinValue } from './fields.ts';

test('a field that is repeated is one value, at the place of the first, and no other changes', () => {
  const flat = ['a', '1', 'x-forwarded-for', '10.0.0.1', 'b', 'x-forwarded-for'];
  joinValue(flat, 'x-forwarded-for', '10.0.0.2');
  assert.deepEqual(flat, ['a', '1', 'x-forwarded-for', '10.0.0.1,10.0.0.2', 'b', 'x-forwarded-for']);
});
