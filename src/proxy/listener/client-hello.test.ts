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

/** A hello in one record, of which `rest` follows the session's id: the suites, the compressions and the extensions. */
function plainHello(rest: readonly number[]): Buffer {
  const body = [3, 3, ...new Array<number>(32).fill(7), 0, ...rest];
  return Buffer.from([22, 3, 1, 0, body.length + 4, 1, 0, 0, body.length, ...body]);
}

const SUITES = [0, 2, 0x13, 0x01, 1, 0];

test('extensions may be left out, and are taken as long as they say they are', () => {
  const nothing = { kind: 'hello', serverName: '', applicationProtocols: [] };
  assert.deepEqual(readClientHello(plainHello(SUITES)), nothing, 'as SSL 3 and old clients of TLS 1.2 send it');
  assert.deepEqual(readClientHello(plainHello([...SUITES, 0, 0])), nothing);
  assert.deepEqual(readClientHello(plainHello([...SUITES, 0, 4, 0, 23, 0, 0])), nothing, 'one of another kind');
  const name = [0, 0, 0, 6, 0, 4, 0, 0, 1, 97];
  assert.deepEqual(readClientHello(plainHello([...SUITES, 0, name.length, ...name])), { ...nothing, serverName: 'a' });
  const protocols = [0, 16, 0, 7, 0, 5, 1, 97, 2, 98, 99];
  assert.deepEqual(readClientHello(plainHello([...SUITES, 0, protocols.length, ...protocols])), {
    ...nothing,
    applicationProtocols: ['a', 'bc'],
  });
});

test('a hello whose lengths do not fit each other is none', () => {
  for (const [what, rest] of Object.entries({
    'no compressions': [0, 2, 0x13, 0x01],
    'extensions that are cut off': [...SUITES, 0, 5, 0, 23, 0, 0],
    'half a length of extensions': [...SUITES, 0],
    'more after the extensions': [...SUITES, 0, 4, 0, 23, 0, 0, 9],
    'an extension longer than all': [...SUITES, 0, 4, 0, 23, 0, 1],
    'no list of names': [...SUITES, 0, 4, 0, 0, 0, 0],
    'an empty list of names': [...SUITES, 0, 6, 0, 0, 0, 2, 0, 0],
    'more after the names': [...SUITES, 0, 11, 0, 0, 0, 7, 0, 4, 0, 0, 1, 97, 9],
    'a name longer than its list': [...SUITES, 0, 10, 0, 0, 0, 6, 0, 4, 0, 0, 2, 97],
    'an empty name': [...SUITES, 0, 9, 0, 0, 0, 5, 0, 3, 0, 0, 0],
    'an empty protocol': [...SUITES, 0, 7, 0, 16, 0, 3, 0, 1, 0],
    'a protocol longer than its list': [...SUITES, 0, 8, 0, 16, 0, 4, 0, 2, 2, 97],
    'more after the protocols': [...SUITES, 0, 9, 0, 16, 0, 5, 0, 2, 1, 97, 9],
  }))
    assert.deepEqual(readClientHello(plainHello(rest)), { kind: 'not-tls' }, what);
});

test('a name of 255 letters is taken; beside one of another kind none is', () => {
  const other = [1, 0, 1, 120];
  const named = (name: string) => [0, 0, name.length, ...Buffer.from(name)];
  const helloOf = (list: readonly number[]) => {
    const body = [list.length >> 8, list.length & 255, ...list];
    const extension = [0, 0, body.length >> 8, body.length & 255, ...body];
    const hello = [3, 3, ...new Array<number>(32).fill(7), 0, ...SUITES, extension.length >> 8, extension.length & 255, ...extension];
    return Buffer.from([
      22,
      3,
      1,
      (hello.length + 4) >> 8,
      (hello.length + 4) & 255,
      1,
      0,
      hello.length >> 8,
      hello.length & 255,
      ...hello,
    ]);
  };
  const nameIn = (list: readonly number[]) => {
    const result = readClientHello(helloOf(list));
    return result.kind === 'hello' ? result.serverName : result.kind;
  };
  assert.equal(nameIn([...other, ...named('www.example.com')]), 'not-tls');
  assert.equal(nameIn(named('a'.repeat(255))), 'a'.repeat(255));
  assert.equal(nameIn([0, 1, 0, ...Buffer.from('a'.repeat(256))]), 'not-tls');
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
