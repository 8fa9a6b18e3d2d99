import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAuthority } from '../../http/authority.ts';
import { readExplicitRequest } from './explicit-request.ts';
import { detectHttp } from './http-detect.ts';
import { ReadAhead } from './inspection.ts';
import { readProxyHeader } from './proxy-protocol.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

test('HTTP is what has a request line that parses', () => {
  const cases: Record<string, string> = {
    'GET / HTTP/1.1\r\n': 'http/1.1',
    'GET / HTTP/1.1\n': 'http/1.1',
    '\r\nGET / HTTP/1.1\r\n': 'http/1.1',
    'PURGE /a\\b?x=%zz HTTP/1.1\r\n': 'http/1.1',
    'OPTIONS * HTTP/1.1\r\n': 'http/1.1',
    'GET http://a.example/x HTTP/1.1\r\n': 'http/1.1',
    'CONNECT a.example:80 HTTP/1.1\r\n': 'http/1.1',
    'GET / HTTP/1.0\r\n': 'http/1.0',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n': 'h2c',
    'PRI * HTTP/2.0\r\n\r\nSM': 'need-more',
    'GET /long': 'need-more',
    GET: 'need-more',
    'PING\r\n': 'not-http',
    'GET /a b HTTP/1.1\r\n': 'not-http',
    'GET nopath HTTP/1.1\r\n': 'not-http',
    'GET / HTTP/1.2\r\n': 'http/1.0',
    'GET /\r\n': 'http/1.0',
    'GET  / \tHTTP/1.1 \r\n': 'http/1.1',
    'GET\t/': 'need-more',
    'GET / FOO\r\n': 'not-http',
    'GET / HTTP/11\r\n': 'not-http',
    'GET\r\n': 'not-http',
    'GET /caf\xc3\xa9 HTTP/1.1\r\n': 'not-http',
    'GET /caf\xc3': 'not-http',
    'CONNECT / HTTP/1.1\r\n': 'not-http',
    '\0\x01\x02': 'not-http',
    '*1\r\n$4\r\nPING\r\n': 'not-http',
    ' GET': 'not-http',
  };
  for (const [text, expected] of Object.entries(cases)) assert.equal(detectHttp(bytes(text)), expected, JSON.stringify(text));
});

test('a decision never changes with more bytes', () => {
  const piece = fc.constantFrom('GET ', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '/', 'x', ' HTTP/1.1', '\r\n', '\n', ' ', '\0', '\xff');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.nat(60), (pieces, cut) => {
      const all = bytes(pieces.join(''));
      const early = detectHttp(all.subarray(0, cut));
      if (early !== 'need-more') assert.equal(detectHttp(all), early);
    }),
    { seed: 1 },
  );
});

