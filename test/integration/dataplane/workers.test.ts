import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { startWorkers } from '../../../src/proxy/workers.ts';
import { EMPTY_SET, encodeSet, updateBetween } from '../../../src/xds/update.ts';
import { client, cluster, listener, readAll, resources, server, socketAddress, tcpProxy } from './support.ts';

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

test('workers share a port, count together, and drain', async (t) => {
  const upstream = await server(t, (socket) => socket.end('hello'));
  const port = await freePort();
  const workers = startWorkers({ concurrency: 2, log: () => {}, environment: {} });
  t.after(() => workers.close());
  const json = {
    listeners: [listener('l', [{ filters: [tcpProxy('c')] }], { address: socketAddress(port) })],
    clusters: [cluster('c', [upstream])],
  };
  const update = updateBetween(EMPTY_SET, encodeSet(resources(json)))!;
  assert.deepEqual(await workers.apply(update), { version: update.version, rejected: [] });
  for (let i = 0; i < 20; i++) {
    const socket = await client(t, port);
    assert.equal((await readAll(socket)).toString(), 'hello');
    socket.end();
    await once(socket, 'close');
  }
  const status = await workers.status();
  assert.deepEqual(
    status.map(({ version, listeners }) => [version, listeners[0]?.addresses]),
    [0, 1].map(() => [update.version, [{ ip: '127.0.0.1', port }]]),
  );
  const { counters } = await workers.stats();
  assert.equal(counters.find(({ name }) => name === 'cluster.c.upstream_cx_total')?.value, 20);
  await workers.drain(5000);
  await assert.rejects(client(t, port), /ECONNREFUSED/);
});

test('a port that another process shares with nobody is refused, and named', async (t) => {
  const taken = await server(t, () => {});
  const workers = startWorkers({ concurrency: 2, log: () => {}, environment: {} });
  t.after(() => workers.close());
  const json = { listeners: [listener('l', [{ filters: [tcpProxy('c')] }], { address: socketAddress(taken) })] };
  const { rejected } = await workers.apply(updateBetween(EMPTY_SET, encodeSet(resources(json)))!);
  assert.equal(rejected.length, 1);
  assert.match(rejected[0]!.message, new RegExp(`127.0.0.1:${taken} is already in use by process ${process.pid}`));
});
