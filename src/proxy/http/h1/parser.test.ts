import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CodecError } from '../../../http/h1/error.ts';
import { parseRequestHead, parseResponseHead, type RequestHead } from '../../../http/h1/head.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import { type BodyFraming, CHUNKED, MessageParser, NO_BODY } from './parser.ts';

const OPTIONS = { maxHeaders: 20, customMethods: false };

interface Seen {
  readonly messages: { head: RequestHead; body: string; trailers: readonly string[] | undefined }[];
  error: string | undefined;
}

/** Parses a stream of requests that comes in `pieces`. */
function run(pieces: readonly Buffer[], maxHeadBytes = 4096): Seen {
  const seen: Seen = { messages: [], error: undefined };
  let current: { head: RequestHead; body: string; trailers: readonly string[] | undefined } | undefined;
  const parser = new MessageParser(
    {
      head(text): BodyFraming | undefined {
        const head = parseRequestHead(text, OPTIONS);
        if (head instanceof CodecError) {
          seen.error = head.details;
          return undefined;
        }
        current = { head, body: '', trailers: undefined };
        return head.chunked ? CHUNKED : head.contentLength > 0 ? { kind: 'length', length: head.contentLength } : NO_BODY;
      },
      bodyData(data) {
        current!.body += data.toString('latin1');
      },
      messageEnd(trailers: HeaderMap | undefined) {
        current!.trailers = trailers?.flat;
        seen.messages.push(current!);
        parser.next();
      },
      codecError(error) {
        seen.error = error.details;
      },
    },
    maxHeadBytes,
    20,
  );
  for (const piece of pieces) parser.execute(piece);
  return seen;
}

function whole(text: string): Seen {
  return run([Buffer.from(text, 'latin1')]);
}

function cut(text: string, places: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1');
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let start = 0;
  for (const end of [...sorted, bytes.length]) {
    if (end > start) pieces.push(bytes.subarray(start, end));
    start = Math.max(start, end);
  }
  return pieces;
}

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/);
const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
const bodyText = fc.string({ unit: 'binary-ascii', maxLength: 60 });

const request = fc
  .record({
    target: fc.stringMatching(/^\/[a-z0-9/?=&.%-]{0,20}$/),
    fields: fc.array(fc.tuple(token, value), { maxLength: 6 }),
    body: bodyText,
    chunks: fc.option(fc.array(fc.nat({ max: 20 }), { maxLength: 5 })),
    trailers: fc.array(fc.tuple(token, value), { maxLength: 2 }),
    empty: fc.nat({ max: 2 }),
  })
  .map(({ target, fields, body, chunks, trailers, empty }) => {
    const framing = /^(host|content-length|transfer-encoding|connection|te|upgrade|keep-alive|proxy-connection)$/i;
    const lines = (list: readonly (readonly [string, string])[]) =>
      list.filter(([name]) => !framing.test(name)).map(([name, text]) => `${name}: ${text}\r\n`);
    let text = `${'\r\n'.repeat(empty)}POST ${target} HTTP/1.1\r\nHost: a\r\n${lines(fields).join('')}`;
    if (chunks === null) return `${text}Content-Length: ${body.length}\r\n\r\n${body}`;
    text += 'Transfer-Encoding: chunked\r\n\r\n';
    let at = 0;
    for (const size of [...chunks, body.length]) {
      const part = body.slice(at, at + size);
      at += part.length;
      if (part.length > 0) text += `${part.length.toString(16)};x=y\r\n${part}\r\n`;
    }
    return `${text}0\r\n${lines(trailers).join('')}\r\n`;
  });

test('a stream of requests reads the same however it is cut', () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 3 }), fc.array(fc.nat()), (requests, places) => {
      const text = requests.join('');
      const expected = whole(text);
      assert.equal(expected.error, undefined);
      assert.equal(expected.messages.length, requests.length);
      assert.deepEqual(run(cut(text, places)), expected);
      assert.deepEqual(run([...Buffer.from(text, 'latin1')].map((byte) => Buffer.from([byte]))), expected);
    }),
    { numRuns: 150, seed: 1 },
  );
});

test('damaged requests are refused or read the same however they are cut, and never throw', () => {
  const damage = fc.record({ at: fc.nat(), text: fc.constantFrom('\r', '\n', '\0', ' ', '\t', ':', '\r\n', 'é', ';', '-', '0') });
  fc.assert(
    fc.property(request, damage, fc.array(fc.nat()), (text, { at, text: inserted }, places) => {
      const place = at % text.length;
      const damaged = text.slice(0, place) + inserted + text.slice(place);
      const expected = whole(damaged);
      const seen = run(cut(damaged, places));
      assert.equal(seen.error === undefined, expected.error === undefined);
      if (expected.error === undefined) assert.deepEqual(seen, expected);
      assert.equal(seen.messages.length, expected.messages.length);
    }),
    { numRuns: 300, seed: 1 },
  );
});

