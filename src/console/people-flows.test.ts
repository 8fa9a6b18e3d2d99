/** Calls at a console that tells people apart: each stream has those that are for its reader to see. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Flow } from '../flows/flow.ts';
import { FlowHub } from '../flows/hub.ts';
import { TestSource } from '../flows/testing.ts';
import type { State } from './model.ts';
import { readShown } from './read.ts';
import { startConsole } from './server.ts';
import { EVERYTHING, sightOf } from './sight.ts';
import { Visitors } from './visitors.ts';

const SPACES = new Set(['shop', 'payments']);
const PAGES = fileURLToPath(new URL('../../ui', import.meta.url));

async function opened(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-console-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'mesh.yaml'), 'apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n');
  const hub = new FlowHub();
  const sources = { shop: new TestSource(), payments: new TestSource() };
  for (const [namespace, source] of Object.entries(sources))
    hub.register({ type: 'sidecar', namespace, name: 'cart', addresses: [] }, source);
  const sights = new Map([
    ['alice', sightOf(new Set(['shop']), () => SPACES)],
    ['admin', EVERYTHING],
  ]);
  const visitors = new Visitors({ know: async (token) => ({ name: token.revealText(), sight: sights.get(token.revealText()) }) });
  const proxies = [
    { proxy: 'shop/cart', tells: true },
    { proxy: 'shop/old', tells: false },
    { proxy: 'payments/cart', tells: true },
  ];
  const { port, close } = await startConsole({
    at: { address: '127.0.0.1', port: 0 },
    shown: {
      ...(await readShown([folder], {}, async () => undefined)),
      kind: 'cluster',
      flows: hub,
      reach: () => ({ proxies, heard: 1, unheard: 1 }),
    },
    enter: () => undefined,
    pages: PAGES,
    visitors,
  });
  t.after(close);
  return { port, sources };
}

/** What somebody's stream says, event by event. */
async function* eventsOf(t: TestContext, port: number, name: string): AsyncGenerator<readonly [string, unknown]> {
  const asked = request({ host: '127.0.0.1', port, path: '/api/v1/events', headers: { authorization: `Bearer ${name}` }, agent: false });
  asked.end();
  t.after(() => asked.destroy());
  const answer = await new Promise<AsyncIterable<Buffer>>((resolve) => asked.on('response', resolve));
  let text = '';
  for await (const piece of answer) {
    const events = (text + piece.toString()).split('\n\n');
    text = events.pop()!;
    for (const event of events) {
      const [, kind, data] = /^event: (\w+)\ndata: (.*)$/m.exec(event) ?? [];
      if (kind !== undefined) yield [kind, JSON.parse(data!)];
    }
  }
}

async function next<T>(events: AsyncGenerator<readonly [string, unknown]>, wanted: string): Promise<T> {
  for (;;) {
    const { value, done } = await events.next();
    if (done) throw new Error(`the stream ended without ${wanted}`);
    if (value[0] === wanted) return value[1] as T;
  }
}

test('of the past somebody has what is theirs, however much of others has come since', { timeout: 60_000 }, async (t) => {
  const { port, sources } = await opened(t);
  const admin = eventsOf(t, port, 'admin');
  assert.deepEqual((await next<State>(admin, 'state')).reach, {
    connected: 3,
    telling: 2,
    silent: ['shop/old'],
    heard: 1,
    unheard: 1,
  });
  sources.shop.tell({ id: 'own', verdict: 'refused', reason: 'AuthorizationPolicy payments/only refuses' });
  for (let i = 0; i < 6_000; i++) sources.payments.tell({ id: `other${i}`, verdict: i % 2 === 0 ? 'allowed' : 'failed' });
  await next(admin, 'flows');
  const alice = eventsOf(t, port, 'alice');
  assert.deepEqual((await next<State>(alice, 'state')).reach, {
    connected: 2,
    telling: 1,
    silent: ['shop/old'],
    heard: 1,
    unheard: 1,
  });
  const past = await next<Flow[]>(alice, 'flows');
  assert.deepEqual(
    past.map(({ proxy, reason }) => [proxy, reason]),
    [['shop/cart', 'This names a namespace that you may not see, and is left out.']],
  );
  // What is missing of others is not theirs to know.
  sources.payments.dropped(5);
  sources.shop.dropped(3);
  sources.payments.tell({ id: 'more' });
  sources.shop.tell({ id: 'since' });
  assert.deepEqual(await next(alice, 'dropped'), { count: 3 });
  const since = await next<Flow[]>(alice, 'flows');
  assert.deepEqual(
    since.map(({ id }) => id),
    ['1-since'],
  );
});
