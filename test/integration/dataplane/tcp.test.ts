import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import {
  accessLog,
  client,
  cluster,
  dataPlane,
  echoServer,
  folder,
  HTTP_INSPECTOR,
  listener,
  logged,
  readAll,
  readUntil,
  server,
  tcpProxy,
  typed,
} from './support.ts';

test('TCP goes both ways, and each side can end by itself', async (t) => {
  // The server answers only when the client has ended its direction.
  const upstream = await server(t, async (socket) => {
    const all = await readAll(socket);
    socket.end(`got ${all.toString()}`);
  });
  const log = join(folder(t), 'log');
  const made = await dataPlane(t);
  const { set, port } = made;
  const ack = await set({
    listeners: [listener('l', [{ filters: [tcpProxy('c', { accessLog: accessLog(log) })] }])],
    clusters: [cluster('c', [upstream])],
  });
  assert.deepEqual(ack.rejected, []);
  const socket = await client(t, port('l'));
  socket.end('hello');
  assert.equal((await readAll(socket)).toString(), 'got hello');
  const [line] = await logged(made, log, 1);
  assert.equal(line?.cluster, 'c');
  assert.equal(line?.received, 5);
  assert.equal(line?.sent, 9);
});

test('a reset on one side is a reset on the other, as only the end of a connection says that all is there', async (t) => {
  let reset = (): void => undefined;
  const gone = new Promise<string>((resolve) => {
    reset = () => resolve('reset');
  });
  const upstream = await server(t, async (socket) => {
    socket.on('error', reset);
    const [first] = (await once(socket, 'data')) as [Buffer];
    if (first.toString() === 'cut') socket.resetAndDestroy();
    else socket.write('go on');
  });
  const log = join(folder(t), 'log');
  const made = await dataPlane(t);
  await made.set({
    listeners: [listener('l', [{ filters: [tcpProxy('c', { accessLog: accessLog(log) })] }])],
    clusters: [cluster('c', [upstream])],
  });
  const cut = await client(t, made.port('l'));
  cut.write('cut');
  const [error] = (await once(cut, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  assert.equal((await logged(made, log, 1))[0]?.flags, 'UR');
  const cutting = await client(t, made.port('l'));
  cutting.write('x');
  await once(cutting, 'data');
  cutting.resetAndDestroy();
  assert.equal(await gone, 'reset');
});

test('a client that ends before the upstream is there loses nothing, inspected or not', async (t) => {
  const upstream = await server(t, async (socket) => {
    const all = await readAll(socket);
    socket.end(`got ${all.toString()}`);
  });
  const { set, port } = await dataPlane(t);
  const chain = { filters: [tcpProxy('c')] };
  await set({
    listeners: [listener('l', [chain]), listener('inspected', [chain], { listenerFilters: [HTTP_INSPECTOR] })],
    clusters: [cluster('c', [upstream])],
  });
  for (const name of ['l', 'inspected']) {
    const socket = await client(t, port(name));
    socket.end('\0\x01hello\n');
    assert.equal((await readAll(socket)).toString(), 'got \0\x01hello\n', name);
  }
});

test('a server that speaks first is heard', async (t) => {
  const upstream = await server(t, (socket) => socket.write('HELLO\n'));
  const { set, port } = await dataPlane(t);
  await set({ listeners: [listener('l', [{ filters: [tcpProxy('c')] }])], clusters: [cluster('c', [upstream])] });
  const socket = await client(t, port('l'));
  assert.equal(await readUntil(socket, '\n'), 'HELLO\n');
});

test('refusals close the client at once, with their flags', async (t) => {
  const some = await server(t, () => {});
  const log = join(folder(t), 'log');
  const made = await dataPlane(t);
  const { set, port } = made;
  const proxy = (name: string) => [{ filters: [tcpProxy(name, { accessLog: accessLog(log) })] }];
  const limits = { circuitBreakers: { thresholds: [{ maxConnections: 0 }] } };
  await set({
    listeners: ['full', 'missing', 'none', 'refused'].map((name) => listener(name, proxy(name))),
    clusters: [cluster('none', []), cluster('full', [some], limits), cluster('refused', [1])],
  });
  for (const name of ['none', 'missing', 'full', 'refused']) {
    const socket = await client(t, port(name));
    await Promise.all([once(socket, 'close'), readAll(socket).then(() => socket.end())]);
  }
  assert.deepEqual(
    (await logged(made, log, 4)).map(({ cluster: name, flags, reason }) => [name, flags, reason]),
    [
      ['none', 'UH', null],
      [null, 'NC', null],
      ['full', 'UO', null],
      ['refused', 'UF,URX', 'delayed_connect_error:_Connection_refused'],
    ],
  );
});

test('a reader that rests holds the server back, and nothing of 300 MB is lost', async (t) => {
  const total = 300 * 1024 * 1024;
  const piece = Buffer.alloc(1024 * 1024, 'x');
  let sent = 0;
  const upstream = await server(t, (socket) => {
    const go = (): void => {
      while (sent < total) {
        sent += piece.length;
        if (!socket.write(piece)) {
          socket.once('drain', go);
          return;
        }
      }
      socket.end();
    };
    go();
  });
  const { set, port } = await dataPlane(t);
  await set({ listeners: [listener('l', [{ filters: [tcpProxy('c')] }])], clusters: [cluster('c', [upstream])] });
  const socket = await client(t, port('l'));
  let received = 0;
  let rested = 0;
  let ahead = 0;
  for await (const data of socket) {
    received += (data as Buffer).length;
    if (received - rested < 32 * 1024 * 1024) continue;
    rested = received;
    // The reader rests until the server gets no further for many turns of the event loop: what it is ahead by is all that the two
    // sockets' buffers and the proxy hold.
    for (let still = 0, last = sent; still < 200; last = sent) {
      await new Promise((resolve) => setImmediate(resolve));
      still = sent === last ? still + 1 : 0;
    }
    ahead = Math.max(ahead, sent - received);
  }
  assert.equal(received, total);
  // Four socket buffers of the kernel, of 4 to 6 MiB each, and little of the proxy's own; a proxy that read on would be ahead by all.
  assert.ok(ahead < 64 * 1024 * 1024, `the server is ${ahead} bytes ahead of the reader`);
});

test('a connection ends when it would no longer be let through, and goes on where it would merely lead elsewhere', async (t) => {
  const echo = await echoServer(t);
  const { set, port, plane } = await dataPlane(t);
  const log = join(folder(t), 'log');
  const [open, refusing] = [
    cluster('open', [echo]),
    { ...cluster('shut', []), metadata: { filterMetadata: { sallyport: { refusal: 'x' } } } },
  ];
  const clusters = [
    open,
    cluster('other', [echo]),
    cluster('BlackHoleCluster', []),
    cluster('outbound|1||ended.egress-policy.internal', []),
    refusing,
  ];
  const chain = (leads: JsonObject, more: JsonObject = {}) => {
    const typedConfig = typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
      statPrefix: 't',
      accessLog: accessLog(log),
      ...leads,
    });
    return listener('l', [{ filters: [{ name: 'tcp', typedConfig }], ...more }]);
  };
  const both = (...names: string[]) => ({ weightedClusters: { clusters: names.map((name) => ({ name, weight: 1 })) } });
  await set({ listeners: [chain({ cluster: 'open' })], clusters });
  let ended = 0;
  for (const [listener, lives] of [
    [chain({ cluster: 'other' }), true],
    [chain(both('open', 'BlackHoleCluster')), true],
    [chain({ cluster: 'BlackHoleCluster' }), false],
    [chain({ cluster: 'outbound|1||ended.egress-policy.internal' }), false],
    [chain(both('shut', 'BlackHoleCluster')), false],
    [chain({ cluster: 'nowhere' }), false],
    [chain({ cluster: 'open' }, { filterChainMatch: { serverNames: ['www.example.com'] } }), false],
  ] as const) {
    const connection = await client(t, port('l'));
    connection.write('1\n');
    assert.equal(await readUntil(connection, '\n'), '1\n');
    await set({ listeners: [listener], clusters });
    if (lives) {
      connection.write('2\n');
      assert.equal(await readUntil(connection, '\n'), '2\n');
      connection.destroy();
      ended++;
    } else {
      assert.equal((await readAll(connection)).length, 0);
      const lines = await logged({ plane }, log, ++ended);
      assert.equal(lines.at(-1)!.termination, 'no_longer_allowed');
    }
    await set({ listeners: [chain({ cluster: 'open' })], clusters });
  }
});

