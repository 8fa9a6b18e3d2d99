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

test('to whoever has time the beginning of a call that is over is not told', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const told: string[] = [];
  const all = new FlowBatches((flows) => void told.push(...flows.map(({ kind, id }) => `${kind} ${id}`)));
  all.isPatient = true;
  for (const [kind, id] of [
    ['begin', '1'],
    ['begin', '2'],
    ['end', '1'],
  ] as const)
    all.add(flowOf({ kind, id }));
  t.mock.timers.tick(100);
  assert.deepEqual(told, ['begin 2', 'end 1']);
});

test('to whoever has time several turns go in one message, with how many were left out, and an answer asks for no more', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { batches, all, add } = sent();
  all.isPatient = true;
  add(2);
  await setImmediate();
  add(1);
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
