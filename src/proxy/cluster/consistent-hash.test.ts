import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xxHash64 } from '../../http/routes/xxhash.ts';
import { type HashTable, maglevTable, ringTable, type Share } from './consistent-hash.ts';
import type { Host } from './host.ts';

/** 127.0.0.1:19001 and so on, with these weights. */
function sharesOf(weights: readonly number[]): Share[] {
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight, i) => ({ host: { text: `127.0.0.1:${19001 + i}` } as Host, weight: weight / total }));
}

/** The last digits of the ports that the first users go to. */
function chosenBy(table: HashTable): string {
  return Array.from({ length: 12 }, (_, i) => table(xxHash64(`user-${i}`)).text.at(-1)).join('');
}

// What Envoy 1.40 chose for requests with a hash policy on a header that has these values.
const EVEN = [1, 1, 1, 1, 1];
const UNEVEN = [1, 5, 2, 9, 3];

test('a ring leads to the hosts that Envoy chooses', () => {
  assert.equal(chosenBy(ringTable(sharesOf(EVEN), 1024, 8_388_608)), '432532113524');
  assert.equal(chosenBy(ringTable(sharesOf(UNEVEN), 1024, 8_388_608)), '442544243424');
  assert.equal(chosenBy(ringTable(sharesOf(UNEVEN), 3, 7)), '222242244424');
});

test('Maglev leads to the hosts that Envoy chooses', () => {
  assert.equal(chosenBy(maglevTable(sharesOf(EVEN), 65_537)), '245141412223');
  assert.equal(chosenBy(maglevTable(sharesOf(UNEVEN), 1009)), '444443543354');
  // Of two, one is due with every turn and the other with every second one.
  assert.equal(chosenBy(maglevTable(sharesOf([1, 2]), 7)), '122212222212');
  assert.equal(chosenBy(maglevTable(sharesOf([1, 2]), 11)), '222221222212');
});

test('a hash behind the last position of a ring goes to its first', () => {
  const table = ringTable(sharesOf([1, 1]), 4, 4);
  assert.equal(table(2n ** 64n - 1n), table(0n));
});

test('each place of a Maglev table has a host, so many each as their weights ask for', () => {
  const table = maglevTable(sharesOf([1, 2]), 11);
  const places = Array.from({ length: 11 }, (_, place) => table(BigInt(place))?.text.at(-1)).toSorted();
  assert.equal(places.join(''), '11112222222');
});