test('weighted clusters, and an update that takes a chain away, leave running connections alone', async (t) => {
  const echo = (name: string) => server(t, (socket) => socket.on('data', (data: Buffer) => socket.write(`${name}:${data}`)));
  const [a, b] = [await echo('a'), await echo('b')];
  const { set, port, plane } = await dataPlane(t);
  const clusters = [cluster('a', [a]), cluster('b', [b])];
  await set({ listeners: [listener('l', [{ filters: [tcpProxy('a')] }])], clusters });
  const at = port('l');
  const first = await client(t, at);
  first.write('1\n');
  assert.equal(await readUntil(first, '\n'), 'a:1\n');
  const weighted = (clusters: JsonObject[]) => ({
    name: 'tcp',
    typedConfig: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      statPrefix: 't',
      weightedClusters: { clusters },
    },
  });
  // Envoy's API has no weight of 0 either.
  for (const [none, why] of [
    [[], /names no cluster/],
    [
      [
        { name: 'b', weight: 100 },
        { name: 'a', weight: 0 },
      ],
      /a has weight 0/,
    ],
  ] satisfies [JsonObject[], RegExp][]) {
    const { rejected } = await set({ listeners: [listener('l', [{ filters: [weighted(none)] }])], clusters });
    assert.match(rejected[0]!.message, why);
  }
  await set({
    listeners: [
      listener('l', [
        {
          filters: [
            weighted([
              { name: 'b', weight: 1 },
              { name: 'b', weight: 2 },
            ]),
          ],
        },
      ]),
    ],
    clusters,
  });
  assert.equal(port('l'), at, 'the socket is kept');
  const second = await client(t, at);
  second.write('2\n');
  assert.equal(await readUntil(second, '\n'), 'b:2\n');
  first.write('3\n');
  assert.equal(await readUntil(first, '\n'), 'a:3\n', 'the old connection goes on');
  assert.equal(plane.status().activeConnections, 2);
  // The whole listener goes, and its cluster too.
  await set({ clusters: [cluster('b', [b])] });
  first.write('4\n');
  assert.equal(await readUntil(first, '\n'), 'a:4\n');
  await assert.rejects(client(t, at), /ECONNREFUSED/);
});

