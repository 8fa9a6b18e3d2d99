import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTarget, type TargetOptions } from './call.ts';

const read = (url: string, options: TargetOptions = {}) => {
  const { host, port, payload } = parseTarget(url, options);
  return [host, port, payload.http?.authority, payload.http?.path, payload.tls?.serverName, payload.tls?.alpn.join()];
};

/** URL; host, port, authority, path, SNI, ALPN. */
const TARGETS: Readonly<Record<string, readonly unknown[]>> = {
  'http://a.example': ['a.example', 80, 'a.example', '/', undefined, undefined],
  'http://a.example:8080/x?y#z': ['a.example', 8080, 'a.example:8080', '/x?y', undefined, undefined],
  'http://a.example?y': ['a.example', 80, 'a.example', '/?y', undefined, undefined],
  'http://a.example#z': ['a.example', 80, 'a.example', '/', undefined, undefined],
  'http://a.example/x/../%2e/y': ['a.example', 80, 'a.example', '/x/../%2e/y', undefined, undefined],
  'http:///a.example/x': ['a.example', 80, 'a.example', '/x', undefined, undefined],
  'https://a.example/': ['a.example', 443, 'a.example', '/', 'a.example', 'http/1.1'],
  'https://192.0.2.1/': ['192.0.2.1', 443, '192.0.2.1', '/', '', 'http/1.1'],
  'https://[2001:db8::1]:8443/': ['2001:db8::1', 8443, '[2001:db8::1]:8443', '/', '', 'http/1.1'],
  'tls://a.example': ['a.example', 443, undefined, undefined, 'a.example', ''],
  'tcp://192.0.2.1:25': ['192.0.2.1', 25, undefined, undefined, undefined, undefined],
};

for (const [url, expected] of Object.entries(TARGETS)) test(`a call: ${url}`, () => assert.deepEqual(read(url), expected));

test('what options change', () => {
  assert.deepEqual(read('https://a.example/', { serverName: 'b.example', httpVersion: '2' }).slice(4), ['b.example', 'h2']);
  const { http } = parseTarget('http://a.example/', { method: 'PUT', headers: ['Host: b.example', 'X-A:  1 ', 'x-b:'] }).payload;
  assert.deepEqual(
    [http?.method, http?.authority, http?.headers.flat, http?.emptyHost],
    ['PUT', 'b.example', ['x-a', '1', 'x-b', ''], undefined],
  );
  assert.equal(parseTarget('http://a.example/', { headers: ['host:'] }).payload.http?.emptyHost, true);
  assert.equal(parseTarget('http://a.example/').payload.http?.method, 'GET');
});

for (const [url, message, headers] of [
  ['a.example', /is no URL/, []],
  ['ftp://a.example/', /is no scheme of a call/, []],
  ['tcp://192.0.2.1', /lacks a port/, []],
  ['tcp://:80', /is no URL|lacks a host/, []],
  ['http://a.example/', /is no header/, ['x']],
  ['http://a.example/', /is no header/, [': x']],
] as const)
  test(`no call: ${url} ${headers}`, () => assert.throws(() => parseTarget(url, { headers }), { name: 'TypeError', message }));
