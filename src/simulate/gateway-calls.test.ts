import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { gatewayCalls } from './gateway-calls.ts';
import { simulatedProxy } from './proxy.ts';
import { answer, chain, host, http, lineOf, listener, router, SOURCE, TLS, tcp } from './testing.ts';

function callsOf(...listeners: readonly JsonObject[]) {
  const { calls, undecided } = gatewayCalls(router('default/gateway', '10.0.0.9', { listeners }), SOURCE);
  return { lines: calls.map(lineOf), undecided };
}

const BYTES = ['', ' sni none', ' sni undeclared.invalid'];

test('a gateway without an address gets no calls, and that is not silence', () => {
  const nothing = { listeners: () => [], listener: () => undefined, routes: () => undefined, cluster: () => undefined };
  const proxy = simulatedProxy(
    { name: 'default/g', type: 'router', addresses: [] },
    { ...nothing, endpoints: () => undefined, secret: () => undefined },
  );
  assert.deepEqual(gatewayCalls(proxy, SOURCE), { calls: [], undecided: ['default/g has no address'] });
});

test('bytes and TLS at each port', () => {
  const { lines } = callsOf(
    listener(8080, [chain(tcp('a'))]),
    listener(8443, [chain(tcp('a'), { server_names: ['a.example', '*.b.example'] })]),
  );
  assert.deepEqual(lines, [
    ...BYTES.map((text) => `10.0.0.9:8080${text}`),
    ...[...BYTES, ' sni a.example', ' sni zz-other.b.example'].map((text) => `10.0.0.9:8443${text}`),
  ]);
});

test('a request for each route, by every domain of its virtual host and by a host of none', () => {
  const hosts = { ...host('a.example', answer(200, { path: '/a' }), answer(404)), domains: ['a.example', 'b.example'] };
  const { lines, undecided } = callsOf(listener(8080, [chain(http(hosts, host('*', answer(403))))]));
  assert.deepEqual(
    lines.filter((line) => line.includes('GET')),
    ['a.example/a', 'a.example/', 'b.example/a', 'b.example/', 'undeclared.invalid/'].map((text) => `10.0.0.9:8080 GET ${text}`),
  );
  assert.deepEqual(undecided, []);
});

test('where a chain ends TLS, requests are made under it, by each of its names', () => {
  const requests = http(host('a.example', answer(200)));
  const { lines } = callsOf(listener(8443, [chain(requests, { server_names: ['a.example', 'c.example'] }, TLS)]));
  assert.deepEqual(
    lines.filter((line) => line.includes('GET')),
    ['a.example', 'c.example'].map((name) => `10.0.0.9:8443 sni ${name} GET a.example/`),
  );
  const unnamed = callsOf(listener(8443, [chain(requests, {}, TLS)]));
  assert.ok(unnamed.lines.includes('10.0.0.9:8443 sni none GET a.example/'), unnamed.lines.join('\n'));
});

test('a route that no request was found for is undecided', () => {
  const regex = { safe_regex: { regex: '/(?:a{3}|b)[^/]{2}' } };
  const { undecided } = callsOf(listener(8080, [chain(http(host('a.example', answer(200, regex))))]));
  assert.deepEqual(undecided, ['default/gateway: route 200 of routes a.example: no request was found that it takes']);
});
