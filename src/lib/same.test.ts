import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redacted } from './redacted.ts';
import { keepContent, keepList, sameContent } from './same.ts';

test('a list with the same members stays the one that it was', () => {
  const before = [{}, {}];
  assert.equal(keepList(before, [...before]), before);
  for (const after of [before.slice(1), [...before, {}], before.toReversed(), [{}, {}]]) assert.equal(keepList(before, after), after);
});

test('items that say the same stay, and the list if all do', () => {
  const before = [{ a: [1] }, { a: [2] }];
  assert.equal(keepContent(before, [{ a: [1] }, { a: [2] }]), before);
  const after = keepContent(before, [{ a: [1] }, { a: [3] }]);
  assert.notEqual(after, before);
  assert.equal(after[0], before[0]);
  assert.deepEqual(after[1], { a: [3] });
});

test('content: the order of keys counts, classes and symbols go by identity', () => {
  const symbol = Symbol('s');
  const held = {};
  assert.ok(sameContent({ a: [{ b: Number.NaN }], c: undefined }, { a: [{ b: Number.NaN }], c: undefined }));
  assert.ok(sameContent({ [symbol]: held }, { [symbol]: held }));
  assert.ok(sameContent(new Redacted(Buffer.from('a')), new Redacted(Buffer.from('a'))));
  for (const [a, b] of [
    [new Redacted(Buffer.from('a')), new Redacted(Buffer.from('b'))],
    [new Redacted(Buffer.from('a')), new Redacted(Buffer.from('ab'))],
    [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ],
    [{ a: 1 }, { a: 1, b: undefined }],
    [[1], { 0: 1 }],
    [{ a: 1 }, { a: '1' }],
    [{ a: null }, { a: {} }],
    [new Map(), new Map()],
    [{ [symbol]: held }, { [symbol]: {} }],
    [{ [symbol]: held }, {}],
  ])
    assert.equal(sameContent(a, b), false);
});
