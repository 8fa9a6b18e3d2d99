import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { duplexPair } from 'node:stream';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Field } from './field.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { blockBound, HpackEncoder } from './hpack-encoder.ts';
import { ConnectionError, ERROR, TABLE_SIZE } from './protocol.ts';

type Pairs = [name: string, value: string][];

function decode(decoder: HpackDecoder, block: Buffer): Pairs {
  const pairs: Pairs = [];
  decoder.decode(block, { add: ({ name, value }: Field) => pairs.push([name, value]) });
  return pairs;
}

function encode(encoder: HpackEncoder, pairs: Pairs): Buffer {
  const out = Buffer.alloc(blockBound(pairs.flat()));
  encoder.begin(out, 0);
  for (const [name, value] of pairs) encoder.field(name, value);
  assert.ok(encoder.end() <= out.length, 'the bound holds');
  return out.subarray(0, encoder.end());
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** RFC 7541, Appendix C.3 to C.6: three messages each over one connection. */
const EXAMPLES: Readonly<Record<string, readonly (readonly [bytes: string, fields: Pairs])[]>> = {
  'C.3, requests without Huffman': [
    ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', requestOf('http', '/')],
    ['8286 84be 5808 6e6f 2d63 6163 6865', requestOf('http', '/', ['cache-control', 'no-cache'])],
    [
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      requestOf('https', '/index.html', ['custom-key', 'custom-value']),
    ],
  ],
  'C.4, requests with Huffman': [
    ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', requestOf('http', '/')],
    ['8286 84be 5886 a8eb 1064 9cbf', requestOf('http', '/', ['cache-control', 'no-cache'])],
    ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', requestOf('https', '/index.html', ['custom-key', 'custom-value'])],
  ],
};

function requestOf(scheme: string, path: string, ...more: Pairs): Pairs {
  return [[':method', 'GET'], [':scheme', scheme], [':path', path], [':authority', 'www.example.com'], ...more];
}

for (const [name, blocks] of Object.entries(EXAMPLES)) {
  test(`RFC 7541 ${name}`, () => {
    const decoder = new HpackDecoder();
    for (const [bytes, fields] of blocks) assert.deepEqual(decode(decoder, hex(bytes)), fields);
  });
}

const REFUSED: Readonly<Record<string, string>> = {
  'an index of nothing': '80',
  'an index beyond the table': 'be',
  'a number without end': 'ff ff ff ff ff ff ff ff ff ff ff',
  'a number that is cut': 'ff',
  'a text that is cut': '00 05 61',
  'a text that is missing': '00',
  'padding of more than seven bits': '00 82 1f ff 00',
  'padding of zeros': '00 81 18 00',
  'the end of a text within it': '00 84 ff ff ff ff 00',
  'a table that is too large': '3f e2 1f',
  'a change of the table behind fields': '82 20',
};

for (const [name, bytes] of Object.entries(REFUSED)) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => decode(new HpackDecoder(), hex(bytes)),
      (error) => error instanceof ConnectionError && error.code === ERROR.compression,
    );
  });
}

test('what is in the table when it is made smaller is gone, and what is larger than the table empties it', () => {
  const decoder = new HpackDecoder();
  assert.deepEqual(decode(decoder, hex('40 01 61 01 62 be')), [
    ['a', 'b'],
    ['a', 'b'],
  ]);
  assert.throws(() => decode(decoder, hex('20 be')), ConnectionError);
  const other = new HpackDecoder();
  decode(other, hex('40 01 61 01 62'));
  const large = Buffer.alloc(TABLE_SIZE, 99);
  const length = large.length - 127;
  const head = Buffer.from([0x40, 1, 97, 127, (length & 127) | 128, (length >> 7) & 127]);
  decode(other, Buffer.concat([head, large]));
  assert.throws(() => decode(other, hex('be')), ConnectionError);
});

test('a table that entries of the least size fill', () => {
  const decoder = new HpackDecoder();
  const entries = Buffer.concat(Array.from({ length: 1000 }, () => hex('40 01 61 00')));
  assert.equal(decode(decoder, entries).length, 1000);
  // 33 bytes each.
  const last = 61 + Math.floor(TABLE_SIZE / 33);
  assert.deepEqual(decode(decoder, Buffer.from([0xff, last - 127])), [['a', '']]);
  assert.throws(() => decode(decoder, Buffer.from([0xff, last - 126])), ConnectionError);
});

