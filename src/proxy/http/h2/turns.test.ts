import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns.ts';

/** A loop that turns when it is told to. */
function loop() {
  let scheduled: (() => void)[] = [];
  const begun: string[] = [];
  const turns = new Turns((run) => scheduled.push(run));
  return {
    begun,
    turns,
    connection(name: string) {
      const turn = turns.connection();
      return (count: number, from = 0): void => {
        for (let i = from; i < from + count; i++) turn.take({ beginRequest: () => begun.push(`${name}${i}`) });
      };
    },
    turn(): string[] {
      const now = scheduled;
      scheduled = [];
      for (const run of now) run();
      return begun.splice(0);
    },
    get idle(): boolean {
      return scheduled.length === 0;
    },
  };
}

const range = (name: string, from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${name}${from + i}`);

test('a few requests of a connection begin at once, the others in the turns that follow, in their order', () => {
  const l = loop();
  l.connection('a')(100);
  assert.deepEqual(l.begun.splice(0), range('a', 0, 8));
  assert.deepEqual(l.turn(), range('a', 8, 72));
  assert.deepEqual(l.turn(), range('a', 72, 100));
  assert.deepEqual(l.turn(), []);
  assert.equal(l.idle, true, 'nothing is scheduled where nothing waits');
});

test('whoever has asked for little begins at once, however many wait', () => {
  const l = loop();
  for (let i = 0; i < 300; i++) l.connection(`${i}.`)(100);
  l.begun.splice(0);
  l.turn();
  l.connection('b')(1);
  assert.deepEqual(l.begun, ['b0']);
});

test('those that wait take turns, one request each', () => {
  const l = loop();
  for (const name of ['a', 'b', 'c']) l.connection(name)(30);
  l.begun.splice(0);
  assert.deepEqual(l.turn().slice(0, 7), ['a8', 'b8', 'c8', 'a9', 'b9', 'c9', 'a10']);
  assert.equal(l.turn().length, 2);
});

test('more connections than a turn begins requests of: each has its turn before any has its second', () => {
  const l = loop();
  for (let i = 0; i < 100; i++) l.connection(`${i}.`)(10);
  l.begun.splice(0);
  const order = [...l.turn(), ...l.turn()];
  assert.deepEqual(
    order.slice(0, 100),
    Array.from({ length: 100 }, (_, i) => `${i}.8`),
  );
});

test('a connection whose requests wait begins none before them', () => {
  const l = loop();
  const a = l.connection('a');
  a(100);
  l.begun.splice(0);
  l.turn();
  a(1, 100);
  assert.deepEqual(l.begun, []);
  assert.deepEqual(l.turn(), range('a', 72, 101));
});
