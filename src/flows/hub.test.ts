import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flow } from './flow.ts';
import { FlowHub } from './hub.ts';
import { flowOf, TestSource } from './testing.ts';

const SIDECAR = { type: 'sidecar', namespace: 'default', name: 'local', addresses: [] } as const;
const ROUTER = {
  type: 'router',
  namespace: 'istio-system',
  name: 'istio-egressgateway',
  addresses: ['10.0.0.1'],
  bindAddress: '127.0.100.1',
} as const;

function watcher() {
  const seen: Flow[] = [];
  const lost: number[] = [];
  return {
    seen,
    lost,
    filter: () => true,
    take: (flow: Flow) => void seen.push(flow),
    dropped: (count: number) => void lost.push(count),
    ended: () => undefined,
  };
}

test('proxies are asked to tell while somebody watches, and not otherwise', async () => {
  const hub = new FlowHub();
  const source = new TestSource();
  const late = new TestSource();
  hub.register(SIDECAR, source);
  assert.deepEqual(source.asked, []);
  const end = await hub.watch(watcher());
  const endOther = await hub.watch(watcher());
  hub.register(ROUTER, late);
  assert.deepEqual(late.asked, [true], 'one that starts meanwhile');
  end();
  end();
  assert.equal(source.asked.at(-1), true);
  endOther();
  assert.equal(source.asked.at(-1), false);
  assert.equal(late.asked.at(-1), false);
  assert.equal(hub.watchers, 0);
});

test('a flow says whose it is, who called, and by which gateway it went on', async () => {
  const hub = new FlowHub({ processOf: ({ ip, port }) => (ip === '::1' && port === 40_000 ? { pid: 4242, name: 'npm' } : undefined) });
  const sidecar = new TestSource();
  const router = new TestSource();
  hub.register(SIDECAR, sidecar);
  const leave = hub.register(ROUTER, router);
  const one = watcher();
  await hub.watch(one);
  sidecar.tell({ id: '7', source: '[::1]:40000', upstream: '127.0.100.1:80' });
  router.tell({ id: '7', upstream: '127.0.0.1:8080' });
  leave();
  sidecar.tell({ id: '8', upstream: '127.0.100.1:80' });
  const [first, second, third] = one.seen;
  assert.equal(first?.proxy, 'default/local');
  assert.equal(first?.gateway, 'istio-system/istio-egressgateway');
  assert.deepEqual(first?.process, { pid: 4242, name: 'npm' });
  assert.equal(second?.proxy, 'istio-system/istio-egressgateway');
  assert.equal(second?.role, 'router');
  assert.equal(second?.gateway, undefined);
  assert.notEqual(first?.id, second?.id, 'ids are those of the process');
  assert.equal(third?.gateway, undefined, 'it has gone');
});

test('what a proxy could not tell is told to all who watch', async () => {
  const hub = new FlowHub();
  const source = new TestSource();
  hub.register(SIDECAR, source);
  const [one, two] = [watcher(), watcher()];
  await hub.watch(one);
  await hub.watch(two);
  source.dropped(5);
  assert.deepEqual([one.lost, two.lost], [[5], [5]]);
});

test('the calls that ended last come first, in the order of their ends, each once', async () => {
  const hub = new FlowHub({ processOf: () => ({ pid: 1, name: 'another by now' }) });
  const sidecar = new TestSource();
  const router = new TestSource();
  hub.register(SIDECAR, sidecar);
  hub.register(ROUTER, router);
  const at = (second: number) => `2026-01-02T03:04:0${second}.000Z`;
  sidecar.recent = [
    flowOf({ id: 'a', time: at(1) }),
    flowOf({ id: 'b', time: at(3) }),
    flowOf({ id: 'c', time: at(5), host: 'other.example' }),
  ];
  router.recent = [flowOf({ id: 'a', time: at(4) })];
  const one = { ...watcher(), filter: ({ host }: Flow) => host === 'www.example.com' };
  const watching = hub.watch(one, 2);
  // They end while the proxies are asked: one is remembered by then, and the other not.
  sidecar.tell({ id: 'b', time: at(3) });
  sidecar.tell({ id: 'd', time: at(6) });
  assert.equal(one.seen.length, 0);
  const end = await watching;
  sidecar.tell({ id: 'e', time: at(7) });
  assert.deepEqual(
    one.seen.map(({ id, process }) => [id, process?.pid]),
    [
      ['1-b', undefined],
      ['2-a', undefined],
      ['1-d', 1],
      ['1-e', 1],
    ],
  );
  end();
  assert.equal(hub.watchers, 0);
});

test('who began a call ended it, gone or not', async () => {
  let there = true;
  const hub = new FlowHub({ processOf: () => (there ? { pid: 4242, name: 'npm' } : undefined) });
  const source = new TestSource();
  hub.register(SIDECAR, source);
  const one = watcher();
  await hub.watch(one);
  source.tell({ kind: 'begin', id: '1' });
  there = false;
  source.tell({ id: '1' });
  source.tell({ id: '2' });
  assert.deepEqual(
    one.seen.map(({ process }) => process?.pid),
    [4242, 4242, undefined],
  );
});
