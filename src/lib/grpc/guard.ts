/** How long a connection of a server stays: not without calls, not when its client is gone, not for ever. */
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

/** Between two pings. */
const KEEPALIVE_MS = 30_000;
/** A client that reads slowly has what is on its way before the ping to read. */
const KEEPALIVE_PATIENCE_MS = 60_000;
/** Of a connection without calls. */
const MOST_IDLE_MS = 60_000;
/** Of a connection that is to end, for the calls that are ending. */
const AGE_GRACE_MS = 1000;
/** So that not all connections of one moment end in one moment: of their age. */
const AGE_JITTER = 0.1;

/** Ends a connection that is dead, without calls, or too old. @param socket of the session itself: a session that has been closed ends its socket only when its client has read all */
export function guard(session: ServerHttp2Session, socket: Socket, mostAgeMs: number | undefined): void {
  const cut = () => {
    session.destroy();
    socket.destroy();
  };
  const leave = () => {
    session.close();
    setTimeout(cut, AGE_GRACE_MS).unref();
  };
  let calls = 0;
  let idle = setTimeout(leave, MOST_IDLE_MS).unref();
  let late: NodeJS.Timeout | undefined;
  session.on('stream', (stream) => {
    calls += 1;
    clearTimeout(idle);
    stream.once('close', () => {
      calls -= 1;
      if (calls === 0 && !session.destroyed) idle = setTimeout(leave, MOST_IDLE_MS).unref();
    });
  });
  const keepalive = setInterval(() => {
    if (late !== undefined || session.destroyed) return;
    late = setTimeout(cut, KEEPALIVE_PATIENCE_MS).unref();
    const sent = session.ping(() => {
      clearTimeout(late);
      late = undefined;
    });
    if (!sent) cut();
  }, KEEPALIVE_MS).unref();
  const age = mostAgeMs === undefined ? undefined : setTimeout(leave, mostAgeMs * (1 + AGE_JITTER * (2 * Math.random() - 1))).unref();
  session.on('error', () => {});
  session.once('close', () => {
    clearTimeout(idle);
    clearTimeout(late);
    clearInterval(keepalive);
    clearTimeout(age);
  });
}