const name = fc.constantFrom(':status', 'content-type', 'x-mine', 'authorization', 'date', 'x-long', 'set-cookie');
const value = fc.oneof(fc.constantFrom('', '200', 'a', 'text/plain', 'z'.repeat(900)), fc.string({ unit: 'binary-ascii', maxLength: 300 }));
const messages = fc.array(
  fc.record({ fields: fc.array(fc.tuple(name, value), { maxLength: 12 }), table: fc.option(fc.integer({ min: 0, max: 5000 })) }),
  { maxLength: 30 },
);

test('what is encoded is decoded as it was, message after message, whatever size the peer gives the table', () => {
  fc.assert(
    fc.property(messages, (all) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      for (const { fields, table } of all) {
        if (table !== null) encoder.resize(table);
        assert.deepEqual(decode(decoder, encode(encoder, fields)), fields);
      }
    }),
    { seed: 7541, numRuns: 300 },
  );
});

test('a value that stays costs a byte from the third message on; a secret never goes into the table', () => {
  const encoder = new HpackEncoder();
  const sizes = (pairs: Pairs) => [1, 2, 3].map(() => encode(encoder, pairs).length);
  assert.deepEqual(sizes([['x-mine', 'value']]), [14, 14, 1]);
  assert.deepEqual(sizes([['authorization', 'secret']]), [9, 9, 9]);
  assert.equal(encode(encoder, [['authorization', 'secret']])[0]! & 0xf0, 0x10, 'never indexed');
});

test("what nghttp2 writes with Huffman's code is read, byte by byte", async (t) => {
  // Long enough for the code to be shorter than the text, whatever the byte in it costs.
  const around = 'a'.repeat(40);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte >= 0x20 && byte !== 0x7f);
  const values = bytes.map((byte) => `${around}${String.fromCharCode(byte)}${around}`);
  const block = await writtenByNghttp2(t, Object.fromEntries(values.map((value, index) => [`x-${bytes[index]}`, value])));
  const read = new Map(decode(new HpackDecoder(), block));
  assert.ok(block.length < values.join('').length, 'the code is in use');
  for (const [index, value] of values.entries()) assert.equal(read.get(`x-${bytes[index]}`), value, `0x${bytes[index]!.toString(16)}`);
});

/** The header block of Node's own client, which is nghttp2's: of its HEADERS frame and the CONTINUATIONs behind it. */
async function writtenByNghttp2(t: TestContext, headers: Readonly<Record<string, string>>): Promise<Buffer> {
  const [ours, theirs] = duplexPair();
  const session = connect('http://a.example', { createConnection: () => theirs });
  t.after(() => session.destroy());
  // What is in the table of a server that has said nothing yet is nobody's concern.
  ours.write(hex('000000 04 00 00000000'));
  session.request({ ...headers }).on('error', () => undefined);
  const parts: Buffer[] = [];
  let data = Buffer.alloc(0);
  let preface = true;
  for await (const piece of ours as AsyncIterable<Buffer>) {
    data = Buffer.concat([data, piece]);
    if (preface && data.length < 24) continue;
    if (preface) data = data.subarray(24);
    preface = false;
    while (data.length >= 9 && data.length >= 9 + data.readUIntBE(0, 3)) {
      const [end, type, flags] = [9 + data.readUIntBE(0, 3), data[3], data[4]!];
      // Without padding, and with a priority of five bytes where the flag says so.
      if (type === 1 || type === 9) parts.push(data.subarray(type === 1 && (flags & 0x20) !== 0 ? 14 : 9, end));
      if ((type === 1 || type === 9) && (flags & 4) !== 0) return Buffer.concat(parts);
      data = data.subarray(end);
    }
  }
  throw new Error('the client ended before its head');
}

test('names without end are not remembered', () => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < 10_000; i++) encode(encoder, [[`x-${i}`, 'a']]);
  const pairs: Pairs = [['x-9999', 'a']];
  for (let i = 0; i < 3; i++) assert.ok(encode(encoder, pairs).length > 1);
});

test('any bytes are a block, or are refused as none', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder();
      for (const block of blocks) {
        try {
          decode(decoder, Buffer.from(block));
        } catch (error) {
          assert.ok(error instanceof ConnectionError && error.code === ERROR.compression, String(error));
          return;
        }
      }
    }),
    { seed: 1, numRuns: 3000 },
  );
});
