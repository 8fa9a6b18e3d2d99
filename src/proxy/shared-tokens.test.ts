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
