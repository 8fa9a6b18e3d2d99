import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Memo, NO_INPUTS } from './memo.ts';

test('a result is kept by the identity of objects and the value of others', () => {
  const memo = new Memo<object>();
  const [a, b] = [{}, {}];
  const made = memo.get([a, 1, b], NO_INPUTS, () => ({}));
  const again = () => assert.fail('made again');
  assert.equal(memo.get([a, 1, b], NO_INPUTS, again), made);
  for (const keys of [
    [a, 2, b],
    [a, '1', b],
    [b, 1, a],
    [a, 1],
    [a, 1, {}],
  ] as const) {
    assert.notEqual(
      memo.get([...keys], NO_INPUTS, () => ({})),
      made,
    );
  }
  assert.equal(memo.get([a, 1, b], NO_INPUTS, again), made);
});

test('a result is made again when an input is another, and the last inputs are remembered', () => {
  const memo = new Memo<number>();
  const key = {};
  let calls = 0;
  const get = (...inputs: unknown[]) => memo.get([key], inputs, () => ++calls);
  const list: string[] = [];
  assert.equal(get(list, 'x', undefined), 1);
  assert.equal(get(list, 'x', undefined), 1);
  assert.equal(get(list, 'x'), 2);
  assert.equal(get([], 'x'), 3);
  assert.equal(get(list, 'x'), 4);
});
