import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PendingLines } from './pending-lines.ts';

const taken = (lines: PendingLines): string => {
  const bytes = lines.take();
  const text = bytes.toString();
  lines.written(bytes);
  return text;
};

test('lines come out as they went in, whatever their length and characters', () => {
  const lines = new PendingLines();
  const all = Array.from({ length: 3000 }, (_, i) => `${i} ${'é€𝄞'.repeat(i % 40)} ${'x'.repeat(i % 500 === 0 ? 200_000 : 7)}\n`);
  for (const line of all) lines.add(line);
  assert.equal(lines.count, all.length);
  assert.equal(lines.size, Buffer.byteLength(all.join('')));
  assert.equal(taken(lines), all.join(''));
  assert.deepEqual([lines.count, lines.size], [0, 0]);
  assert.equal(taken(lines), '');
});

test('bytes that are being written stay as they are while lines come', () => {
  const lines = new PendingLines();
  lines.add('first\n');
  const first = lines.take();
  lines.add('second\n');
  assert.equal(first.toString(), 'first\n');
  lines.written(first);
  lines.add('third\n');
  assert.equal(taken(lines), 'second\nthird\n');
  lines.add('fourth\n');
  assert.equal(taken(lines), 'fourth\n');
});
