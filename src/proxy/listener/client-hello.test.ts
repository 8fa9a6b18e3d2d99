import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { MAX_CLIENT_HELLO, readClientHello } from './client-hello.ts';

/** What node's TLS sends first. */
function hello(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      write(piece: Buffer, _encoding, done) {
        resolve(piece);
        done();
      },
      read() {},
    });
    connect({ socket: wire, ...options }).on('error', () => {});
  });
}

/** The same handshake bytes in records of another size. */
function fragment(record: Buffer, size: number): Buffer {
  const body = record.subarray(5);
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    pieces.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(pieces);
}

test('SNI and ALPN of a real hello, whole, in pieces and over many records', async () => {
  const bytes = await hello({ servername: 'WWW.Example.com', ALPNProtocols: ['h2', 'http/1.1'] });
  const expected = { kind: 'hello', serverName: 'www.example.com', applicationProtocols: ['h2', 'http/1.1'] };
  for (const each of [bytes, fragment(bytes, 1), fragment(bytes, 7), Buffer.concat([bytes, Buffer.from('more')])])
    assert.deepEqual(readClientHello(each), expected);
  for (const each of [bytes, fragment(bytes, 3)]) {
    let asked = 0;
    for (let wanted = 1; ; ) {
      const result = readClientHello(each.subarray(0, wanted));
      if (result.kind !== 'need-more') {
        assert.deepEqual(result, expected);
        break;
      }
      assert.ok(result.bytes > wanted, 'it asks for more than it has');
      assert.ok(++asked <= each.length);
      wanted = result.bytes;
    }
  }
});

test('without SNI or ALPN', async () => {
  assert.deepEqual(readClientHello(await hello({ servername: '' })), { kind: 'hello', serverName: '', applicationProtocols: [] });
});

test('what is no TLS is told by its first byte, what is no hello by its type', () => {
  for (const text of [
    'GET / HTTP/1.1',
    'PING',
    '\0\x01\x02',
    '\x16\x02',
    '\x16\x03\x01\0\x04\x02\0\0\0',
    '\x16\x03\x01\0\0',
    '\x16\x03\x01\0\x04\x01\0\0\0',
  ]) {
    assert.deepEqual(readClientHello(Buffer.from(text, 'latin1')), { kind: 'not-tls' }, JSON.stringify(text));
  }
  assert.equal(readClientHello(Buffer.alloc(0)).kind, 'need-more');
});

test('a hello that says it is too large is refused at once; one in tiny records too', () => {
  assert.deepEqual(readClientHello(Buffer.from([22, 3, 1, 0x40, 0, 1, 1, 0, 0])), { kind: 'too-large' });
  const body = Buffer.alloc(MAX_CLIENT_HELLO);
  body.set([1, 0, (MAX_CLIENT_HELLO - 4) >> 8, (MAX_CLIENT_HELLO - 4) & 255]);
  assert.deepEqual(readClientHello(fragment(Buffer.concat([Buffer.alloc(5), body]), 1)), { kind: 'too-large' });
});

test('a hello with several names, of which a server may take another, is none', async () => {
  const bytes = await hello({ servername: 'a.example' });
  const name = (text: string) => Buffer.concat([Buffer.from([0, 0, text.length]), Buffer.from(text)]);
  const list = (...names: readonly string[]) => {
    const all = Buffer.concat(names.map(name));
    return Buffer.concat([Buffer.from([0, 0, 0, all.length + 2, 0, all.length]), all]);
  };
  const own = list('a.example');
  const at = bytes.indexOf(own);
  const withNames = (...extensions: readonly Buffer[]) => {
    const put = Buffer.concat(extensions);
    const changed = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + own.length)]);
    const more = put.length - own.length;
    // Lengths of the record, the message and the extensions.
    changed.writeUInt16BE(bytes.readUInt16BE(3) + more, 3);
    changed.writeUIntBE(bytes.readUIntBE(6, 3) + more, 6, 3);
    const lengthAt = lengthOfExtensions(bytes);
    changed.writeUInt16BE(bytes.readUInt16BE(lengthAt) + more, lengthAt);
    return readClientHello(changed).kind;
  };
  assert.equal(withNames(list('b.example')), 'hello');
  for (const several of [[list('a.example', 'b.example')], [list('a.example'), list('b.example')], [list('b.example'), list('a.example')]])
    assert.equal(withNames(...several), 'not-tls');
});

/** Where in a hello the length of its extensions stands. */
function lengthOfExtensions(bytes: Buffer): number {
  let at = 5 + 4 + 2 + 32;
  at += 1 + bytes[at]!;
  at += 2 + bytes.readUInt16BE(at);
  return at + 1 + bytes[at]!;
}

test('server names with bytes that no host name has are not taken', async () => {
  const bytes = await hello({ servername: 'www.example.com' });
  const at = bytes.indexOf('www.example.com');
  for (const byte of [0, 10, 32, 47, 200]) {
    const bad = Buffer.from(bytes);
    bad[at + 3] = byte;
    assert.deepEqual(readClientHello(bad), { kind: 'not-tls' });
  }
});

test('no bytes make it throw or wait for bytes that it has', async () => {
  const real = await hello({ servername: 'a.example', ALPNProtocols: ['h2'] });
  const mutated = fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 8 }).map((changes) => {
    const copy = Buffer.from(real);
    for (const [at, value] of changes) copy[at] = value;
    return copy;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated), (bytes) => {
      const result = readClientHello(bytes);
      if (result.kind === 'need-more') assert.ok(result.bytes > bytes.length);
    }),
    { seed: 1 },
  );
});
