import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldBody, MOST_TOGETHER } from './held-body.ts';

const MEBIBYTE = Buffer.alloc(1024 * 1024);
const MOST = 8 * MEBIBYTE.length;

/** A body of so many MiB that is read whole, and what came of that. */
function held(mebibytes: number): { readonly body: HeldBody; readonly outcome: () => string } {
  let outcome = 'waits';
  const body = new HeldBody({ pauseRequest: () => undefined, resumeRequest: () => undefined });
  const done = (first: Buffer) => {
    outcome = `read ${first.length / MEBIBYTE.length}`;
  };
  body.read({ most: MOST, partial: false, done, refuse: ({ status }) => (outcome = `refused ${status}`) }, false);
  for (let i = 0; i < mebibytes; i++) body.add(MEBIBYTE);
  return { body, outcome: () => outcome };
}

test('a body is read to its end, or refused as soon as it is too long', () => {
  const [whole, long] = [held(8), held(9)];
  whole.body.end();
  assert.deepEqual([whole.outcome(), long.outcome()], ['read 8', 'refused 413']);
  assert.equal(whole.body.handOver().length, 8);
  assert.equal(whole.body.handOver().length, 0);
  for (const { body } of [whole, long]) body.release();
});

test('many at once are refused, until some are over', () => {
  const bodies = Array.from({ length: MOST_TOGETHER / MOST }, () => held(8));
  for (const { body } of bodies) body.end();
  const refused = held(1);
  assert.equal(refused.outcome(), 'refused 503');
  assert.ok(bodies.every(({ outcome }) => outcome() === 'read 8'));
  refused.body.release();
  // What was handed over counts until its request is over.
  bodies[0]!.body.handOver();
  assert.equal(held(1).outcome(), 'refused 503');
  for (const { body } of bodies) body.release();
  const after = held(1);
  after.body.end();
  assert.equal(after.outcome(), 'read 1');
});
