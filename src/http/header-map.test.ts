import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap } from './header-map.ts';

const some = () => new HeaderMap(['a', '1', 'b', '2', 'a', '3', 'c', '4', 'a', '5']);

test('what is set stands once, at the place of the first', () => {
  const headers = some();
  headers.set('a', 'x');
  assert.deepEqual(headers.flat, ['a', 'x', 'b', '2', 'c', '4']);
  headers.set('d', 'y');
  assert.deepEqual(headers.flat, ['a', 'x', 'b', '2', 'c', '4', 'd', 'y']);
  headers.set('c', 'z');
  assert.deepEqual(headers.flat, ['a', 'x', 'b', '2', 'c', 'z', 'd', 'y']);
});

test('what is removed is gone wherever it stood, and the others keep their order', () => {
  const headers = some();
  headers.remove('a');
  assert.deepEqual(headers.flat, ['b', '2', 'c', '4']);
  headers.remove('a');
  assert.deepEqual(headers.flat, ['b', '2', 'c', '4']);
  const others = some();
  others.removeAll(new Set(['b', 'c', 'd']));
  assert.deepEqual(others.flat, ['a', '1', 'a', '3', 'a', '5']);
});
