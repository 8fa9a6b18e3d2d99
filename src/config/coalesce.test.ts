import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Coalescer } from './coalesce.ts';

function coalescer() {
  let runs = 0;
  const made = new Coalescer(
    () => {
      runs += 1;
    },
    { quiet: 100, most: 1000 },
  );
  return { made, runs: () => runs };
}

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
test.afterEach(() => mock.timers.reset());

test('a burst runs once, after it is quiet', () => {
  const { made, runs } = coalescer();
  for (let i = 0; i < 5; i++) {
    made.signal();
    mock.timers.tick(99);
  }
  assert.equal(runs(), 0);
  mock.timers.tick(1);
  assert.equal(runs(), 1);
  mock.timers.tick(5000);
  assert.equal(runs(), 1);
});

test('signals that never end are answered all the same', () => {
  const { made, runs } = coalescer();
  for (let i = 0; i < 21; i++) {
    made.signal();
    mock.timers.tick(50);
  }
  assert.equal(runs(), 1);
});

test('closed, it runs no more', () => {
  const { made, runs } = coalescer();
  made.signal();
  made.close();
  made.signal();
  mock.timers.tick(5000);
  assert.equal(runs(), 0);
});
