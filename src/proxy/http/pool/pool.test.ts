import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { HeaderMap } from '../../../http/header-map.ts';
import type { UpstreamConnectOptions, UpstreamFailure } from '../../types.ts';
import type { PoolClient, UpstreamStream } from '../contract.ts';
import { type FakeCluster, fakeCluster } from '../testing.ts';
import { answering, type RawUpstream, rawUpstream, response } from '../testing-sockets.ts';
import { Timers } from '../timers.ts';
import { HttpPool, type PoolProtocol } from './pool.ts';

/** A client that sends one request and hears what becomes of it. */
class Client implements PoolClient {
  readonly downstream = undefined;
  readonly authority = 'a.example';
  readonly tunnel: boolean;
  readonly heard: string[] = [];
  stream: UpstreamStream | undefined;
  #wake: () => void = () => undefined;

  constructor(tunnel = false) {
    this.tunnel = tunnel;
  }

  #hear(what: string): void {
    this.heard.push(what);
    this.#wake();
  }

  async until(what: string): Promise<void> {
    while (!this.heard.includes(what))
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  poolReady(stream: UpstreamStream): void {
    this.stream = stream;
    this.#hear('ready');
    stream.sendHead({ method: 'GET', path: '/', authority: 'a.example', scheme: 'http', headers: new HeaderMap(), upgrade: '' }, true);
    stream.flush();
  }

  poolFailed(failure: UpstreamFailure): void {
    this.#hear(failure.kind);
  }

  upstreamInformational(): void {}

  upstreamHead(status: number, _headers: HeaderMap, end: boolean): void {
    this.#hear(`${status}`);
    if (end) this.#hear('end');
  }

  upstreamData(): void {}

  upstreamEnd(): void {
    this.#hear('end');
  }

  upstreamFlush(): void {}

  upstreamDrained(): void {}

  upstreamReset(kind: string): void {
    this.#hear(kind);
  }
}

interface Setup {
  readonly cluster: FakeCluster;
  readonly pool: HttpPool;
  /** What connections were asked for with. */
  readonly asked: UpstreamConnectOptions[];
  /** Whether the pool has said that it is empty. */
  readonly isEmpty: () => boolean;
  readonly empty: Promise<void>;
}

function setup(t: TestContext, upstreams: readonly RawUpstream[], protocol: PoolProtocol = 'http1', host = 0): Setup {
  const cluster = fakeCluster(
    'c',
    upstreams.map(({ port }) => port),
  );
  return poolOf(t, cluster, protocol, host);
}

function poolOf(t: TestContext, cluster: FakeCluster, protocol: PoolProtocol, host: number): Setup {
  const asked: UpstreamConnectOptions[] = [];
  const watched: FakeCluster = {
    ...cluster,
    connect(to, options, done) {
      asked.push(options);
      return cluster.connect(to, options, done);
    },
  };
  let isEmpty = false;
  const { promise: empty, resolve } = Promise.withResolvers<void>();
  const emptied = () => {
    isEmpty = true;
    resolve();
  };
  const pool = new HttpPool({ cluster: watched, host: cluster.hosts[host]!, protocol }, new Timers(() => performance.now()), emptied);
  t.after(() => pool.drain());
  return { cluster: watched, pool, asked, isEmpty: () => isEmpty, empty };
}

function bound({ limits }: FakeCluster, what: 'connections' | 'pending', max: number): void {
  Object.assign(limits[what], { max });
}

async function upstreamOf(t: TestContext, made: Promise<RawUpstream>): Promise<RawUpstream> {
  const upstream = await made;
  t.after(() => upstream.close());
  return upstream;
}

test('connections are asked for as the protocol needs them', async (t) => {
  const upstream = await upstreamOf(t, rawUpstream());
  const asked = (protocol: PoolProtocol, tunnel: boolean) => {
    const { pool, asked } = setup(t, [upstream], protocol);
    pool.acquire(new Client(tunnel));
    return asked.map(({ alpn, halfOpen, authority }) => ({ alpn, halfOpen, authority }));
  };
  const authority = 'a.example';
  assert.deepEqual(asked('http1', false), [{ alpn: ['http/1.1'], halfOpen: true, authority }]);
  assert.deepEqual(asked('http2', false), [{ alpn: ['h2'], halfOpen: undefined, authority }]);
  assert.deepEqual(asked('alpn', false), [{ alpn: ['h2', 'http/1.1'], halfOpen: undefined, authority }]);
  for (const protocol of ['http1', 'http2', 'alpn'] as const)
    assert.deepEqual(asked(protocol, true), [{ alpn: undefined, halfOpen: undefined, authority }], `a tunnel of ${protocol}`);
});

