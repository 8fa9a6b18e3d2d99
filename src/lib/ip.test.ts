import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidrCovers, cidrsOverlap, parseRange, sampleOutside } from './ip.ts';

test('an address is a range of one', () => {
  assert.equal(parseRange('10.0.0.1')?.length, 32);
  assert.equal(parseRange('2001:db8::1')?.length, 128);
  assert.equal(parseRange('10.1'), undefined);
  assert.equal(parseRange('nonsense/8'), undefined);
});

test('ranges cover and overlap within a family', () => {
  assert.ok(cidrCovers('10.0.0.0/8', '10.1.2.0/24'));
  assert.ok(!cidrCovers('10.1.2.0/24', '10.0.0.0/8'));
  assert.ok(cidrsOverlap('10.1.2.0/24', '10.0.0.0/8'));
  assert.ok(!cidrsOverlap('10.0.0.0/8', '::/0'));
});

test('a sample outside is the first address of a gap', () => {
  assert.equal(sampleOutside('0.0.0.0/0', []), '0.0.0.0');
  assert.equal(sampleOutside('10.0.0.0/8', ['10.0.0.0/9']), '10.128.0.0');
  assert.equal(sampleOutside('10.0.0.0/8', ['10.0.0.0/9', '10.128.0.0/9']), undefined);
  assert.equal(sampleOutside('10.0.0.0/8', ['0.0.0.0/0']), undefined);
  assert.equal(sampleOutside('255.255.255.0/24', ['255.255.255.0/25', '255.255.255.128/25']), undefined);
});
