import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns.ts';

const soon = () => new Promise((resolve) => setImmediate(resolve));

test('so many have their turn at one time, in the order in which they came', async () => {
  const turns = new Turns({ most: 2, patienceMs: 60_000 });
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  for (let i = 0; i < 4; i += 1)
    turns.wait((end) => {
      begun.push(i);
      ends.push(end);
    });
  assert.deepEqual(begun, []);
  await soon();
  assert.deepEqual(begun, [0, 1]);
  ends[1]!();
  ends[1]!();
  await soon();
  await soon();
  assert.deepEqual(begun, [0, 1, 2]);
  ends[0]!();
  await soon();
  assert.deepEqual(begun, [0, 1, 2, 3]);
});

test('whoever does not end is not waited for longer than the patience', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const turns = new Turns({ most: 1, patienceMs: 500 });
  let second = false;
  turns.wait(() => {});
  turns.wait((end) => {
    second = true;
    end();
  });
  await soon();
  await soon();
  assert.equal(second, false);
  t.mock.timers.tick(500);
  await soon();
  assert.equal(second, true);
});