test('the PROXY protocol, versions 1 and 2', () => {
  const v1 = readProxyHeader(bytes('PROXY TCP4 1.2.3.4 5.6.7.8 1000 443\r\nrest'));
  const addresses = { source: { ip: '1.2.3.4', port: 1000 }, destination: { ip: '5.6.7.8', port: 443 } };
  assert.deepEqual(v1, { kind: 'header', length: 37, addresses });
  assert.deepEqual(readProxyHeader(bytes('PROXY UNKNOWN\r\n')), { kind: 'header', length: 15, addresses: undefined });
  const head = Buffer.concat([bytes('\r\n\r\n\0\r\nQUIT\n'), Buffer.from([0x21, 0x11, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0xe8, 1, 0xbb])]);
  assert.deepEqual(readProxyHeader(head), { kind: 'header', length: 28, addresses });
  for (let cut = 0; cut < head.length; cut++) assert.equal(readProxyHeader(head.subarray(0, cut)).kind, 'need-more');
  assert.equal(readProxyHeader(bytes('GET / HTTP/1.1')).kind, 'absent');
  for (const bad of ['PROXY TCP4 1.2.3.4 x 1 2\r\n', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n', `PROXY TCP4 ${'1'.repeat(120)}`]) {
    assert.equal(readProxyHeader(bytes(bad)).kind, 'invalid', bad);
  }
});

test('the PROXY protocol: addresses of IPv6, headers that give none, and headers that are none', () => {
  assert.deepEqual(readProxyHeader(bytes('PROXY TCP6 ::1 fd00::2 1 65535\r\n')), {
    kind: 'header',
    length: 32,
    addresses: { source: { ip: '::1', port: 1 }, destination: { ip: 'fd00::2', port: 65535 } },
  });
  const v2 = (command: number, family: number, rest: number[]) =>
    readProxyHeader(Buffer.concat([bytes('\r\n\r\n\0\r\nQUIT\n'), Buffer.from([command, family, 0, rest.length, ...rest]), bytes('rest')]));
  const source = [0xfd, 0, ...new Array<number>(13).fill(0), 1];
  const destination = [0x20, 0x01, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 0xff];
  const extension = [4, 0, 1, 0];
  assert.deepEqual(v2(0x21, 0x21, [...source, ...destination, 0, 80, 1, 0xbb, ...extension]), {
    kind: 'header',
    length: 56,
    addresses: { source: { ip: 'fd00:0:0:0:0:0:0:1', port: 80 }, destination: { ip: '2001:db8:0:0:0:0:0:ff', port: 443 } },
  });
  assert.deepEqual(v2(0x20, 0x11, [1, 2, 3, 4]), { kind: 'header', length: 20, addresses: undefined }, 'LOCAL');
  assert.deepEqual(v2(0x21, 0x31, []), { kind: 'header', length: 16, addresses: undefined }, 'a Unix socket');
  const invalid = (reason: string) => ({ kind: 'invalid', reason });
  assert.deepEqual(v2(0x21, 0x11, new Array<number>(11).fill(0)), invalid('truncated PROXY v2 header'));
  for (const command of [0x11, 0x22]) assert.deepEqual(v2(command, 0x11, []), invalid('unknown version or command in a PROXY v2 header'));
  for (const fields of [
    'TCP4 1.2.3.4 5.6.7.8 1',
    'TCP4 1.2.3.4 5.6.7.8 1 2 3',
    'TCP4 ::1 5.6.7.8 1 2',
    'TCP4 1.2.3.4 5.6.7.8 x 2',
    'UDP4 1.2.3.4 5.6.7.8 1 2',
  ])
    assert.deepEqual(readProxyHeader(bytes(`PROXY ${fields}\r\n`)), invalid('malformed PROXY v1 header'), fields);
  const unfinished = (length: number) => bytes('PROXY TCP4 '.padEnd(length, '1'));
  assert.equal(readProxyHeader(unfinished(106)).kind, 'need-more');
  assert.deepEqual(readProxyHeader(unfinished(107)), invalid('PROXY v1 header longer than 107 bytes'));
});

test('SOCKS5: the greeting, each kind of address, and what is answered', () => {
  const ask = (text: string, greeted = false) => readExplicitRequest(bytes(text), greeted);
  assert.deepEqual(ask('\x05\x02\x02\x00rest'), { kind: 'greeting', consumed: 4, reply: Buffer.from([5, 0]) });
  const target = (kind: string, address: string) => {
    const request = ask(`\x05\x01\0${kind}${address}\x01\xbbrest`, true);
    assert.equal(request.kind, 'tunnel');
    const { consumed, target } = request as Extract<typeof request, { kind: 'tunnel' }>;
    assert.equal(consumed, 4 + address.length + 2);
    return target;
  };
  assert.deepEqual(target('\x01', '\x01\x02\x03\x04'), { host: '1.2.3.4', port: 443 });
  assert.deepEqual(target('\x03', '\x09A.example'), { host: 'a.example', port: 443 });
  assert.deepEqual(target('\x04', `\xfd\0${'\0'.repeat(13)}\x01`), { host: 'fd00:0:0:0:0:0:0:1', port: 443 });
  const whole = '\x05\x01\0\x03\x09a.example\x01\xbb';
  for (let cut = 1; cut < whole.length; cut++) assert.equal(ask(whole.slice(0, cut), true).kind, 'need-more', `${cut} bytes`);
  const refused = (text: string) => {
    const request = ask(text, true);
    assert.equal(request.kind, 'refuse');
    const { reply, asked } = request as Extract<typeof request, { kind: 'refuse' }>;
    return { reply: [...reply], asked };
  };
  const reply = (code: number) => [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
  assert.deepEqual(refused('\x05\x02\0\x01\x01'), { reply: reply(7), asked: undefined });
  assert.deepEqual(refused('\x05\x01\0\x02\x01'), { reply: reply(8), asked: undefined });
  assert.deepEqual(refused('\x05\x01\0\x03\x01a\0\0'), { reply: reply(1), asked: { host: 'a', port: 0 } });
  assert.deepEqual(refused('\x05\x01\0\x03\x03a b\x01\xbb'), { reply: reply(1), asked: { host: 'a b', port: 443 } });
});

test('a client of the proxy that never ends its head, or asks in another way, is told so', () => {
  const answer = (text: string) => {
    const request = readExplicitRequest(bytes(text), false);
    return request.kind === 'refuse' ? `${request.reply.toString('latin1').split('\r\n')[0]} ${request.reason}` : request.kind;
  };
  const longest = 64 * 1024;
  assert.equal(answer('GET http://a.example/'.padEnd(longest - 1, 'x')), 'need-more');
  assert.match(answer('GET http://a.example/'.padEnd(longest, 'x')), /^HTTP\/1\.1 414 URI Too Long the request line is longer/);
  const head = 'CONNECT a.example:443 HTTP/1.1\r\nx: ';
  assert.equal(answer(head.padEnd(longest - 1, 'x')), 'need-more');
  assert.match(answer(head.padEnd(longest, 'x')), /^HTTP\/1\.1 431 .* the head of CONNECT is longer/);
  assert.match(answer('GET / HTTP/1.1\r\n'), /^HTTP\/1\.1 400 Bad Request this is a proxy/);
  assert.match(answer('OPTIONS * HTTP/1.1\r\n'), /this is a proxy/);
  assert.match(answer('GET https://a.example/ HTTP/1.1\r\n'), /the scheme https needs a tunnel/);
  for (const malformed of ['GET http://a.example/', 'GET http://a.example/ HTTP/1.1 x', 'GET http://a.example/ HTTP/2.0'])
    assert.match(answer(`${malformed}\r\n`), /malformed request line/, malformed);
  for (const other of ['GE\0T', 'GE\x7f', 'G\x1fT / HTTP/1.1\r\n']) assert.match(answer(other), /this port takes SOCKS5/);
});

test('of what was asked for in vain as much is told as is a name', () => {
  const asked = (text: string) => {
    const request = readExplicitRequest(bytes(text), false);
    return request.kind === 'refuse' ? request.asked : request.kind;
  };
  assert.deepEqual(asked('GET http://a_b%/ HTTP/1.1\r\n'), { host: 'a_b%', port: 0 });
  assert.deepEqual(asked(`CONNECT ${'a'.repeat(300)} HTTP/1.1\r\n`), { host: 'a'.repeat(255), port: 0 });
  assert.equal(asked('GET / HTTP/1.1\r\n'), undefined);
});

test('what an explicit proxy is asked', () => {
  const ask = (text: string) => readExplicitRequest(bytes(text), false);
  assert.deepEqual(ask('GET http://A.example./x HTTP/1.1\r\n'), { kind: 'forward', target: { host: 'a.example', port: 80 } });
  assert.deepEqual(ask('GET http://u:p@[::1]:8080?q HTTP/1.0\r\n'), { kind: 'forward', target: { host: '::1', port: 8080 } });
  assert.equal(ask('CONNECT a.example:443 HTTP/1.1\r\nx: y\r\n').kind, 'need-more');
  const tunnel = { kind: 'tunnel', protocol: 'http', consumed: 40, target: { host: 'a.example', port: 443 } };
  assert.deepEqual(ask('CONNECT a.example:443 HTTP/1.1\r\nx: y\r\n\r\nz'), tunnel);
  assert.equal(ask('\x05\x02\x02').kind, 'need-more');
  assert.deepEqual(ask('\x05\x01\x02'), {
    kind: 'refuse',
    reply: Buffer.from([5, 255]),
    reason: 'the SOCKS5 client offers no method without authentication',
  });
  const socks = (text: string) => readExplicitRequest(bytes(text), true);
  assert.deepEqual(socks('\x05\x01\0\x01\x01\x02\x03\x04\x01\xbb'), {
    kind: 'tunnel',
    protocol: 'socks5',
    consumed: 10,
    target: { host: '1.2.3.4', port: 443 },
  });
  for (const [name, text] of [
    ['port 0', '\x05\x01\0\x01\x01\x02\x03\x04\0\0'],
    ['port 0 of a name', '\x05\x01\0\x03\x01a\0\0'],
    ['a name that is empty', '\x05\x01\0\x03\0\x01\xbb'],
    ['another version', '\x04\x01\0\x01\x01\x02\x03\x04\x01\xbb'],
    ['BIND', '\x05\x02\0\x01\x01\x02\x03\x04\x01\xbb'],
    ['an unknown kind of address', '\x05\x01\0\x02\x01\x02\x03\x04\x01\xbb'],
  ] as const)
    assert.equal(socks(text).kind, 'refuse', name);
  for (const refused of [
    '\x04\x01',
    'GET /\r\n',
    'GET ftp://a/ HTTP/1.1\r\n',
    'CONNECT a.example HTTP/1.1\r\n',
    'GET http:// HTTP/1.1\r\n',
    '\x16\x03\x01',
  ]) {
    assert.equal(ask(refused).kind, 'refuse', JSON.stringify(refused));
  }
  assert.equal(parseAuthority('a.example:0', undefined), undefined);
  assert.equal(parseAuthority('a b', 80), undefined);
});

test('bytes that are read ahead stay in order whatever their pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), fc.nat(30), (pieces, drop) => {
      const ahead = new ReadAhead();
      const all = Buffer.concat(pieces);
      const before = Math.min(drop, pieces[0]?.length ?? 0);
      pieces.forEach((piece, i) => {
        ahead.append(Buffer.from(piece));
        if (i === 0) ahead.drop(before);
      });
      assert.deepEqual(ahead.take() ?? Buffer.alloc(0), all.subarray(before));
    }),
    { seed: 1 },
  );
});
