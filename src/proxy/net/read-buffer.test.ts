import assert from 'node:assert/strict';
import { test } from 'node:test';
import { own, Reader, writeTo } from './read-buffer.ts';
import type { Transport } from './transport.ts';

const KiB = 1024;

/** A reader as a transport uses it: each read fills the buffer that is offered with `byte`, and gives it to `use`. */
function reader() {
  const state = { use: (_: Buffer): void => undefined };
  const options = new Reader((data) => state.use(data));
  const offered = (): Buffer => options.buffer();
  return {
    options,
    offered,
    read(length: number, byte: number, use: (data: Buffer) => void) {
      state.use = use;
      const buffer = offered();
      buffer.fill(byte, 0, length);
      return options.filled(length);
    },
  };
}

/** A transport that has `pending` bytes of each write left over. */
const leaving = (pending: number, written: Buffer[]): Transport =>
  ({ pending, write: (data: Buffer) => written.push(data) > 0 }) as unknown as Transport;

const nothing = (): void => undefined;

test('connections share a buffer until their reads fill it, and again after many small reads', () => {
  const [a, b] = [reader(), reader()];
  const shared = a.offered();
  assert.equal(b.offered(), shared);
  a.read(shared.length, 1, nothing);
  const large = a.offered();
  assert.equal(large.length, 512 * KiB);
  assert.equal(b.offered(), shared);
  for (let i = 0; i < 31; i++) a.read(100, 1, nothing);
  a.read(large.length, 1, nothing);
  for (let i = 0; i < 31; i++) a.read(100, 1, nothing);
  assert.equal(a.offered(), large, 'a large read begins the count anew');
  a.read(100, 1, nothing);
  assert.equal(a.offered(), shared);
});

test('what is kept of a read stays as it was', () => {
  const { offered, read } = reader();
  const kept: Buffer[] = [];
  const keep = (data: Buffer): void => void kept.push(own(data));
  read(offered().length, 1, keep);
  read(200 * KiB, 2, keep);
  read(200 * KiB, 3, keep);
  read(10, 4, keep);
  read(10, 5, keep);
  assert.deepEqual(
    kept.map((data) => [data.length, data.every((byte) => byte === data[0]), data[0]]),
    [
      [64 * KiB, true, 1],
      [200 * KiB, true, 2],
      [200 * KiB, true, 3],
      [10, true, 4],
      [10, true, 5],
    ],
  );
});

test('a buffer of which a write is under way is not read into; one that is written is', () => {
  const { offered, read } = reader();
  const written: Buffer[] = [];
  read(offered().length, 1, (data) => void writeTo(leaving(0, written), data));
  const first = offered();
  read(200 * KiB, 2, (data) => void writeTo(leaving(0, written), data));
  assert.equal(offered(), first);
  read(200 * KiB, 3, (data) => void writeTo(leaving(1, written), data));
  assert.notEqual(offered(), first);
  read(200 * KiB, 4, nothing);
  assert.equal(written[2]![0], 3);
  assert.notEqual(written[0]!.buffer, reader().offered().buffer, 'a write of the shared buffer is of a copy');
});

test('after a MiB in a row the others have their turn', async () => {
  const { options, offered, read } = reader();
  let resumed = 0;
  const transport = { readOn: () => resumed++ };
  options.transport = transport as unknown as Transport;
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  assert.equal(read(offered().length, 1, nothing), true);
  const reads = () => [1, 2, 3, 4].map((byte) => read(256 * KiB, byte, nothing));
  assert.deepEqual(reads(), [true, true, true, false]);
  await turn();
  assert.equal(resumed, 1);
});
