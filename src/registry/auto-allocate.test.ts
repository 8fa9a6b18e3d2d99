import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesAt, createAllocator, hashOf } from './auto-allocate.ts';

test('a host has the same address whatever comes before it', () => {
  const alone = createAllocator()(hashOf('default/www.example.com'));
  const allocate = createAllocator();
  allocate(hashOf('default/api.example.com'));
  assert.deepEqual(allocate(hashOf('default/www.example.com')), alone);
});

test('all 65,024 addresses are distinct, usable and inside 240.240.0.0/16, then there are none left', () => {
  const allocate = createAllocator();
  const seen = new Set<string>();
  for (let i = 0; i < 65_024; i++) {
    const place = allocate(hashOf(`ns/h${i}.example.com`));
    assert.ok(place !== undefined);
    const address = addressesAt(place);
    const octets = address.ipv4.split('.').map(Number);
    assert.deepEqual(octets.slice(0, 2), [240, 240]);
    assert.ok(octets[2]! <= 255 && octets[3]! >= 1 && octets[3]! <= 254, address.ipv4);
    seen.add(address.ipv4);
  }
  assert.equal(seen.size, 65_024);
  assert.equal(allocate(hashOf('ns/one-more.example.com')), undefined);
});