test('a refused resource names its field and leaves the last good version in force', async (t) => {
  const upstream = await server(t, (socket) => socket.end('old'));
  const { set, port } = await dataPlane(t);
  await set({ listeners: [listener('l', [{ filters: [tcpProxy('c')] }])], clusters: [cluster('c', [upstream])] });
  const unknown = {
    name: 'x',
    typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC', statPrefix: 'x', matcher: {} },
  };
  const ack = await set({
    listeners: [listener('l', [{ filters: [unknown, tcpProxy('c')] }])],
    clusters: [cluster('c', [], { type: 'STRICT_DNS', lbSubsetConfig: { subsetSelectors: [{ keys: ['a'] }] } })],
  });
  assert.deepEqual(
    ack.rejected.map(({ type, name }) => [type, name]),
    [
      ['cluster', 'c'],
      ['listener', 'l'],
    ],
  );
  assert.match(ack.rejected[0]!.message, /cluster "c"\.lb_subset_config/);
  assert.match(ack.rejected[1]!.message, /listener "l"\.filter_chains\[0\]\.filters\[0\] "x".*matcher/);
  const socket = await client(t, port('l'));
  assert.equal((await readAll(socket)).toString(), 'old');
});

test('a port in use names the process that has it', async (t) => {
  const taken = await server(t, () => {});
  const { set } = await dataPlane(t);
  const { rejected } = await set({
    listeners: [
      { ...listener('l', [{ filters: [tcpProxy('c')] }]), address: { socketAddress: { address: '127.0.0.1', portValue: taken } } },
    ],
  });
  assert.match(rejected[0]!.message, new RegExp(`127.0.0.1:${taken} is already in use by process ${process.pid} \\(`));
});