test('a connection serves one request after the other, and what waits has it next', async (t) => {
  const { pool, cluster, asked } = setup(t, [
    await upstreamOf(
      t,
      answering((_, connection) => response(`${connection}`)),
    ),
  ]);
  bound(cluster, 'connections', 1);
  const [first, second] = [new Client(), new Client()];
  pool.acquire(first);
  pool.acquire(second);
  assert.equal(cluster.limits.pending.used, 2);
  await second.until('end');
  assert.deepEqual(
    [first.heard, second.heard],
    [
      ['ready', '200', 'end'],
      ['ready', '200', 'end'],
    ],
  );
  assert.equal(cluster.limits.pending.used, 0);
  const third = new Client();
  pool.acquire(third);
  assert.equal(third.heard[0], 'ready', 'at once');
  assert.equal(asked.length, 1);
});

test('the first connection to a host is made whatever the cluster’s limit, a second one is not', async (t) => {
  const upstream = () => upstreamOf(t, rawUpstream());
  const { pool, cluster, asked } = setup(t, [await upstream(), await upstream()]);
  bound(cluster, 'connections', 1);
  const other = poolOf(t, cluster, 'http1', 1);
  const [here, there, waits] = [new Client(), new Client(), new Client()];
  pool.acquire(here);
  await here.until('ready');
  other.pool.acquire(there);
  await there.until('ready');
  other.pool.acquire(waits);
  assert.deepEqual([asked.length, other.asked.length], [2, 1], 'the first pool’s cluster sees both');
  assert.deepEqual(waits.heard, []);
  assert.equal(cluster.stats.upstreamCxOverflow, 1);
});

test('beyond those that may wait the next fails, and one that waits no longer makes room', async (t) => {
  const { pool, cluster } = setup(t, [await upstreamOf(t, rawUpstream())]);
  bound(cluster, 'pending', 1);
  const [first, second, third] = [new Client(), new Client(), new Client()];
  pool.acquire(first);
  pool.acquire(second);
  assert.deepEqual(second.heard, ['overflow']);
  assert.equal(cluster.stats.upstreamRqPendingOverflow, 1);
  pool.cancel(first);
  pool.cancel(first);
  assert.equal(cluster.limits.pending.used, 0);
  pool.acquire(third);
  await third.until('ready');
  assert.deepEqual(first.heard, []);
});

test('a host that can’t be reached fails all that wait, and the pool is empty', async (t) => {
  const upstream = await rawUpstream();
  await upstream.close();
  const { pool, empty } = setup(t, [upstream]);
  const clients = [new Client(), new Client()];
  for (const client of clients) pool.acquire(client);
  for (const client of clients) await client.until('connect');
  await empty;
});

test('a connection closes after as many requests as the cluster says', async (t) => {
  const upstream = await upstreamOf(
    t,
    answering(() => response('x')),
  );
  const { pool, cluster, asked } = setup(t, [upstream]);
  cluster.maxRequestsPerConnection = 2;
  for (const connections of [1, 1, 2]) {
    const client = new Client();
    pool.acquire(client);
    await client.until('end');
    assert.equal(asked.length, connections);
  }
  await upstream.wires[0]!.end();
});

test('a pool that drains lets requests end, closes what is idle and tells that it is empty', async (t) => {
  const upstream = await upstreamOf(t, rawUpstream());
  const { pool, isEmpty, empty } = setup(t, [upstream]);
  const [first, second] = [new Client(), new Client()];
  pool.acquire(first);
  pool.acquire(second);
  for (const client of [first, second]) await client.until('ready');
  const [busy, idle] = [await upstream.wire(0), await upstream.wire(1)];
  idle.send(response('x'));
  await second.until('end');
  pool.drain();
  await idle.end();
  assert.deepEqual([busy.ended, isEmpty()], [false, false]);
  busy.send(response('x'));
  await first.until('end');
  await busy.end();
  await empty;
});

test('a tunnel has a connection to itself, however many there may be', async (t) => {
  const { pool, cluster, asked, empty } = setup(t, [await upstreamOf(t, rawUpstream())]);
  bound(cluster, 'connections', 1);
  const clients = [new Client(true), new Client(true)];
  for (const client of clients) pool.acquire(client);
  for (const client of clients) await client.until('200');
  assert.equal(asked.length, 2);
  for (const { stream } of clients) stream!.reset();
  await empty;
});
