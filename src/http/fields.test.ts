import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinValue, knownField, SEEN, SEEN_ONCE } from './fields.ts';

test('a field that is repeated is one value, at the place of the first, and no other changes', () => {
  const flat = ['a', '1', 'x-forwarded-for', '10.0.0.1', 'b', 'x-forwarded-for'];
  joinValue(flat, 'x-forwarded-for', '10.0.0.2');
  assert.deepEqual(flat, ['a', '1', 'x-forwarded-for', '10.0.0.1,10.0.0.2', 'b', 'x-forwarded-for']);
});

test('each kind of field has a bit of its own', () => {
  const bits = Object.values(SEEN);
  assert.ok(bits.every((bit) => bit > 0 && (bit & (bit - 1)) === 0));
  assert.equal(new Set(bits).size, bits.length);
});

test('which fields are looked at, and which of them stand once in a message', () => {
  const bitOf = (name: string) => knownField(name)?.bit;
  for (const name of ['keep-alive', 'proxy-connection', 'proxy-authorization']) assert.equal(bitOf(name), SEEN.hopByHop, name);
  const once = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-client-cert', 'x-request-id', 'content-type', 'grpc-timeout', 'via'];
  for (const name of once) assert.equal(bitOf(name)! & SEEN_ONCE, bitOf(name), name);
  for (const name of ['host', 'content-length', 'connection', 'te', 'date', 'server']) assert.equal(bitOf(name)! & SEEN_ONCE, 0, name);
  assert.equal(bitOf('x-own'), undefined);
});
