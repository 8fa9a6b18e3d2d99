import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SideAnswer } from '../http/side-call.ts';
import { Exporter } from './exporter.ts';

interface Item {
  readonly within: { readonly text: string };
}

const item = (length: number): Item => ({ within: { text: 'x'.repeat(length) } });

/** An exporter to a service that answers when the test says so. */
function setUp() {
  const batches: (readonly Item[])[] = [];
  let answer: (answer: SideAnswer | undefined) => void = () => {};
  const [sent, dropped] = [{ value: 0 }, { value: 0 }];
  const exporter = new Exporter<Item>({
    callOf: (items) => {
      batches.push(items);
      return {} as never;
    },
    isTaken: () => true,
    ask: (_, done) => {
      answer = done;
    },
    sent,
    dropped,
  });
  return { exporter, batches, sent, dropped, take: () => answer(undefined) };
}

test('long items make more messages, none of which is too long for a service', () => {
  const { exporter, batches, sent, take } = setUp();
  for (let i = 0; i < 100; i++) exporter.add(item(60_000));
  exporter.add(item(5_000_000));
  exporter.add(item(1));
  for (let messages = 0; messages < 102 && sent.value < 102; messages++) {
    take();
    exporter.flush();
  }
  const lengths = batches.map((items) => items.reduce((sum, { within }) => sum + within.text.length, 0));
  assert.deepEqual(
    lengths.filter((length) => length > 512 * 1024),
    [5_000_000],
    'what is longer by itself goes alone',
  );
  assert.equal(batches.flat().length, 102);
});

test('what waits for a service is bounded by its length, and counted where it is dropped', () => {
  const { exporter, sent, dropped, take } = setUp();
  for (let i = 0; i < 1000; i++) exporter.add(item(100_000));
  assert.equal(dropped.value, 1000 - Math.floor((16 * 1024 * 1024) / 100_000));
  take();
  const before = dropped.value;
  assert.ok(sent.value > 0);
  exporter.add(item(100_000));
  assert.equal(dropped.value, before, 'there is room again');
});
