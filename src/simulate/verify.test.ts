import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { simulatedMesh } from './explain.ts';
import type { SimulatedProxy } from './proxy.ts';
import { chain, cluster, dns, host, http, lineOf, listener, outbound, route, router, sidecar, tcp } from './testing.ts';
import { type Statement, type VerifyInput, verify } from './verify.ts';

const CLUSTERS = [
  dns('a', 'a.example:80'),
  dns('b', 'b.example:80'),
  cluster('inside', '10.0.0.5:80'),
  cluster('gateway', '10.0.0.9:8080'),
];
const appOf = (filter: JsonObject, name = 'default/app', ip = '10.0.0.1') =>
  sidecar(name, ip, { listeners: [outbound(chain(filter))], clusters: CLUSTERS });

const NOTHING: Statement = { text: 'nothing leaves', allows: () => false };
const notTo = (name: string): Statement => ({ text: `not to ${name}`, allows: ({ host: reached }) => reached !== name });

function judge(proxies: readonly SimulatedProxy[], statements: readonly Statement[], more: Partial<VerifyInput> = {}) {
  const classes = proxies.filter(({ type }) => type === 'sidecar').map((proxy) => ({ proxy, workloads: [proxy.name] }));
  return verify({ mesh: simulatedMesh(proxies), classes, statements, isInside: () => false, maxCells: 1000, ...more });
}

test('each statement has a verdict of its own, with a call for each thing that breaks it', () => {
  const proxy = appOf(tcp({ a: 1, b: 1 }));
  const [never, onlyB, free] = judge([proxy], [NOTHING, notTo('a.example'), { text: 'all may leave', allows: () => true }]);
  assert.deepEqual([never?.result, onlyB?.result, free?.result], ['refuted', 'refuted', 'proved']);
  assert.deepEqual(
    onlyB?.counterexamples.map(({ workloads, call, trace }) => [workloads, lineOf(call), trace.hops.at(-1)?.cluster]),
    [[['default/app'], '203.0.113.1:49151', 'a']],
  );
  assert.deepEqual(free?.counterexamples, []);
  assert.ok(free!.cells > 0);
});

test('of all workloads one is enough to refute', () => {
  const [verdict] = judge([appOf(tcp('inside')), appOf(tcp('a'), 'default/other', '10.0.0.2')], [notTo('a.example')]);
  assert.deepEqual(
    verdict?.counterexamples.map(({ workloads }) => workloads),
    [['default/other']],
  );
});

test('what ends inside the mesh has not left it', () => {
  const isInside = (ip: string) => ip === '10.0.0.5';
  assert.equal(judge([appOf(tcp('inside'))], [NOTHING], { isInside })[0]?.result, 'proved');
  assert.equal(judge([appOf(tcp('inside'))], [NOTHING])[0]?.result, 'refuted');
});

test('the workloads that call, and the last proxy on the way, are told to the statement', () => {
  const seen: string[] = [];
  const through = router('default/gateway', '10.0.0.9', { listeners: [listener(8080, [chain(tcp('a'))])], clusters: CLUSTERS });
  const asks: Statement = {
    text: 'x',
    allows: (arrival, workloads) => {
      seen.push(`${workloads.join()} ${arrival.through} ${arrival.host}`);
      return true;
    },
  };
  judge([appOf(tcp('gateway')), through], [asks]);
  assert.deepEqual([...new Set(seen)], ['default/app default/gateway a.example']);
});

const UNSIMULATED: JsonObject = { name: 'odd', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} } };

test('what simulation leaves undecided is not proved, unless the statement allows whatever comes of it', () => {
  const [verdict, tolerant] = judge([appOf(UNSIMULATED)], [NOTHING, { ...NOTHING, allowsAll: ({ hops }) => hops.length === 1 }]);
  assert.equal(verdict?.result, 'undecided');
  assert.match(verdict!.undecided.join(), /default\/app: network filter odd/);
  assert.equal(tolerant?.result, 'proved');
});

test('a counterexample refutes beside what is undecided', () => {
  const [verdict] = judge([appOf(UNSIMULATED), appOf(tcp('a'), 'default/other', '10.0.0.2')], [NOTHING]);
  assert.equal(verdict?.result, 'refuted');
  assert.notDeepEqual(verdict?.undecided, []);
});

test('a boundary without a sample, and what is not known of the mesh, keep everything from being proved', () => {
  const regex = { safe_regex: { regex: '/(?:a{3}|b)[^/]{2}' } };
  const listeners = [outbound(chain(tcp('inside'))), listener(80, [chain(http(host('a.example', route('inside', regex))))])];
  const open = sidecar('default/app', '10.0.0.1', { listeners, clusters: CLUSTERS });
  const isInside = () => true;
  const [unsampled] = judge([open], [NOTHING], { isInside });
  assert.equal(unsampled?.result, 'undecided');
  assert.match(unsampled!.undecided.join(), /^default\/app: route inside of routes a\.example/);
  const [unknown] = judge([appOf(tcp('inside'))], [NOTHING], { isInside, unknown: ['a Pod is patched'] });
  assert.deepEqual([unknown?.result, unknown?.undecided], ['undecided', ['a Pod is patched']]);
});

test('cells beyond the bound are undecided, at the bound they are not', () => {
  const isInside = () => true;
  const { cells } = judge([appOf(tcp('inside'))], [NOTHING], { isInside })[0]!;
  assert.equal(judge([appOf(tcp('inside'))], [NOTHING], { isInside, maxCells: cells })[0]?.result, 'proved');
  const [short] = judge([appOf(tcp('inside'))], [NOTHING], { isInside, maxCells: cells - 1 });
  assert.deepEqual([short?.result, short?.cells], ['undecided', cells - 1]);
  // The bound is one for all workloads together.
  const two = [appOf(tcp('inside')), appOf(tcp('inside'), 'default/other', '10.0.0.2')];
  assert.equal(judge(two, [NOTHING], { isInside, maxCells: cells })[0]?.result, 'undecided');
});

test('a statement about a namespace without workloads is about nothing', () => {
  const about = (namespace: string): Statement => ({ text: 'x', namespace, allows: () => true });
  const [known, unknown, prefix] = judge([appOf(tcp('a'))], [about('default'), about('nowhere'), about('def')]);
  assert.deepEqual([known?.result, unknown?.result, prefix?.result], ['proved', 'undecided', 'undecided']);
});

test('hosts that a statement names are told apart from others of their domain', () => {
  const listeners = [outbound(chain(tcp('inside'))), listener(80, [chain(http(host('*.a.example', route('a'))))])];
  const proxy = sidecar('default/app', '10.0.0.1', { listeners, clusters: CLUSTERS });
  const named: Statement = {
    text: 'x',
    hosts: ['one.a.example'],
    allows: ({ trace }) => trace.outcome.kind !== 'upstream' || trace.outcome.payload.http?.authority !== 'one.a.example',
  };
  assert.equal(judge([proxy], [named])[0]?.result, 'refuted');
  assert.equal(judge([proxy], [{ ...named, hosts: [] }])[0]?.result, 'proved');
});
