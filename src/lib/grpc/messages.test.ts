import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageReader, prefixOf } from './messages.ts';
import { encodedDetails } from './status.ts';

function messagesOf(reader: MessageReader, piece: Buffer): Buffer[] {
  reader.add(piece);
  const read: Buffer[] = [];
  for (let next = reader.next(); next; next = reader.next()) read.push(next);
  return read;
}

test('messages come out as they went in, however they are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), fc.array(fc.nat(12)), (messages, cuts) => {
      const whole = Buffer.concat(messages.flatMap((message) => [prefixOf(message), message]));
      const reader = new MessageReader(20);
      const read: Buffer[] = [];
      let at = 0;
      for (const length of [...cuts, whole.length]) {
        read.push(...messagesOf(reader, whole.subarray(at, at + length)));
        at = Math.min(whole.length, at + length);
      }
      assert.deepEqual(
        read.map((message) => [...message]),
        messages.map((message) => [...message]),
      );
      assert.equal(reader.isWithin, false);
    }),
    { seed: 1 },
  );
});

test('what is too large is refused before it has come', () => {
  const reader = new MessageReader(20);
  assert.throws(() => messagesOf(reader, prefixOf(new Uint8Array(21))), { code: 'grpc-too-large' });
});

test('a compressed message is refused', () => {
  assert.throws(() => messagesOf(new MessageReader(20), Buffer.from([1, 0, 0, 0, 0])), { code: 'grpc-compressed' });
});

test('details are written so that every text can be read back', () => {
  assert.equal(encodedDetails('host "a" is refused: 100 %'), 'host "a" is refused: 100 %25');
  assert.equal(encodedDetails('Zürich\n\0'), 'Z%C3%BCrich%0A%00');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const encoded = encodedDetails(text);
      assert.match(encoded, /^[\x20-\x7e]*$/);
      assert.equal(decodeURIComponent(encoded), text);
    }),
    { seed: 1 },
  );
});
