import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowCallers } from './flow-callers.ts';

/** Each look takes so many ms. */
function callers(tookMs: number) {
  let now = 0;
  const asked: number[] = [];
  const processOf = flowCallers(
    ({ port }) => {
      now += tookMs;
      asked.push(port);
      return port === 9 ? undefined : { pid: port, command: 'curl' };
    },
    () => now,
  );
  return { asked, of: (port: number) => processOf({ ip: '127.0.0.1', port })?.pid, wait: (ms: number) => (now += ms) };
}

test('a client is looked up once, and again when its port may be another’s', () => {
  const { asked, of, wait } = callers(1);
  assert.deepEqual([of(5), of(5), of(9), of(9)], [5, 5, undefined, undefined]);
  assert.deepEqual(asked, [5, 9]);
  wait(3000);
  assert.equal(of(5), 5);
  assert.deepEqual(asked, [5, 9, 5]);
});

test('looking up takes a tenth of the time at most: what is beyond stays without a name', () => {
  const { asked, of, wait } = callers(50);
  for (let port = 1000; port < 1020; port++) of(port);
  assert.ok(asked.length <= 5, `${asked.length} of 20`);
  assert.equal(of(2000), undefined);
  wait(2000);
  assert.equal(of(2001), 2001);
});
