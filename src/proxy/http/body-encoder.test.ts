import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, gunzipSync } from 'node:zlib';
import { BodyEncoder } from './body-encoder.ts';

const gzip = () => new BodyEncoder({ name: 'gzip', windowBits: 12, memoryLevel: 5, level: -1, strategy: 0 });

test('what has come can be read before the end has', () => {
  const encoder = gzip();
  const first = encoder.encode(Buffer.from('first'), false);
  assert.equal(gunzipSync(first, { finishFlush: constants.Z_SYNC_FLUSH }).toString(), 'first');
  const rest = [encoder.encode(Buffer.from(' second'), false), encoder.encode(Buffer.alloc(0), true)];
  assert.equal(gunzipSync(Buffer.concat([first, ...rest])).toString(), 'first second');
  encoder.close();
});

test('pieces larger than what is written at a time come out whole, and none is written over', () => {
  const [one, other] = [gzip(), gzip()];
  const [data, more] = [randomBytes(300_000), randomBytes(300_000)];
  const sent = one.encode(data, true);
  assert.deepEqual(gunzipSync(other.encode(more, true)), more);
  assert.deepEqual(gunzipSync(sent), data);
  for (const each of [one, other]) each.close();
});
