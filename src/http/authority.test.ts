import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAuthority, portStart, shadowAuthority, splitAuthority } from './authority.ts';

test('an authority is taken apart: names, addresses, brackets, ports', () => {
  assert.deepEqual(splitAuthority('a.example', 80), { host: 'a.example', port: 80 });
  assert.deepEqual(splitAuthority('a.example:8080', 80), { host: 'a.example', port: 8080 });
  assert.deepEqual(splitAuthority('[2001:db8::1]', 443), { host: '2001:db8::1', port: 443 });
  assert.deepEqual(splitAuthority('[::1]:8080', 443), { host: '::1', port: 8080 });
  assert.deepEqual(splitAuthority('', 80), { host: '', port: 80 });
});

test('what has no port that is a number is a host as a whole', () => {
  assert.deepEqual(splitAuthority('::1', 80), { host: '::1', port: 80 });
  assert.deepEqual(splitAuthority('a:', 80), { host: 'a:', port: 80 });
  assert.deepEqual(splitAuthority('a:b', 80), { host: 'a:b', port: 80 });
});

test('a target that a client names is checked', () => {
  assert.deepEqual(parseAuthority('A.Example.', 80), { host: 'a.example', port: 80 });
  assert.deepEqual(parseAuthority('[::1]:5', undefined), { host: '::1', port: 5 });
  for (const text of ['', 'a', 'a:0', 'a:65536', 'a b:1', '[x]:1', 'a:1:2', '[::1', '[]:1', ':1'])
    assert.equal(parseAuthority(text, undefined), undefined, text);
});

test('where the port starts, and the authority of a copy', () => {
  assert.equal(portStart('a:1'), 1);
  assert.equal(portStart('[::1]'), -1);
  assert.equal(portStart('[::1]:1'), 5);
  assert.equal(shadowAuthority('a:1'), 'a-shadow:1');
  assert.equal(shadowAuthority('a'), 'a-shadow');
});
