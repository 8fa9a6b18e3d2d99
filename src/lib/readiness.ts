/** Asks a proxy or a control plane whether it is ready: `GET /healthz/ready`. */
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { SallyportError } from './errors.ts';
import { hostPort, type SocketAddress } from './socket-address.ts';

/** Between two questions, ms. */
const AGAIN_MS = 200;
const ANSWER_MS = 1000;
/** Of what it says beside its status, characters. */
const LONGEST_NOTE = 1000;

/** @throws SallyportError `not-ready` after so many ms, with why it is not */
export async function waitUntilReady(at: SocketAddress, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const why = await notReady(at);
    if (why === undefined) return;
    if (performance.now() >= end)
      throw new SallyportError('not-ready', `what is at ${hostPort(at.address, at.port)} is not ready after ${timeoutMs / 1000} s: ${why}`);
    await delay(AGAIN_MS);
  }
}

/** Undefined if it is ready, else why not. */
function notReady({ address: host, port }: SocketAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path: '/healthz/ready', agent: false, timeout: ANSWER_MS }, (answer) => {
      let note = '';
      answer.setEncoding('utf8').on('data', (text: string) => {
        note = (note + text).slice(0, LONGEST_NOTE);
      });
      answer.on('end', () =>
        resolve(answer.statusCode === 200 ? undefined : [`it answers ${answer.statusCode}`, note.trim()].filter(Boolean).join(', ')),
      );
      answer.on('error', ({ message }) => resolve(message));
    });
    asked.on('timeout', () => asked.destroy(new Error('it does not answer')));
    asked.on('error', ({ message }) => resolve(message));
    asked.end();
  });
}
