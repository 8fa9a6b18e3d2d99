import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostMap, intersectHosts } from './host-sets.ts';

test('two lists of hosts have the narrower of each pair in common', () => {
  assert.deepEqual(intersectHosts(['a.x.com', '*.net'], ['*.com', 'b.net']), ['a.x.com', 'b.net']);
  assert.deepEqual(intersectHosts(['*'], ['*.x.com', 'a.x.com']), ['*.x.com', 'a.x.com']);
  assert.deepEqual(intersectHosts(['a.com'], ['b.com', '*.net']), []);
});

function mapOf(...hosts: string[]): HostMap<number> {
  const map = new HostMap<number>();
  hosts.forEach((host, index) => {
    map.add(host, index);
  });
  return map;
}

test('the most specific host counts, and of equal ones the first', () => {
  const map = mapOf('*', '*.x.com', 'a.x.com', '*.b.x.com', 'a.x.com');
  assert.equal(map.best('a.x.com'), 2);
  assert.equal(map.best('c.b.x.com'), 3);
  assert.equal(map.best('d.x.com'), 1);
  assert.equal(map.best('*.x.com'), 1);
  assert.equal(map.best('other.org'), 0);
  assert.equal(mapOf('a.com').best('b.com'), undefined);
});

test('hosts overlap whichever of them is the wildcard', () => {
  const map = mapOf('*.x.com', 'a.x.com', 'a.org', '*.b.x.com');
  assert.deepEqual(map.overlapping('a.x.com'), [0, 1]);
  assert.deepEqual(map.overlapping('*.x.com'), [0, 1, 3]);
  assert.deepEqual(map.overlapping('*.c.x.com'), [0]);
  assert.deepEqual(map.overlapping('b.org'), []);
});
