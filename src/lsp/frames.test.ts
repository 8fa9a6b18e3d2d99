import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameError, FrameReader, framed, messageIn } from './frames.ts';

test('messages come out whole, however they are cut', () => {
  const messages = [{ a: 'ä😀' }, {}, { b: 'x'.repeat(10_000) }];
  const bytes = Buffer.concat(messages.map(framed));
  for (const size of [1, 7, 4096, bytes.length]) {
    const reader = new FrameReader();
    const found: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size)
      for (const body of reader.push(bytes.subarray(at, at + size))) found.push(messageIn(body));
    assert.deepEqual(found, messages, `in parts of ${size}`);
  }
});

test('a message of a megabyte that comes byte by byte is held once', () => {
  const bytes = framed({ a: 'x'.repeat(1_000_000) });
  const reader = new FrameReader();
  const before = process.memoryUsage();
  let most = 0;
  for (let at = 0; at < bytes.length - 1; at++) {
    assert.equal([...reader.push(bytes.subarray(at, at + 1))].length, 0);
    if (at % 100_000 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before.arrayBuffers);
  }
  assert.ok(most < 20_000_000, `${most} bytes`);
  assert.equal([...reader.push(bytes.subarray(-1))].length, 1);
});

test('other headers are taken, whatever their case', () => {
  const reader = new FrameReader();
  const [body] = reader.push(Buffer.from('Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length:2\r\n\r\n{}'));
  assert.deepEqual(messageIn(body!), {});
});

test('a header that says no length, or one beyond any message, ends it', () => {
  for (const header of ['A: b', 'Content-Length: 1e3', 'Content-Length: 0x10', 'Content-Length: 99999999999', 'Content-Length: 70000000'])
    assert.throws(() => [...new FrameReader().push(Buffer.from(`${header}\r\n\r\n`))], FrameError, header);
  assert.throws(() => [...new FrameReader().push(Buffer.alloc(5000, 'x'))], FrameError);
});

test('what is nested beyond any message, no UTF-8 or no JSON is none', () => {
  assert.equal(messageIn(Buffer.from('['.repeat(101) + ']'.repeat(101))), undefined);
  assert.deepEqual(messageIn(Buffer.from('{"a":"[[[\\"[["}')), { a: '[[["[[' });
  assert.equal(messageIn(Buffer.from([0x22, 0xff, 0x22])), undefined);
  assert.equal(messageIn(Buffer.from('{')), undefined);
});
