/** Raw bytes to our data plane and to a stock Envoy side by side: nothing of ours is laxer that is not listed with its reason. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { folder, server } from '../integration/dataplane/support.ts';
import { answered, exchange, isCut, PATIENT_MS, QUIET_MS, readAs } from './beside/exchange.ts';
import { HANDSHAKES, shake, tlsWith } from './beside/handshakes.ts';
import { LISTED_HANDSHAKES, LISTED_REQUESTS, LISTED_RESPONSES, LISTED_STREAMS } from './beside/listed.ts';
import { planes } from './beside/planes.ts';
import { requests } from './beside/requests.ts';
import { RESPONSES } from './beside/responses.ts';
import { STREAMS } from './beside/streams.ts';
import { upstream } from './support.ts';

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';

/** The request that is as it should be, as a server reads it. */
const LAST = '["GET /public/last HTTP/1.1",["host: www.allowed.example"],""]';

const SEED = 1;
const PAIRS = 120;

interface Difference {
  /** Names under which it may be listed. */
  readonly names: readonly string[];
  readonly text: string;
}

/** What is laxer and not listed, and what is listed and not laxer. */
function judge(laxer: readonly Difference[], listed: Readonly<Record<string, string>>): void {
  const unlisted = laxer.filter(({ names }) => !names.some((name) => name in listed)).map(({ text }) => text);
  assert.deepEqual(unlisted, []);
  const found = new Set(laxer.flatMap(({ names }) => names));
  assert.deepEqual(
    Object.keys(listed).filter((name) => !found.has(name)),
    [],
    'these no longer differ: take them off the list',
  );
}

/** Whether a list has the members of the other, or some of them, in that order: what a slow one of the two still sends may stand between. */
function isWithin(some: readonly string[], all: readonly string[]): boolean {
  let at = 0;
  return some.every((one) => {
    at = all.indexOf(one, at) + 1;
    return at > 0;
  });
}

/** Sends each case to both and tells what a server behind ours has read beyond what Envoy's has. */
async function compare(
  t: Parameters<typeof upstream>[0],
  codecType: string,
  cases: readonly { readonly name: string; readonly deviations: readonly string[]; readonly bytes: Buffer }[],
): Promise<Difference[]> {
  const [ours, theirs] = [await upstream(t), await upstream(t)];
  const port = await planes(t, envoy!, { ours: ours.port, envoy: theirs.port }, codecType);
  const laxer: Difference[] = [];
  const tried = async (name: string, deviations: readonly string[], bytes: Buffer, quietMs: number): Promise<Difference | undefined> => {
    const before = [ours.asked.length, theirs.asked.length];
    const [a, b] = await Promise.all([exchange(port.ours, bytes, quietMs), exchange(port.envoy, bytes, quietMs)]);
    const [read, readByEnvoys] = [readAs(ours.asked.slice(before[0])), readAs(theirs.asked.slice(before[1]))];
    // Fewer is stricter; another one is not.
    if (codecType === 'HTTP1' && isWithin(read, readByEnvoys)) return undefined;
    // Streams have no order, and Envoy ends a connection for what costs a stream here.
    if (codecType === 'HTTP2' && read.every((request) => request === LAST || readByEnvoys.includes(request))) return undefined;
    const text = `${name}\n   ours ${a.length} bytes: ${read.join(' ')}\n  Envoy ${b.length} bytes: ${readByEnvoys.join(' ')}`;
    return { names: deviations, text };
  };
  for (const { name, deviations, bytes } of cases) {
    const found = (await tried(name, deviations, bytes, QUIET_MS)) && (await tried(name, deviations, bytes, PATIENT_MS));
    if (found) laxer.push(found);
  }
  return laxer;
}

test('requests of HTTP/1.1: a server reads what Envoy would let it read, or less', { skip, timeout: 300_000 }, async (t) => {
  const cases = requests(PAIRS, SEED);
  assert.ok(cases.length >= 500);
  judge(await compare(t, 'HTTP1', cases), LISTED_REQUESTS);
});

test('HTTP/2: a server reads what Envoy would let it read, or less', { skip, timeout: 300_000 }, async (t) => {
  assert.ok(STREAMS.length >= 250);
  judge(await compare(t, 'HTTP2', STREAMS), LISTED_STREAMS);
});

for (const key of ['ec', 'rsa'] as const) {
  test(`TLS with a key of ${key}: no handshake succeeds that fails with Envoy`, { skip, timeout: 120_000 }, async (t) => {
    const { port: behind } = await upstream(t);
    const port = await planes(t, envoy!, { ours: behind, envoy: behind }, 'HTTP1', tlsWith(folder(t), key));
    const laxer: Difference[] = [];
    let common = 0;
    for (const handshake of HANDSHAKES) {
      const [ours, theirs] = await Promise.all([shake(port.ours, handshake), shake(port.envoy, handshake)]);
      if (ours && theirs) common++;
      if (ours && !theirs) laxer.push({ names: [handshake.name], text: handshake.name });
    }
    assert.ok(common > 3);
    judge(laxer, LISTED_HANDSHAKES);
  });
}

test('responses of HTTP/1.1: a client reads what Envoy would let it read, or less', { skip, timeout: 300_000 }, async (t) => {
  let answer: Buffer = Buffer.alloc(0);
  const serve = (socket: Socket) => socket.once('data', () => socket.end(answer));
  const port = await planes(t, envoy!, { ours: await server(t, serve), envoy: await server(t, serve) });
  const request = Buffer.from('GET /public HTTP/1.1\r\nHost: www.allowed.example\r\nConnection: close\r\n\r\n');
  assert.ok(RESPONSES.length >= 150);
  const laxer: Difference[] = [];
  for (const { name, bytes } of RESPONSES) {
    answer = bytes;
    const tried = async (quietMs: number): Promise<Difference | undefined> => {
      const [a, b] = await Promise.all([exchange(port.ours, request, quietMs), exchange(port.envoy, request, quietMs)]);
      const [read, readByEnvoys] = [answered(a), answered(b)];
      // Refused, or cut so that the client sees it, is stricter.
      if (read === readByEnvoys || /^\["50[23]"/.test(read) || isCut(a)) return undefined;
      return { names: [name], text: `${name}\n   ours ${read}\n  Envoy ${readByEnvoys}` };
    };
    const found = (await tried(QUIET_MS)) && (await tried(PATIENT_MS));
    if (found) laxer.push(found);
  }
  judge(laxer, LISTED_RESPONSES);
});
