import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { ProxyFlow } from '../../../src/flows/flow.ts';
import { freePort } from '../../../src/lib/free-port.ts';
import { startWorkers } from '../../../src/proxy/workers.ts';
import { EMPTY_SET, encodeSet, updateBetween } from '../../../src/xds/update.ts';
import { client, cluster, folder, listener, readAll, resources, server, socketAddress, tcpProxy } from './support.ts';

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
  await workers.complete();
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

test('a listener that is refused is shut in each worker, also in those that start later', async (t) => {
  const workers = startWorkers({ concurrency: 3, log: () => {}, environment: {} });
  t.after(() => workers.close());
  const handed = (...chains: Parameters<typeof listener>[1]) =>
    listener('handed', chains, { bindToPort: false, address: socketAddress(443, '10.0.0.1') });
  const set = (...chains: Parameters<typeof listener>[1]) => encodeSet(resources({ listeners: [handed(...chains)] }));
  const refused = set({ name: 'bare' });
  const { rejected } = await workers.apply(updateBetween(EMPTY_SET, refused)!);
  assert.equal(rejected.length, 1);
  await workers.complete();
  const listed = async () => (await workers.status()).map(({ listeners }) => listeners.map(({ name }) => name));
  assert.deepEqual(await listed(), [['handed'], ['handed'], ['handed']]);
  await workers.apply(updateBetween(refused, EMPTY_SET)!);
  assert.deepEqual(await listed(), [[], [], []]);
});

test('workers tell of their calls while somebody watches, also one that was started meanwhile', async (t) => {
  const upstream = await server(t, (socket) => socket.end('hello'));
  const port = await freePort();
  const workers = startWorkers({ concurrency: 2, log: () => {}, environment: {}, workload: 'default/local' });
  t.after(() => workers.close());
  const json = {
    listeners: [listener('l', [{ filters: [tcpProxy('c')] }], { address: socketAddress(port) })],
    clusters: [cluster('c', [upstream])],
  };
  const told: ProxyFlow[] = [];
  let heard = () => {};
  const deliver = (flow: ProxyFlow) => {
    told.push(flow);
    heard();
  };
  const lost = (count: number) => assert.fail(`${count} lost`);
  // Before the second one is there.
  await workers.watchFlows(deliver, lost);
  await workers.apply(updateBetween(EMPTY_SET, encodeSet(resources(json)))!);
  await workers.complete();
  const call = async () => {
    const socket = await client(t, port);
    await readAll(socket);
    socket.end();
    await once(socket, 'close');
  };
  for (let i = 0; i < 40; i++) await call();
  while (told.length < 80) await new Promise<void>((resolve) => (heard = resolve));
  const ids = new Set(told.map(({ id }) => id));
  assert.equal(ids.size, 40);
  assert.deepEqual([...new Set(told.map(({ id }) => id.split('-')[0]))].sort(), ['0', '1'], 'both');
  for (const id of ids)
    assert.deepEqual(
      told.filter((flow) => flow.id === id).map(({ kind, verdict }) => `${kind} ${verdict}`),
      ['begin undefined', 'end allowed'],
    );
  await workers.watchFlows(undefined, lost);
  await call();
  await workers.stats();
  assert.equal(told.length, 80);
});

