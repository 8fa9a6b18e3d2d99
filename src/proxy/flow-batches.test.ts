import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { flowOf } from '../flows/testing.ts';
import { FlowBatches, MOST_UNTAKEN } from './flow-batches.ts';

function sent() {
  const batches: { flows: number; dropped: number }[] = [];
  const all = new FlowBatches((flows, dropped) => void batches.push({ flows: flows.length, dropped }));
  const add = (count: number) => {
    for (let i = 0; i < count; i++) all.add(flowOf());
  };
  return { batches, all, add };
}

test('what comes in one turn goes in one message', async () => {
  const { batches, add } = sent();
  add(3);
  assert.deepEqual(batches, []);
  await setImmediate();
  add(1);
  await setImmediate();
  assert.deepEqual(batches, [
    { flows: 3, dropped: 0 },
    { flows: 1, dropped: 0 },
  ]);
});

test('a main thread that takes nothing gets no more than so many, and learns what was left out', async () => {
  const { batches, all, add } = sent();
  add(MOST_UNTAKEN - 1);
  await setImmediate();
  add(11);
  await setImmediate();
  add(5);
  await setImmediate();
  assert.deepEqual(batches, [
    { flows: MOST_UNTAKEN - 1, dropped: 0 },
    { flows: 1, dropped: 10 },
  ]);
  all.taken(MOST_UNTAKEN - 1);
  assert.deepEqual(batches.at(-1), { flows: 0, dropped: 5 }, 'also where no call follows');
  all.taken(0);
  add(1);
  await setImmediate();
  assert.deepEqual(batches.at(-1), { flows: 1, dropped: 0 });
});

test('to whoever has time the beginning of a call that is over is neither made nor told', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const told: string[] = [];
  const made: string[] = [];
  const all = new FlowBatches((flows) => void told.push(...flows.map(({ kind, id }) => `${kind} ${id}`)));
  for (const [kind, id] of [
    ['begin', '1'],
    ['begin', '2'],
    ['end', '1'],
  ] as const)
    all.later(id, () => {
      made.push(`${kind} ${id}`);
      return flowOf({ kind, id });
    });
  assert.deepEqual(made, [], 'together, and not while calls are carried');
  t.mock.timers.tick(100);
  assert.deepEqual(told, ['begin 2', 'end 1']);
  assert.deepEqual(made, told);
});

test('to whoever has time several turns go in one message, with how many were left out, and an answer asks for no more', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { batches, all } = sent();
  const later = (...ids: readonly string[]) => {
    for (const id of ids) all.later(id, () => flowOf({ id }));
  };
  later('1', '2');
  await setImmediate();
  later('3');
  all.leave(4);
  assert.deepEqual(batches, []);
  t.mock.timers.tick(100);
  assert.deepEqual(batches, [{ flows: 3, dropped: 4 }]);
  all.leave(1);
  all.taken(3);
  assert.equal(batches.length, 1);
  t.mock.timers.tick(100);
  assert.deepEqual(batches.at(-1), { flows: 0, dropped: 1 }, 'also where no call follows');
});

test('whoever has time gets no more than so many either, but the end of each call whose beginning waits', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { batches, all } = sent();
  for (let i = 0; i < MOST_UNTAKEN + 3; i++) all.later(String(i), () => flowOf());
  all.later('0', () => flowOf());
  t.mock.timers.tick(100);
  assert.deepEqual(batches, [{ flows: MOST_UNTAKEN, dropped: 3 }]);
});
