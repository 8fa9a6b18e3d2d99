import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationMs } from './duration.ts';

test('a duration that no timer can wait is the longest that one can', () => {
  const of = (seconds: bigint, nanos = 0) => durationMs({ $typeName: 'google.protobuf.Duration', seconds, nanos }, undefined);
  assert.deepEqual([of(1n, 500_000_000), of(0n), of(2_147_483n), of(9_223_372_035n)], [1500, 0, 2_147_483_000, 2_147_483_647]);
  assert.equal(durationMs(undefined, 7), 7);
});
