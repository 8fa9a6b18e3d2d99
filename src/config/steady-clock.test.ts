import assert from 'node:assert/strict';
import { test } from 'node:test';
import { steadyClock } from './steady-clock.ts';

test('a clock that is set back goes on by how long the process has run; one that is set forward is believed', () => {
  let wall = 1000;
  let running = 0;
  const now = steadyClock(
    () => wall,
    () => running,
  );
  running = 10;
  wall = 1010;
  assert.equal(now(), 1010);
  wall = 500;
  running = 20;
  assert.equal(now(), 1020);
  wall = 9000;
  assert.equal(now(), 9000);
  wall = 1000;
  running = 100;
  assert.equal(now(), 9000);
});
