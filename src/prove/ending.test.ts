import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap } from '../http/header-map.ts';
import type { Payload } from '../simulate/call.ts';
import { originated } from '../simulate/testing.ts';
import type { Hop, Outcome, Sent } from '../simulate/trace.ts';
import { endingOf } from './ending.ts';

const HTTP: Payload = { tls: undefined, http: { method: 'GET', authority: 'a', path: '/', headers: new HeaderMap(), version: '1.1' } };
const TLS: Payload = { tls: { serverName: 'a', alpn: [] }, http: undefined };
const sent = (payload: Payload, more: Partial<Sent> = {}): Sent => ({
  endpoint: undefined,
  host: 'a',
  port: 443,
  payload,
  dialled: false,
  anyAddress: false,
  originates: undefined,
  ...more,
});
const hop = (protocol: 'http' | 'tcp', next: Sent | undefined, steps: Hop['steps'] = []): Hop => ({
  proxy: 'default/app',
  protocol,
  steps,
  cluster: 'c',
  copy: false,
  flag: '',
  next,
});
const upstream = (hops: readonly Hop[]) => ({ hops, outcome: { kind: 'upstream', ...hops.at(-1)!.next! } satisfies Outcome });

test('TLS that a proxy puts into TLS fails, and TLS that was ended before does not', () => {
  const wrapping = sent(TLS, { originates: originated('name') });
  assert.match(endingOf(TLS, upstream([hop('tcp', wrapping)]))?.because ?? '', /default\/app puts/);
  const ended = [{ kind: 'tls' as const, name: '', text: 'TLS ends here', origins: [] }];
  assert.equal(endingOf(TLS, upstream([hop('http', wrapping, ended)])), undefined);
  assert.equal(endingOf(HTTP, upstream([hop('http', wrapping)])), undefined);
});

test('TLS that the next proxy takes out of the TLS around it reaches the server', () => {
  const wrapping = sent(TLS, { originates: originated('mesh') });
  const ended = [{ kind: 'tls' as const, name: '', text: 'TLS for a ends here', origins: [] }];
  assert.equal(endingOf(TLS, upstream([hop('tcp', wrapping), hop('tcp', sent(TLS), ended)])), undefined);
  assert.match(
    endingOf(TLS, upstream([hop('tcp', wrapping), hop('tcp', sent(TLS, { originates: originated('name') }), ended)]))?.because ?? '',
    /default\/app puts/,
  );
  // A gateway that passes on what comes leaves what the sidecar put there.
  const passed = upstream([hop('http', sent(TLS, { originates: originated('mesh') })), hop('tcp', sent(TLS))]);
  assert.match(endingOf(HTTP, passed)?.because ?? '', /default\/app speaks mutual TLS, which no gateway ends/);
  const verified = upstream([hop('http', sent(TLS, { originates: originated('name') })), hop('tcp', sent(TLS))]);
  assert.equal(endingOf(HTTP, verified), undefined);
  const reply: Outcome = { kind: 'reply', status: 400, location: undefined, details: '' };
  assert.match(endingOf(TLS, { hops: [hop('tcp', wrapping), hop('http', undefined, ended)], outcome: reply })?.because ?? '', /in plain/);
});

test('a server that may be one of the mesh may take the mesh’s own TLS', () => {
  const trace = upstream([hop('http', sent(TLS, { originates: originated('mesh') }))]);
  assert.equal(endingOf(HTTP, trace)?.status, 503);
  assert.equal(
    endingOf(HTTP, trace, (cluster, ip) => cluster === 'c' && ip === undefined),
    undefined,
  );
});

test('where the server speaks first, a proxy that waits for the client hangs the connection', () => {
  const BYTES: Payload = { tls: undefined, http: undefined };
  const ending = (port: number) => endingOf(BYTES, upstream([{ ...hop('tcp', sent(BYTES, { port })), waitsOn: port }]));
  assert.match(ending(3306)?.because ?? '', /in MySQL on port 3306 the server speaks first, and default\/app waits/);
  assert.equal(ending(5432), undefined);
  assert.equal(endingOf(BYTES, upstream([hop('tcp', sent(BYTES, { port: 3306 }))])), undefined);
});

test('ports that speak the other', () => {
  assert.equal(endingOf(HTTP, upstream([hop('http', sent(TLS, { originates: originated('chain'), port: 80 }))]))?.status, 503);
  assert.equal(endingOf(HTTP, upstream([hop('http', sent(HTTP))]))?.status, 400);
  assert.equal(endingOf(HTTP, upstream([hop('http', sent(HTTP, { port: 80 }))])), undefined);
});

test('an allocated address has nothing behind it', () => {
  for (const ip of ['240.240.3.4', '2001:2::7'])
    assert.ok(endingOf(HTTP, upstream([hop('tcp', sent(HTTP, { endpoint: { ip, port: 80 }, port: 80 }))])), ip);
  assert.equal(endingOf(HTTP, upstream([hop('tcp', sent(HTTP, { endpoint: { ip: '192.0.2.1', port: 80 }, port: 80 }))])), undefined);
});

test('a gateway that closes is seen as 503 where the sidecar spoke HTTP, and as what it is elsewhere', () => {
  const outcome: Outcome = { kind: 'closed', details: 'no chain' };
  assert.equal(endingOf(HTTP, { hops: [hop('http', sent(HTTP)), hop('tcp', undefined)], outcome })?.status, 503);
  assert.equal(endingOf(TLS, { hops: [hop('tcp', sent(TLS)), hop('tcp', undefined)], outcome }), undefined);
  // Nobody listens there.
  assert.equal(endingOf(HTTP, { hops: [hop('http', sent(HTTP))], outcome })?.status, 503);
  assert.equal(endingOf(HTTP, { hops: [hop('http', undefined)], outcome }), undefined);
});
