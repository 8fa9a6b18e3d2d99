import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intersectHosts } from './host-sets.ts';

test('two lists of hosts have the narrower of each pair in common', () => {
  assert.deepEqual(intersectHosts(['a.x.com', '*.net'], ['*.com', 'b.net']), ['a.x.com', 'b.net']);
  assert.deepEqual(intersectHosts(['*'], ['*.x.com', 'a.x.com']), ['*.x.com', 'a.x.com']);
  assert.deepEqual(intersectHosts(['a.com'], ['b.com', '*.net']), []);
});
