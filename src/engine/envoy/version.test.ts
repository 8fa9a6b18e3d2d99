import assert from 'node:assert/strict';
import { test } from 'node:test';
import { envoyCounts, isNewEnough } from './version.ts';

test('an Envoy counts from 1.39 on, as it says of itself', () => {
  const of = (version: string) => isNewEnough(`\n/usr/bin/envoy  version: 0a1b2c/${version}/Clean/RELEASE/BoringSSL\n`);
  assert.deepEqual([of('1.38.4'), of('1.39.0'), of('1.40.0-dev'), of('2.0.0'), isNewEnough('')], [false, true, true, true, false]);
  assert.equal(envoyCounts('/nothing/there'), false);
});