test('a worker is told to tell of its calls before it gets what it listens on, also when the watching begins while it loads', async (t) => {
  const entry = join(folder(t), 'worker.mjs');
  writeFileSync(
    entry,
    `import { parentPort } from 'node:worker_threads';
    let index;
    parentPort.on('message', ({ kind, id, data, request }) => {
      if (kind === 'start') {
        index = data.index;
        parentPort.postMessage({ kind: 'ready' });
        return;
      }
      parentPort.postMessage({ kind: 'log', level: 'info', message: index + ' ' + request.kind });
      parentPort.postMessage({ kind: 'reply', id, value: { version: '', rejected: [] } });
    });`,
  );
  const lines: string[] = [];
  const log = (_level: string, message: string) => lines.push(message);
  const workers = startWorkers({ concurrency: 2, log, environment: {}, entry: pathToFileURL(entry) });
  t.after(() => workers.close());
  await workers.apply({ version: '1', changed: [], removed: [] });
  // The second one has been started by now, and is not there yet.
  const lost = (count: number) => assert.fail(`${count} lost`);
  await workers.watchFlows(() => {}, lost);
  await workers.complete();
  const second = lines.filter((line) => line.startsWith('1 '));
  assert.deepEqual(second.slice(0, 2), ['1 watch-flows', '1 apply']);
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

test('a worker that dies is started again with what is in force, and its end is logged', async (t) => {
  const entry = join(folder(t), 'worker.mjs');
  writeFileSync(
    entry,
    `import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ kind, id, request }) => {
      if (kind === 'start') {
        parentPort.postMessage({ kind: 'ready' });
        return;
      }
      if (request.kind === 'stats') process.exit(3);
      if (request.kind === 'apply') parentPort.postMessage({ kind: 'log', level: 'info', message: request.update.changed.map(({ name }) => name).join() });
      parentPort.postMessage({ kind: 'reply', id, value: { version: '', rejected: [{ type: 'cluster', name: 'bad', message: 'no' }] } });
    });`,
  );
  const lines: string[] = [];
  let onLine = () => {};
  const log = (level: string, message: string) => {
    lines.push(`${level} ${message}`);
    onLine();
  };
  const workers = startWorkers({ concurrency: 1, log, environment: {}, entry: pathToFileURL(entry) });
  t.after(() => workers.close());
  const resource = (name: string) => ({ type: 'cluster' as const, name, version: '1', bytes: new Uint8Array() });
  await workers.apply({ version: '1', changed: [resource('bad'), resource('good')], removed: [] });
  const again = new Promise<void>((resolve) => {
    onLine = () => lines.length >= 4 && resolve();
  });
  await assert.rejects(workers.stats(), /a worker thread ended: exit code 3/);
  await again;
  assert.deepEqual(lines, [
    'info bad,good',
    'error worker 0 ended (exit code 3); it is started again',
    'info good',
    'error worker 0: cluster bad refused: no',
  ]);
});

test('what came as a patch comes whole to a worker that is started later', async (t) => {
  const entry = join(folder(t), 'worker.mjs');
  writeFileSync(
    entry,
    `import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ kind, id, request }) => {
      if (kind === 'start') {
        parentPort.postMessage({ kind: 'ready' });
        return;
      }
      if (request.kind === 'stats') process.exit(3);
      if (request.kind === 'apply') {
        const seen = request.update.changed.map(({ name, patch, bytes }) => name + (patch ? ' patch of ' + patch.base : ' of ' + bytes.length));
        parentPort.postMessage({ kind: 'log', level: 'info', message: seen.join() });
      }
      parentPort.postMessage({ kind: 'reply', id, value: { version: '', rejected: [] } });
    });`,
  );
  const lines: string[] = [];
  let onLine = () => {};
  const log = (_: string, message: string) => {
    lines.push(message);
    onLine();
  };
  const workers = startWorkers({ concurrency: 1, log, environment: {}, entry: pathToFileURL(entry) });
  t.after(() => workers.close());
  const route = { type: 'route' as const, name: 'r', version: '1', bytes: new Uint8Array(3) };
  const patch = { base: '1', frame: new Uint8Array(), hosts: [{ start: 0, end: 1 }] };
  await workers.apply({ version: '1', changed: [route], removed: [] });
  await workers.apply({ version: '2', changed: [{ ...route, version: '2', bytes: new Uint8Array(5), patch }], removed: [] });
  const again = new Promise<void>((resolve) => {
    onLine = () => lines.length >= 4 && resolve();
  });
  await assert.rejects(workers.stats());
  await again;
  assert.deepEqual([lines[0], lines[1], lines[3]], ['r of 3', 'r patch of 1', 'r of 5']);
});
