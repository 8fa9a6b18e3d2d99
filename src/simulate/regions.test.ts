import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Asked, type Region, touches } from './regions.ts';

const region = (hosts: readonly string[], serverNames: readonly string[] = []): Region => ({ hosts, serverNames });
const http = (...names: readonly string[]): Asked => ({ kind: 'http', names });
const tls = (...names: readonly string[]): Asked => ({ kind: 'tls', names });

test('a region that is all, or nothing, and calls that say no name', () => {
  for (const asked of [http('a.example'), tls('a.example'), { kind: 'bytes' }, { kind: 'any request' }] as const) {
    assert.equal(touches('all', asked), true);
    assert.equal(touches(region([]), asked), false);
  }
  for (const kind of ['bytes', 'any request'] as const) assert.equal(touches(region(['a.example']), { kind }), true);
});

test('requests are touched by hosts, TLS by server names: one of the names is enough', () => {
  const names = ['a.example', 'b.example'];
  assert.equal(touches(region(names), http('b.example', 'c.example')), true);
  assert.equal(touches(region(names), http('c.example', 'd.example')), false);
  assert.equal(touches(region([], names), tls('c.example', 'a.example')), true);
  assert.equal(touches(region([], names), tls('c.example')), false);
  assert.equal(touches(region(names), http()), false);
});

test('what the other kind of name may hold is not told apart', () => {
  assert.equal(touches(region(['a.example']), tls('c.example')), true, 'requests may be inside of the TLS');
  assert.equal(touches(region([], ['a.example']), http('c.example')), true, 'proxies may originate TLS');
});

test('names meet whatever their case and port, and by wildcards', () => {
  const meets = (one: string, name: string) => touches(region([one]), http(name));
  assert.equal(meets('A.example:80', 'a.example'), true);
  assert.equal(meets('a.example:*', 'a.example:8080'), true);
  assert.equal(meets('*.example', 'a.example'), true);
  assert.equal(meets('a.example', '*.example'), true);
  assert.equal(meets('*.example', 'a.test'), false);
  for (const open of ['*', '10.0.0.*']) {
    assert.equal(meets(open, 'a.example'), true, open);
    assert.equal(meets('a.example', open), true, open);
  }
});
