import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { ProxyFlow } from '../flow.ts';
import { FlowHub } from '../hub.ts';
import { TestSource } from '../testing.ts';
import { askedBytes, type FlowsTold, toldIn } from './messages.ts';
import { FlowTeller } from './teller.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A proxy with calls, and what its controller hears. */
function telling({ takes = true }: { readonly takes?: boolean } = {}) {
  const hub = new FlowHub();
  const source = new TestSource();
  hub.register({ type: 'sidecar', namespace: 'shop', name: 'cart', addresses: [] }, source);
  const told: FlowsTold[] = [];
  let now = 0;
  const teller = new FlowTeller({
    hub,
    now: () => now,
    send: (message, taken) => {
      told.push(toldIn(message));
      if (takes) taken();
    },
  });
  return {
    hub,
    source,
    told,
    teller,
    ask: (asked: Parameters<typeof askedBytes>[0]) => teller.asked(askedBytes(asked)),
    pass: (ms: number) => {
      now += ms;
    },
    ids: () => told.flatMap(({ flows }) => flows.map(({ kind, id }) => `${kind} ${id}`)),
    dropped: () => told.reduce((sum, each) => sum + each.dropped, 0),
  };
}

test('nothing is asked of the proxy until the controller watches, and nothing once it does no more', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { source, told, teller, ask, ids } = telling();
  teller.begin();
  assert.deepEqual([source.asked, told.length], [[], 1]);
  ask({ watch: 10 });
  await settled();
  source.tell({ id: 'a', kind: 'begin' });
  source.tell({ id: 'a' });
  source.tell({ id: 'b', kind: 'begin' });
  mock.timers.tick(200);
  source.tell({ id: 'b' });
  mock.timers.tick(200);
  // Of a call that is over when it is told, the end alone.
  assert.deepEqual(ids(), ['end 1-a', 'begin 1-b', 'end 1-b']);
  ask({ watch: 0 });
  await settled();
  assert.deepEqual(source.asked, [true, false]);
  teller.close();
});

test('of many calls as many are told as were asked for, those that went wrong by a count of their own, and the rest is counted', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { source, ask, ids, dropped, pass } = telling();
  ask({ watch: 5 });
  await settled();
  for (let i = 0; i < 100; i++) source.tell({ id: `good${i}` });
  for (let i = 0; i < 20; i++) source.tell({ id: `wrong${i}`, verdict: 'refused' });
  mock.timers.tick(200);
  assert.deepEqual([ids().filter((id) => id.includes('good')).length, ids().filter((id) => id.includes('wrong')).length], [10, 10]);
  assert.equal(dropped(), 100);
  pass(1000);
  for (let i = 0; i < 20; i++) source.tell({ id: `late${i}`, verdict: 'failed' });
  mock.timers.tick(200);
  assert.equal(ids().filter((id) => id.includes('late')).length, 5);
});

test('a controller that takes nothing has calls left out and counted, and no more waiting than a bound', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { source, ask, told, pass } = telling({ takes: false });
  ask({ watch: 1000 });
  await settled();
  const reason = 'x'.repeat(1000);
  for (let round = 0; round < 20; round++) {
    pass(10_000);
    for (let i = 0; i < 200; i++) source.tell({ id: `${round}-${i}`, verdict: 'refused', reason });
    mock.timers.tick(200);
  }
  const sent = told.reduce((sum, { flows }) => sum + flows.length, 0);
  assert.ok(sent > 200 && sent < 1000, String(sent));
});

test('of those before, the ones that went wrong come first, in their order', async () => {
  const { source, told, ask } = telling();
  const end = (id: string, second: number, verdict: 'allowed' | 'refused') => {
    const flow = { kind: 'end', id, time: `2026-01-02T03:04:0${second}.000Z`, source: '', host: '', port: 1, protocol: 'tcp' } as const;
    return { ...flow, verdict, bytesSent: 0, bytesReceived: 0, duration: 0 } satisfies ProxyFlow;
  };
  source.recent = [end('old', 1, 'refused'), end('a', 2, 'allowed'), end('b', 3, 'allowed'), end('new', 4, 'refused')];
  ask({ recent: 3 });
  await settled();
  assert.deepEqual(
    told.map(({ flows, recent }) => [recent, flows.map(({ id }) => id)]),
    [[true, ['1-old', '1-b', '1-new']]],
  );
});