test('random bytes never throw', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), (pieces) => {
      run(pieces.map((piece) => Buffer.from(piece)));
      parseResponseHead(Buffer.concat(pieces).toString('latin1'), 10);
    }),
    { numRuns: 200, seed: 1 },
  );
});

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\n';
const CHUNKED_HEAD = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const refused: readonly (readonly [name: string, text: string, details?: string])[] = [
  ['a bare LF as line end', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['a bare LF after a field', `${HEAD}a: b\nc: d\r\n\r\n`],
  ['a bare CR in a value', `${HEAD}a: b\rc\r\n\r\n`],
  ['NUL in a value', `${HEAD}a: b\0c\r\n\r\n`, 'http1.invalid_characters'],
  ['NUL in a name', `${HEAD}a\0: b\r\n\r\n`, 'http1.invalid_characters'],
  ['a control character in the target', 'GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n', 'http1.invalid_characters'],
  ['obs-fold', `${HEAD}a: b\r\n c\r\n\r\n`],
  ['obs-fold with a tab', `${HEAD}a: b\r\n\tc\r\n\r\n`],
  ['a space before the colon', `${HEAD}a : b\r\n\r\n`],
  ['a tab before the colon', `${HEAD}a\t: b\r\n\r\n`],
  ['an empty name', `${HEAD}: b\r\n\r\n`],
  ['a line without colon', `${HEAD}nonsense\r\n\r\n`],
  ['a space in a name', `${HEAD}a b: c\r\n\r\n`],
  ['two lengths', `${HEAD}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`],
  ['a list of lengths', `${HEAD}Content-Length: 1, 1\r\n\r\nx`],
  ['a signed length', `${HEAD}Content-Length: +1\r\n\r\nx`],
  ['a negative length', `${HEAD}Content-Length: -1\r\n\r\nx`],
  ['an empty length', `${HEAD}Content-Length: \r\n\r\nx`],
  ['a hexadecimal length', `${HEAD}Content-Length: 0x1\r\n\r\nx`],
  ['a huge length', `${HEAD}Content-Length: 99999999999999999999\r\n\r\nx`],
  ['a lower-case method', 'get / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an unknown method', 'FROB / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['two spaces after the method', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['no version', 'GET /\r\nHost: a\r\n\r\n', 'low_version'],
  ['version 1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 'low_version'],
  ['version 2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 'low_version'],
  ['a lower-case version', 'GET / http/1.1\r\nHost: a\r\n\r\n'],
  ['bytes above ASCII in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a path in host', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 'http.invalid_authority'],
  ...['Host', 'content-length', 'x-forwarded-for', 'X-Forwarded-Host', 'x-forwarded-proto', 'x-forwarded-client-cert', ':path'].map(
    (name) => [`connection that names ${name}`, `${HEAD}Connection: close, ${name}\r\n\r\n`, 'http1.connection_header_rejected'] as const,
  ),
  ['too many fields', `${HEAD}${'a: b\r\n'.repeat(20)}\r\n`, 'http1.too_many_headers'],
  ['a head that is too large', `${HEAD}a: ${'b'.repeat(5000)}\r\n\r\n`, 'http1.headers_too_large'],
  ['a head that is too large and never ends', `${HEAD}a: ${'b'.repeat(5000)}`, 'http1.headers_too_large'],
  ['what begins like nothing of HTTP', '\x16\x03\x01'],
  ['too many empty lines', `${'\r\n'.repeat(9)}${HEAD}\r\n`],
  ['a chunk size that is none', `${CHUNKED_HEAD}x\r\n`],
  ['an empty chunk size', `${CHUNKED_HEAD}\r\n`],
  ['a signed chunk size', `${CHUNKED_HEAD}-1\r\n`],
  ['a chunk size with 0x', `${CHUNKED_HEAD}0x1\r\na\r\n`],
  ['a space before a chunk size', `${CHUNKED_HEAD} 1\r\na\r\n`],
  ['a space after a chunk size', `${CHUNKED_HEAD}1 \r\na\r\n`],
  ['a chunk size that is too large', `${CHUNKED_HEAD}fffffffffffffff\r\n`],
  ['a bare LF after a chunk size', `${CHUNKED_HEAD}1\na\r\n`],
  ['a bare CR after a chunk size', `${CHUNKED_HEAD}1\rx`],
  ['a chunk longer than its size', `${CHUNKED_HEAD}1\r\nab\r\n`],
  ['a bare LF after a chunk', `${CHUNKED_HEAD}1\r\na\n0\r\n\r\n`],
  ['a bare LF in an extension', `${CHUNKED_HEAD}1;a\nb\r\na\r\n`],
  ['a flood of extensions', `${CHUNKED_HEAD}1;${'a'.repeat(5000)}\r\na\r\n`],
  ['a flood of small extensions', CHUNKED_HEAD + `1;${'a'.repeat(100)}\r\na\r\n`.repeat(60)],
  ['a trailer that frames', `${CHUNKED_HEAD}0\r\nContent-Length: 1\r\n\r\n`],
  ['a trailer with a space before the colon', `${CHUNKED_HEAD}0\r\na : 1\r\n\r\n`],
  ['a bare LF in the trailers', `${CHUNKED_HEAD}0\r\na: 1\n\r\n`],
  ['too many trailers', `${CHUNKED_HEAD}0\r\n${'a: 1\r\n'.repeat(21)}\r\n`, 'http1.too_many_headers'],
  ['trailers without end', `${CHUNKED_HEAD}0\r\na: ${'b'.repeat(70_000)}`, 'http1.trailers_too_large'],
];

for (const [name, text, details = 'http1.codec_error'] of refused) {
  test(`refused: ${name}`, () => {
    assert.equal(whole(text).error, details);
    const bytewise = run([...Buffer.from(text, 'latin1')].map((byte) => Buffer.from([byte])));
    assert.equal(bytewise.error, details);
  });
}

test('eight empty lines may come before a head, however they are cut', () => {
  const text = `${'\r\n'.repeat(8)}${HEAD}\r\n`;
  const bytewise = [...Buffer.from(text, 'latin1')].map((byte) => Buffer.from([byte]));
  for (const seen of [whole(text), run(bytewise)]) assert.deepEqual([seen.error, seen.messages.length], [undefined, 1]);
});

test('a head of as many bytes as are allowed is read, and none of one more, however it is cut', () => {
  const begin = 'GET / HTTP/1.1\r\nhost: ';
  for (const [length, error] of [
    [100, undefined],
    [101, 'http1.headers_too_large'],
  ] as const) {
    const bytes = Buffer.from(`${begin.padEnd(length, 'a')}\r\n\r\n`, 'latin1');
    for (let cut = 0; cut < bytes.length; cut++) assert.equal(run([bytes.subarray(0, cut), bytes.subarray(cut)], 100).error, error);
    assert.equal(
      run(
        [...bytes].map((byte) => Buffer.from([byte])),
        100,
      ).error,
      error,
    );
  }
  assert.equal(run([Buffer.from(begin.padEnd(103, 'a'))], 100).error, undefined, 'its end may be under way');
  assert.equal(run([Buffer.from(begin.padEnd(104, 'a'))], 100).error, 'http1.headers_too_large');
});

test('the size of a chunk is a number of up to thirteen hexadecimal digits, in either case', () => {
  const body = (size: string, length: number) => {
    const seen = whole(`${CHUNKED_HEAD}${size}\r\n${'x'.repeat(length)}\r\n0\r\n\r\n`);
    return seen.error ?? seen.messages[0]?.body.length;
  };
  for (const [size, length] of [
    ['10', 16],
    ['1F', 31],
    ['1f;a=b', 31],
    ['102', 258],
    ['0000000000011', 17],
  ] as const)
    assert.equal(body(size, length), length, size);
  assert.equal(body('00000000000011', 17), 'http1.codec_error');
});

test('both framings, and codings other than chunked, are told apart for the connection to refuse', () => {
  const both = parseRequestHead(`${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n`, OPTIONS) as RequestHead;
  assert.deepEqual([both.chunked, both.contentLength, both.unknownCoding], [true, 3, false]);
  for (const coding of ['gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'xchunked', 'identity', '']) {
    const head = parseRequestHead(`${HEAD}Transfer-Encoding: ${coding}\r\n`, OPTIONS) as RequestHead;
    assert.equal(head.unknownCoding, true, coding);
  }
  const twice = parseRequestHead(`${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`, OPTIONS) as RequestHead;
  assert.equal(twice.unknownCoding, true);
});

test('names are lower case, hop-by-hop fields are set apart, repeated hosts are joined', () => {
  const head = parseRequestHead(
    'GET /x HTTP/1.1\r\nHost: a\r\nHOST: b\r\nX-Mine:  v \t\r\nConnection: close, X-Hop\r\nx-hop: 1\r\nKeep-Alive: 5\r\nTE: trailers, deflate\r\nProxy-Connection: x\r\nx-mine: w\r\n',
    OPTIONS,
  ) as RequestHead;
  assert.equal(head.host, 'a,b');
  assert.deepEqual(head.headers.flat, ['x-mine', 'v', 'x-mine', 'w']);
  assert.deepEqual([head.close, head.teTrailers, head.upgrade], [true, true, '']);
});

test('an upgrade counts only where connection names it', () => {
  const asked = parseRequestHead(`${HEAD}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n`, OPTIONS) as RequestHead;
  assert.equal(asked.upgrade, 'websocket');
  const unasked = parseRequestHead(`${HEAD}Upgrade: h2c\r\n`, OPTIONS) as RequestHead;
  assert.equal(unasked.upgrade, '');
});

test('responses: status line', () => {
  for (const line of ['HTTP/1.1 200 OK', 'HTTP/1.1 200 ', 'HTTP/1.1 200', 'HTTP/1.0 599 a b c']) {
    assert.ok(!(parseResponseHead(`${line}\r\n`, 10) instanceof CodecError), line);
  }
  for (const line of [
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 099 OK',
    'HTTP/2 200 OK',
    'HTTP/1.1  200 OK',
    'ICY 200 OK',
    'HTTP/1.1 200 a\0b',
    '',
  ]) {
    assert.ok(parseResponseHead(`${line}\r\n`, 10) instanceof CodecError, line);
  }
});
