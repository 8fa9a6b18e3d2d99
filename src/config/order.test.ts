import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HIGHEST_ORDER, type Numbered, numberInOrder } from './order.ts';

const ordersOf = (...orders: (number | undefined)[]) => {
  const list: Numbered[] = orders.map((order) => ({ order }));
  numberInOrder(list);
  return list.map(({ order }) => order);
};

test('what is new is numbered from 0, at the end, at the start and in between', () => {
  assert.deepEqual(ordersOf(undefined, undefined), [0, 1]);
  assert.deepEqual(ordersOf(0, 1, undefined, undefined), [0, 1, 2, 3]);
  assert.deepEqual(ordersOf(undefined, undefined, 0, 1), [-2, -1, 0, 1]);
  assert.deepEqual(ordersOf(0, undefined, undefined, undefined, 1), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(ordersOf(), []);
});

test('what moved is numbered anew, and nothing else', () => {
  assert.deepEqual(ordersOf(9, 0, 1, 2), [-1, 0, 1, 2]);
  assert.deepEqual(ordersOf(1, 2, 9, 0), [1, 2, 9, 10]);
});

test('all are numbered anew where nothing is left in between, or the numbers become too great', () => {
  assert.deepEqual(ordersOf(0, Number.MIN_VALUE, undefined, Number.MIN_VALUE * 2), [0, 1, 2, 3]);
  assert.deepEqual(ordersOf(1, 1 + Number.EPSILON, undefined, 1 + 2 * Number.EPSILON), [0, 1, 2, 3]);
  assert.deepEqual(ordersOf(7, HIGHEST_ORDER - 1, undefined), [0, 1, 2]);
});

test('whatever comes, goes and moves, numbers grow along the list', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(12), { maxLength: 12 }), { maxLength: 30 }), (lists) => {
      const known = new Map<number, Numbered>();
      for (const list of lists) {
        const items = [...new Set(list)].map((name) => {
          const item = known.get(name) ?? { order: undefined };
          known.set(name, item);
          return item;
        });
        numberInOrder(items);
        for (let i = 1; i < items.length; i++) assert.ok(items[i - 1]!.order! < items[i]!.order!);
        for (const name of known.keys()) if (!list.includes(name)) known.delete(name);
      }
    }),
    { seed: 1 },
  );
});
