import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Timers } from '../timers.ts';
import { FloodGuard } from './flood-guard.ts';

const WINDOW_UPDATE = 13;
const FRAME_HEAD = 9;
const PING = 17;

function guarded(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let now = 0;
  const socket = { bytesRead: 0 };
  const session = Object.assign(new EventEmitter(), {
    ended: undefined as number | undefined,
    destroy: (_error: Error, code: number) => (session.ended = code),
  });
  const guard = new FloodGuard(session as unknown as Http2Session, socket as unknown as Socket, new Timers(() => now));
  return {
    guard,
    session,
    reads: (bytes: number) => {
      socket.bytesRead += bytes;
    },
    passes: (ms: number) => {
      now += ms;
      t.mock.timers.tick(ms);
    },
  };
}

test('frames that ask for nothing end the connection at the next look', (t) => {
  const { guard, session, reads, passes } = guarded(t);
  reads(6_000 * WINDOW_UPDATE);
  passes(1_000);
  assert.equal(guard.cut, true);
  assert.equal(session.ended, 11, 'ENHANCE_YOUR_CALM');
});

test('a slow flood as well', (t) => {
  const { guard, reads, passes } = guarded(t);
  for (let second = 0; second < 100 && !guard.cut; second++) {
    reads(200 * WINDOW_UPDATE);
    passes(1_000);
  }
  assert.equal(guard.cut, true);
});

const LAWFUL: Readonly<Record<string, (it: ReturnType<typeof guarded>, round: number) => void>> = {
  'keep-alives': ({ reads, passes }) => {
    reads(PING);
    passes(1_000);
  },
  'a download whose client updates both windows for each KiB': ({ guard, reads }) => {
    guard.sent(16_384);
    reads(16 * 2 * WINDOW_UPDATE);
  },
  'messages of a few bytes in both directions, each with updates of both windows': ({ guard, reads }) => {
    reads(FRAME_HEAD + 7);
    guard.received(7);
    guard.sent(7);
    reads(2 * WINDOW_UPDATE);
  },
  'a thousand such messages that have been joined': ({ guard, reads }) => {
    reads(1_000 * (FRAME_HEAD + 7));
    guard.received(7_000);
  },
  'requests with a priority and a reset each': ({ guard, reads }) => {
    const raw = [':method', 'GET', ':path', '/', ':scheme', 'http', ':authority', 'a', 'x-mine', 'y'];
    reads(raw.join('').length + 5 * 7 + 3 * FRAME_HEAD + 5 + 5 + 4);
    guard.fields(raw);
  },
};

for (const [name, round] of Object.entries(LAWFUL)) {
  test(`${name}: as long as it will`, (t) => {
    const it = guarded(t);
    for (let i = 0; i < 20_000; i++) {
      round(it, i);
      if (i % 500 === 0) it.passes(500);
    }
    it.passes(500);
    assert.equal(it.guard.cut, false);
  });
}

test('a connection that is over is not looked at any more', (t) => {
  const { guard, session, reads, passes } = guarded(t);
  session.emit('close');
  reads(1e6);
  passes(1_000);
  assert.equal(guard.cut, false);
});
