import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FloodGuard } from './flood-guard.ts';
import { ConnectionError, ERROR } from './protocol.ts';

function guarded() {
  let now = 0;
  const guard = new FloodGuard(() => now);
  return {
    guard,
    passes(ms: number) {
      now += ms;
    },
    frames(count: number) {
      for (let i = 0; i < count; i++) guard.idle();
    },
  };
}

const isFlood = (error: unknown) => error instanceof ConnectionError && error.code === ERROR.enhanceYourCalm;

test('frames that ask for nothing: some thousand at any time, and no more', () => {
  const { guard, frames } = guarded();
  frames(2000);
  assert.throws(() => guard.idle(), isFlood);
});

test('a slow flood as well', () => {
  const { frames, passes } = guarded();
  assert.throws(() => {
    for (let second = 0; second < 100; second++) {
      frames(100);
      passes(1000);
    }
  }, isFlood);
});

const LAWFUL: Readonly<Record<string, (it: ReturnType<typeof guarded>) => void>> = {
  'keep-alives': ({ frames, passes }) => {
    frames(1);
    passes(1000);
  },
  'a download whose client updates both windows for each KiB': ({ guard, frames }) => {
    guard.sent(16_384);
    frames(16 * 2);
  },
  'messages of a few bytes in both directions, each with updates of both windows': ({ guard, frames }) => {
    guard.received();
    guard.sent(7);
    frames(2);
  },
  'requests with a priority, a window update and a reset each': ({ guard, frames, passes }) => {
    guard.head();
    frames(3);
    passes(1);
    guard.streamEnded(undefined);
  },
};

for (const [name, round] of Object.entries(LAWFUL)) {
  test(`${name}: as long as it will`, () => {
    const it = guarded();
    for (let i = 0; i < 20_000; i++) round(it);
  });
}

test('streams that are cut short at once: fewer than half of all, or of a few hundred', () => {
  const { guard } = guarded();
  for (let i = 0; i < 499; i++) guard.streamEnded(0);
  assert.throws(() => guard.streamEnded(0), isFlood);
  const half = guarded().guard;
  for (let i = 0; i < 10_000; i++) half.streamEnded(i % 2 === 1 ? 0 : undefined);
});

test('streams that lasted a second were meant', () => {
  const { guard, passes } = guarded();
  passes(1000);
  for (let i = 0; i < 10_000; i++) guard.streamEnded(0);
});
