import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { type DiffOptions, diffCalls } from './diff.ts';
import { simulatedMesh } from './explain.ts';
import { answer, chain, cluster, dns, host, http, listener, outbound, route, router, sidecar, tcp } from './testing.ts';

const CLUSTERS = [dns('a', 'a.example:80'), dns('b', 'b.example:80'), cluster('gateway', '10.0.0.9:8080')];
const REFUSED = outbound(chain(tcp('none')));

/** A mesh of a sidecar and a gateway. */
function side(outside: readonly JsonObject[], atGateway: JsonObject = tcp('a')) {
  const app = sidecar('default/app', '10.0.0.1', { listeners: outside, clusters: CLUSTERS });
  const gateway = router('default/gateway', '10.0.0.9', { listeners: [listener(8080, [chain(atGateway)])], clusters: CLUSTERS });
  return { app, gateway, mesh: simulatedMesh([app, gateway]) };
}
type Side = ReturnType<typeof side>;

const differences = (before: Side, after: Side, options: DiffOptions = {}) =>
  diffCalls(before, after, [{ workloads: ['default/app'], before: before.app, after: after.app }], options);
const changesOf = (...given: Parameters<typeof differences>) =>
  differences(...given).changes.map(({ kind, destination, before, after }) => `${kind} ${destination}: ${before} -> ${after}`);

const bytes = (to: string | Record<string, number>) => side([outbound(chain(tcp(to)))]);
const requests = (...hosts: readonly JsonObject[]) => side([REFUSED, listener(80, [chain(http(...hosts))])]);
const EVERYWHERE = '203.0.113.1:49151';

test('the same twice: no change, and calls were compared', () => {
  const { changes, undecided, cells } = differences(bytes('a'), bytes('a'));
  assert.deepEqual([changes, undecided], [[], []]);
  assert.ok(cells > 0);
});

test('more is reachable, less is, or something else', () => {
  const first = (before: Side, after: Side) => changesOf(before, after).find((line) => line.includes(EVERYWHERE));
  assert.equal(first(bytes('none'), bytes('a')), `widens ${EVERYWHERE}: is closed -> reaches a.example directly`);
  assert.equal(first(bytes('a'), bytes('none')), `narrows ${EVERYWHERE}: reaches a.example directly -> is closed`);
  assert.equal(first(bytes('a'), bytes('b')), `differs ${EVERYWHERE}: reaches a.example directly -> reaches b.example directly`);
});

test('the same host with fewer proxies on the way is wider, with more of them narrower', () => {
  const kinds = (before: Side, after: Side) => [...new Set(differences(before, after).changes.map(({ kind }) => kind))];
  assert.deepEqual(kinds(bytes('gateway'), bytes('a')), ['widens']);
  assert.deepEqual(kinds(bytes('a'), bytes('gateway')), ['narrows']);
});

test('what chance may do counts: another way is wider, a way less narrower', () => {
  const kinds = (before: Side, after: Side) => [...new Set(differences(before, after).changes.map(({ kind }) => kind))];
  assert.deepEqual(kinds(bytes('a'), bytes({ a: 99, b: 1 })), ['widens']);
  assert.deepEqual(kinds(bytes({ a: 99, b: 1 }), bytes('a')), ['narrows']);
  assert.deepEqual(kinds(bytes({ a: 99, b: 1 }), bytes({ a: 1, b: 99 })), []);
});

test('a mirror is a way more', () => {
  const mirrored = route('a', { prefix: '/' }, { route: { cluster: 'a', request_mirror_policies: [{ cluster: 'b' }] } });
  assert.deepEqual(changesOf(requests(host('*', route('a'))), requests(host('*', mirrored))), [
    'widens undeclared.invalid:80: reaches a.example directly -> in a copy reaches b.example directly, or reaches a.example directly',
  ]);
});

test('a change that only one side has a boundary for is found, whichever side it is', () => {
  const plain = requests(host('*', route('a')));
  const one = requests(host('one.example', answer(403)), host('*', route('a')));
  assert.deepEqual(changesOf(plain, one), ['narrows one.example:80: reaches a.example directly -> is answered 403']);
  assert.deepEqual(changesOf(one, plain), ['widens one.example:80: is answered 403 -> reaches a.example directly']);
});

test('a name that leaves its virtual host for another one is found', () => {
  const both = { ...host('one.example', route('a')), domains: ['one.example', 'two.example'] };
  const rest = host('*', answer(404));
  const expected = (from: string, to: string, kind: string) => [`${kind} two.example:80: ${from} -> ${to}`];
  const [reached, refused] = ['reaches a.example directly', 'is answered 404'];
  assert.deepEqual(changesOf(requests(both, rest), requests(host('one.example', route('a')), rest)), expected(reached, refused, 'narrows'));
  assert.deepEqual(changesOf(requests(host('one.example', route('a')), rest), requests(both, rest)), expected(refused, reached, 'widens'));
});

test('what is undecided on a side is told', () => {
  const odd = { name: 'odd', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} } };
  assert.match(differences(bytes('a'), side([outbound(chain(odd))])).undecided.join(), /network filter odd/);
  const regex = { safe_regex: { regex: '/(?:a{3}|b)[^/]{2}' } };
  const open = requests(host('a.example', route('a', regex)));
  assert.match(differences(open, requests(host('a.example', route('a')))).undecided.join(), /^default\/app: route a of routes a\.example/);
});

test('clients that come to a gateway directly are compared where that is asked for', () => {
  const [before, after] = [side([REFUSED], tcp('a')), side([REFUSED], tcp('b'))];
  const gateways = [{ workloads: ['default/gateway'], before: before.gateway, after: after.gateway }];
  assert.deepEqual(changesOf(before, after), []);
  const { changes } = differences(before, after, { gateways });
  assert.ok(changes.some(({ destination }) => destination === '10.0.0.9:8080'));
  assert.ok(
    changes.every(({ kind, workloads }) => kind === 'differs' && workloads.join() === 'a client without a sidecar at default/gateway'),
  );
});

test('what the server sees of a call is compared, too', () => {
  const rewritten = route('a', { prefix: '/' }, { route: { cluster: 'a', host_rewrite_literal: 'other.example' } });
  const [before, after] = [requests(host('*', route('a'))), requests(host('*', rewritten))];
  assert.deepEqual(changesOf(before, after), [
    'differs undeclared.invalid:80: reaches a.example directly (port 80, GET undeclared.invalid/) -> reaches a.example directly (port 80, GET other.example/)',
  ]);
});

test('what widens comes first, and each change is told once', () => {
  const before = requests(host('a.example', route('a', { path: '/x' }), route('a')), host('b.example', answer(403)));
  const after = requests(host('a.example', answer(403)), host('b.example', route('b')));
  assert.deepEqual(changesOf(before, after), [
    'widens b.example:80: is answered 403 -> reaches b.example directly',
    'narrows a.example:80: reaches a.example directly -> is answered 403',
  ]);
});
