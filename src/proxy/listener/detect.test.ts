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
