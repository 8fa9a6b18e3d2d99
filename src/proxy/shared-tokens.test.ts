import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedTokens, tokenMemory } from './shared-tokens.ts';

const MILLISECOND = 1000n;

function tokens() {
  const clock = { now: 5_000_000_000n };
  return { clock, shared: new SharedTokens(tokenMemory(), () => clock.now) };
}

test('a bucket starts full, gives what it has, and fills by and by', () => {
  const { clock, shared } = tokens();
  const bucket = { key: 7n, most: 3, perToken: 100 };
  const taken = () => [1, 2, 3, 4, 5].map(() => shared.take(bucket)).filter(Boolean).length;
  assert.equal(taken(), 3);
  clock.now += 99n * MILLISECOND;
  assert.equal(taken(), 0);
  clock.now += 1n * MILLISECOND;
  assert.equal(taken(), 1);
  clock.now += 250n * MILLISECOND;
  assert.equal(taken(), 2);
  clock.now += 50n * MILLISECOND;
  assert.equal(taken(), 1);
  clock.now += 60_000n * MILLISECOND;
  assert.equal(taken(), 3);
});

test('several tokens are taken at once or not at all', () => {
  const { clock, shared } = tokens();
  const bucket = { key: 7n, most: 5, perToken: 100 };
  assert.deepEqual([shared.take(bucket, 3), shared.take(bucket, 3), shared.take(bucket, 2)], [true, false, true]);
  clock.now += 300n * MILLISECOND;
  assert.deepEqual([shared.take(bucket, 6), shared.take(bucket, 3), shared.take(bucket)], [false, true, false]);
});

test('buckets are apart, and one that finds no place gives nothing', () => {
  const { shared } = tokens();
  const bucket = (key: bigint) => ({ key, most: 1, perToken: 1000 });
  // The same first place.
  assert.deepEqual(
    [1n, 4097n, 1n, 4097n].map((key) => shared.take(bucket(key))),
    [true, true, false, false],
  );
  for (let key = 10_000n; key < 14_094n; key++) assert.equal(shared.take(bucket(key)), true);
  assert.equal(shared.take(bucket(20_000n)), false);
});

test('a bucket that has filled leaves its place to another, and one that has not keeps it', () => {
  const { clock, shared } = tokens();
  const slow = { key: 1n, most: 2, perToken: 60_000 };
  const quick = (key: bigint) => ({ key, most: 1, perToken: 1000 });
  assert.equal(shared.take(slow, 2), true);
  // Many more in their time than there are places at once.
  for (let round = 1n; round <= 5n; round++) {
    for (let i = 0n; i < 4095n; i++) assert.equal(shared.take(quick(round * 10_000n + i)), true);
    assert.equal(shared.take(quick(9n)), false);
    assert.equal(shared.take(slow), false);
    clock.now += 1000n * MILLISECOND;
  }
  clock.now += 60_000n * MILLISECOND;
  assert.deepEqual([shared.take(slow), shared.take(slow)], [true, false]);
});

test('a bucket that is filled is like a new one', () => {
  const { shared } = tokens();
  const bucket = { key: 7n, most: 2, perToken: 1000 };
  shared.fill(bucket);
  assert.deepEqual([shared.take(bucket, 2), shared.take(bucket)], [true, false]);
  shared.fill(bucket);
  assert.deepEqual([shared.take(bucket, 2), shared.take(bucket)], [true, false]);
});

test('the largest bucket that fills slowest gives what it has', () => {
  const { shared } = tokens();
  const bucket = { key: 7n, most: 2 ** 32 - 1, perToken: 365 * 24 * 3_600_000 };
  assert.deepEqual([shared.take(bucket), shared.take(bucket), shared.take(bucket)], [true, true, true]);
});

test('threads share what is left', async () => {
  const memory = tokenMemory();
  const bucket = { key: 7n, most: 1000, perToken: 3_600_000 };
  const module = new URL('shared-tokens.ts', import.meta.url).href;
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(${JSON.stringify(module)}).then(({ SharedTokens }) => {
      const shared = new SharedTokens(workerData.memory);
      let taken = 0;
      for (let i = 0; i < 1000; i++) if (shared.take(workerData.bucket)) taken++;
      parentPort.postMessage(taken);
    });`;
  const counts = await Promise.all(
    [1, 2].map(
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(code, { eval: true, workerData: { memory, bucket } });
          worker.once('message', resolve).once('error', reject);
        }),
    ),
  );
  assert.equal(counts[0]! + counts[1]!, 1000);
});

test('threads share what is left of buckets that come and go, more of them than there are places', async () => {
  const memory = tokenMemory();
  const module = new URL('shared-tokens.ts', import.meta.url).href;
  // All threads see the same time, which one of them moves on: a round has its own buckets, and with the next one these have filled.
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const time = new BigInt64Array(workerData.time);
    const arrived = new Int32Array(workerData.arrived);
    import(${JSON.stringify(module)}).then(({ SharedTokens }) => {
      const shared = new SharedTokens(workerData.memory, () => Atomics.load(time, 0));
      let taken = 0;
      for (let round = 1n; round <= 4n; round++) {
        for (let key = 0n; key < 3000n; key++)
          for (let i = 0; i < 3; i++) if (shared.take({ key: round * 10000n + key, most: 2, perToken: 1000 })) taken++;
        const expected = Number(round) * 2;
        if (Atomics.add(arrived, 0, 1) + 1 === expected) {
          Atomics.add(time, 0, 10000000n);
          Atomics.store(arrived, 1, expected);
          Atomics.notify(arrived, 1);
        } else for (let seen; (seen = Atomics.load(arrived, 1)) < expected; ) Atomics.wait(arrived, 1, seen);
      }
      parentPort.postMessage(taken);
    });`;
  const time = new SharedArrayBuffer(8);
  new BigInt64Array(time)[0] = 5_000_000_000n;
  const arrived = new SharedArrayBuffer(8);
  const counts = await Promise.all(
    [1, 2].map(
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(code, { eval: true, workerData: { memory, time, arrived } });
          worker.once('message', resolve).once('error', reject);
        }),
    ),
  );
  assert.equal(counts[0]! + counts[1]!, 4 * 3000 * 2);
});
