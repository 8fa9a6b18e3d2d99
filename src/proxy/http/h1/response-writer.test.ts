import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap } from '../../../http/header-map.ts';
import type { Transport } from '../../net/transport.ts';
import { Output } from './out.ts';
import { ResponseWriter } from './response-writer.ts';

/** What was written, a text for each write; `takes` says whether the transport takes more after it. */
function outputOf(takes: (write: string) => boolean = () => true) {
  const writes: string[] = [];
  const write = (text: string) => {
    writes.push(text);
    return takes(text);
  };
  const transport = { writeText: write, write: (data: Buffer) => write(data.toString('latin1')), pending: 0 };
  return { out: new Output(transport as unknown as Transport), writes };
}

interface Answered {
  readonly status?: number;
  readonly headers?: readonly string[];
  readonly body?: readonly string[];
  readonly trailers?: readonly string[];
  readonly method?: string;
  readonly minor?: number;
  readonly last?: boolean;
  readonly passesTrailers?: boolean;
}

/** A response as it is written, and whether the connection ends after it. */
function written(answer: Answered): readonly [text: string, closes: boolean] {
  const { status = 200, headers = [], body, trailers, method = 'GET', minor = 1, last = false, passesTrailers = false } = answer;
  const { out, writes } = outputOf();
  const writer = new ResponseWriter(out, passesTrailers);
  writer.begin(minor);
  const closes = writer.head(status, new HeaderMap([...headers]), body === undefined, method, last);
  for (const piece of body ?? []) writer.data(Buffer.from(piece));
  if (body !== undefined) writer.end(trailers && new HeaderMap([...trailers]));
  out.flush();
  assert.equal(writer.endsWithConnection, closes && !last);
  return [writes.join(''), closes];
}

const head = (...lines: readonly string[]) => `HTTP/1.1 ${[...lines, '', ''].join('\r\n')}`;

test('a body has its length, or chunks; one that there is not has length 0', () => {
  const length = ['content-length', '2'];
  assert.deepEqual(written({ headers: length, body: ['hi'] }), [`${head('200 OK', 'content-length: 2')}hi`, false]);
  assert.deepEqual(written({ body: ['hi', '', 'there'] }), [
    `${head('200 OK', 'transfer-encoding: chunked')}2\r\nhi\r\n5\r\nthere\r\n0\r\n\r\n`,
    false,
  ]);
  assert.deepEqual(written({}), [head('200 OK', 'content-length: 0'), false]);
});

test('HEAD, 204 and 304 have no body, and 204 no length', () => {
  const headers = ['content-length', '2'];
  assert.deepEqual(written({ method: 'HEAD', headers, body: ['hi'] }), [head('200 OK', 'content-length: 2'), false]);
  assert.deepEqual(written({ method: 'HEAD' }), [head('200 OK'), false]);
  assert.deepEqual(written({ status: 304, headers, body: ['hi'] }), [head('304 Not Modified', 'content-length: 2'), false]);
  assert.deepEqual(written({ status: 204, headers, body: ['hi'] }), [head('204 No Content'), false]);
});

test('what is of the connection is written by it alone', () => {
  const headers = ['connection', 'x', 'upgrade', 'y', 'x-kept', '1'];
  assert.deepEqual(written({ headers }), [head('200 OK', 'x-kept: 1', 'content-length: 0'), false]);
  assert.deepEqual(written({ last: true }), [head('200 OK', 'content-length: 0', 'connection: close'), true]);
});

test('a client of HTTP/1.0 gets no chunks and is told where its connection stays', () => {
  const of10 = (...lines: readonly string[]) => head(...lines).replace('1.1', '1.0');
  assert.deepEqual(written({ minor: 0, body: ['hi'] }), [`${of10('200 OK', 'connection: close')}hi`, true]);
  assert.deepEqual(written({ minor: 0 }), [of10('200 OK', 'content-length: 0', 'connection: keep-alive'), false]);
});

test('trailers follow the last chunk where they may, and are left out where there are none', () => {
  const trailers = ['x-sum', '1'];
  const chunked = head('200 OK', 'transfer-encoding: chunked');
  assert.deepEqual(written({ body: [], trailers, passesTrailers: true }), [`${chunked}0\r\nx-sum: 1\r\n\r\n`, false]);
  for (const without of [{ trailers }, { trailers: [], passesTrailers: true }, { passesTrailers: true }])
    assert.deepEqual(written({ body: [], ...without }), [`${chunked}0\r\n\r\n`, false]);
});

test('the next response is framed anew', () => {
  const { out, writes } = outputOf();
  const writer = new ResponseWriter(out, false);
  writer.begin(1);
  writer.head(200, new HeaderMap(), false, 'GET', false);
  writer.end(undefined);
  writer.begin(1);
  writer.head(200, new HeaderMap(['content-length', '2']), false, 'GET', false);
  writer.data(Buffer.from('hi'));
  writer.end(undefined);
  out.flush();
  assert.match(writes.join(''), /0\r\n\r\nHTTP\/1\.1 200 OK\r\ncontent-length: 2\r\n\r\nhi$/);
});

test('a tunnel opens with what it is asked for and without a length; then bytes pass as they are', () => {
  const { out, writes } = outputOf();
  const writer = new ResponseWriter(out, false);
  writer.begin(1);
  writer.tunnelHead(101, new HeaderMap(['connection', 'upgrade', 'upgrade', 'websocket', 'content-length', '0']));
  writer.data(Buffer.from('bytes'));
  writer.end(undefined);
  out.flush();
  assert.deepEqual(writes, [head('101 Switching Protocols', 'connection: upgrade', 'upgrade: websocket'), 'bytes']);
});

test('an informational response goes out at once, to clients that know of them', () => {
  const informed = (minor: number) => {
    const { out, writes } = outputOf();
    const writer = new ResponseWriter(out, false);
    writer.begin(minor);
    writer.informational(103, new HeaderMap(['link', '</a>']));
    return writes;
  };
  assert.deepEqual([informed(1), informed(0)], [[head('103 Early Hints', 'link: </a>')], []]);
});

test('heads and small bodies are one write, a large body one of its own', () => {
  const { out, writes } = outputOf();
  out.text('head ');
  out.data(Buffer.alloc(16 * 1024 - 5, 'a'));
  assert.deepEqual(writes, []);
  out.data(Buffer.from('b'));
  out.data(Buffer.alloc(16 * 1024 + 1, 'c'));
  out.data(Buffer.alloc(16 * 1024, 'd'));
  const sizes = () => writes.map(({ length }) => length);
  assert.deepEqual(sizes(), [16 * 1024, 1, 16 * 1024 + 1], 'what was held back goes first');
  out.flush();
  assert.deepEqual(sizes().slice(3), [16 * 1024]);
});

test('too much that is pending blocks until it has gone, whoever wrote it', () => {
  for (const large of ['text', 'data'] as const) {
    const { out } = outputOf((write) => write.length < 20_000);
    out.text('small');
    assert.deepEqual([out.flush(), out.blocked], [true, false]);
    if (large === 'text') out.text('x'.repeat(20_000));
    else out.data(Buffer.alloc(20_000));
    assert.deepEqual([out.flush(), out.blocked], [false, true], large);
    out.text('small');
    assert.equal(out.flush(), false, 'a small write changes nothing of that');
    out.drained();
    assert.deepEqual([out.flush(), out.blocked], [true, false]);
  }
});
