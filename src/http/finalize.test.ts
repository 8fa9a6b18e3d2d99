import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { SEEN } from './fields.ts';
import { finalizeRequest, grpcTimeout, rewriteToUpstream, streamDurationOf, tellTimeout, timeoutsOf } from './finalize.ts';
import { SAMPLE_RECORD } from './format/testing.ts';
import { Head } from './head.ts';
import { HeaderMap } from './header-map.ts';
import { compileRouteConfiguration } from './routes/route.ts';

const ALL_SEEN = SEEN.envoy | SEEN.grpcTimeout;
const GRPC = { 'content-type': 'application/grpc' };

function headOf(fields: Readonly<Record<string, string>>, seen: number = ALL_SEEN): Head {
  return new Head(
    'HTTP/2',
    'POST',
    'a.example',
    '/a/b?c',
    'http',
    new HeaderMap(Object.entries(fields).flat()),
    seen,
    '',
    false,
    0,
    undefined,
  );
}

function routeOf(action: JsonObject, route: JsonObject = {}, host: JsonObject = {}) {
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', ...action }, ...route }];
  const table = compileRouteConfiguration(
    fromJson(RouteConfigurationSchema, { name: 'rc', virtualHosts: [{ name: 'vh', domains: ['*'], routes, ...host }] }),
  );
  const compiled = table.virtualHosts[0]!.routes[0]!;
  assert.ok(compiled.action.kind === 'forward');
  return { route: compiled, action: compiled.action, choice: compiled.action.clusters[0]! };
}

/** The action, the request's fields, and the two timeouts. */
const TIMEOUTS: readonly (readonly [name: string, action: JsonObject, fields: Record<string, string>, overall: number, perTry: number])[] =
  [
    ["Envoy's own", {}, {}, 15_000, 0],
    ['none', { timeout: '0s' }, {}, 0, 0],
    ["the deadline of gRPC, where the route doesn't look at it", {}, { ...GRPC, 'grpc-timeout': '1S' }, 15_000, 0],
    ['the deadline of gRPC', { maxGrpcTimeout: '0s' }, { ...GRPC, 'grpc-timeout': '1S' }, 1000, 0],
    ['of something else than gRPC', { maxGrpcTimeout: '0s' }, { 'grpc-timeout': '1S' }, 15_000, 0],
    ['one that is none', { maxGrpcTimeout: '0s' }, { ...GRPC, 'grpc-timeout': '1x' }, 15_000, 0],
    ['at most so much', { maxGrpcTimeout: '2s' }, { ...GRPC, 'grpc-timeout': '3S' }, 2000, 0],
    ['less than that', { maxGrpcTimeout: '2s' }, { ...GRPC, 'grpc-timeout': '1S' }, 1000, 0],
    ['no limit, which the route limits', { maxGrpcTimeout: '2s' }, { ...GRPC, 'grpc-timeout': '0S' }, 2000, 0],
    ['no limit', { maxGrpcTimeout: '0s' }, { ...GRPC, 'grpc-timeout': '0S' }, 0, 0],
    ['less the offset', { maxGrpcTimeout: '0s', grpcTimeoutOffset: '0.3s' }, { ...GRPC, 'grpc-timeout': '1S' }, 700, 0],
    ['an offset never makes it endless', { maxGrpcTimeout: '0s', grpcTimeoutOffset: '1s' }, { ...GRPC, 'grpc-timeout': '1S' }, 1000, 0],
    ["the client's header", {}, { 'x-envoy-upstream-rq-timeout-ms': '250', 'x-envoy-upstream-rq-per-try-timeout-ms': '50' }, 250, 50],
    [
      'headers that are no numbers',
      {},
      { 'x-envoy-upstream-rq-timeout-ms': '1e3', 'x-envoy-upstream-rq-per-try-timeout-ms': '' },
      15_000,
      0,
    ],
    ['of each try', { retryPolicy: { perTryTimeout: '2s' } }, {}, 15_000, 2000],
    ['of each try, no less than all', { timeout: '2s', retryPolicy: { perTryTimeout: '2s' } }, {}, 2000, 0],
    ['of each try, where all have no limit', { timeout: '0s', retryPolicy: { perTryTimeout: '2s' } }, {}, 0, 2000],
  ];

for (const [name, action, fields, overall, perTry] of TIMEOUTS) {
  test(`timeouts: ${name}`, () => {
    const head = headOf(fields);
    assert.deepEqual(timeoutsOf(head, routeOf(action).action), { overall, perTry });
    assert.equal(head.headers.get('x-envoy-upstream-rq-timeout-ms'), undefined, 'goes no further');
    assert.equal(head.headers.get('x-envoy-upstream-rq-per-try-timeout-ms'), undefined, 'goes no further');
  });
}

test('fields that the parser did not see count for nothing', () => {
  const fields = { ...GRPC, 'grpc-timeout': '1S', 'x-envoy-upstream-rq-timeout-ms': '250' };
  assert.deepEqual(timeoutsOf(headOf(fields, 0), routeOf({ maxGrpcTimeout: '0s' }).action), { overall: 15_000, perTry: 0 });
});

/** `max_stream_duration`, grpc-timeout as it came, ms, grpc-timeout as it goes on. */
const DURATIONS: readonly (readonly [duration: JsonObject, asked: string, ms: number | undefined, told: string])[] = [
  [{ maxStreamDuration: '7s' }, '1S', 7000, '1S'],
  [{}, '1S', undefined, '1S'],
  [{ maxStreamDuration: '7s', grpcTimeoutHeaderMax: '0s' }, '9S', 9000, '9000m'],
  [{ maxStreamDuration: '7s', grpcTimeoutHeaderMax: '2s' }, '9S', 2000, '2000m'],
  [{ maxStreamDuration: '7s', grpcTimeoutHeaderMax: '2s' }, 'x', 7000, 'x'],
  [{ grpcTimeoutHeaderMax: '0s', grpcTimeoutHeaderOffset: '1s' }, '3S', 2000, '2000m'],
  [{ grpcTimeoutHeaderMax: '0s', grpcTimeoutHeaderOffset: '3s' }, '3S', 3000, '3000m'],
  [{ grpcTimeoutHeaderMax: '0s' }, '0m', 1, '0m'],
  [{ grpcTimeoutHeaderMax: '0s' }, '99999999m', 99_999_999, '99999999m'],
  [{ grpcTimeoutHeaderMax: '0s' }, '100000S', 100_000_000, '100000S'],
];

for (const [duration, asked, ms, told] of DURATIONS) {
  test(`a stream's time: ${JSON.stringify(duration)} and ${asked}`, () => {
    const head = headOf({ 'grpc-timeout': asked });
    assert.equal(streamDurationOf(head, routeOf({ maxStreamDuration: duration }).action), ms);
    assert.equal(head.headers.get('grpc-timeout'), told);
  });
}

test('without max_stream_duration the stream has no time of its own', () => {
  assert.equal(streamDurationOf(headOf({ 'grpc-timeout': '1S' }), routeOf({}).action), undefined);
});

test("gRPC's units, rounded up to a millisecond", () => {
  const all = ['1H', '2M', '3S', '4m', '1500u', '1n', '0n'].map(grpcTimeout);
  assert.deepEqual(all, [3_600_000, 120_000, 3000, 4, 2, 1, 0]);
  for (const none of ['', '1', 'S', '123456789S', '1s', ' 1S', '1S ', '-1S']) assert.equal(grpcTimeout(none), undefined, none);
});

test('what the server is told of its time', () => {
  const told = (overall: number, perTry: number, elapsed: number) => {
    const headers = new HeaderMap([]);
    tellTimeout(headers, { overall, perTry }, elapsed);
    return headers.get('x-envoy-expected-rq-timeout-ms');
  };
  assert.equal(told(0, 0, 0), undefined);
  assert.equal(told(1000, 0, 0), '1000');
  assert.equal(told(1000, 0, 400), '600');
  assert.equal(told(1000, 0, 2000), '1');
  assert.equal(told(1000, 300, 0), '300');
  assert.equal(told(1000, 300, 800), '200');
  assert.equal(told(0, 300, 800), '300');
});

interface Finished {
  readonly fields?: Readonly<Record<string, string>>;
  readonly route?: JsonObject;
  readonly host?: JsonObject;
  readonly envoyHeaders?: boolean;
  readonly decorates?: boolean;
  readonly direction?: 'inbound' | 'outbound';
}

function finished(action: JsonObject, given: Finished = {}) {
  const { fields = {}, route = {}, host = {}, envoyHeaders = true, decorates = false, direction = 'outbound' } = given;
  const { route: compiled, action: forward, choice } = routeOf(action, route, host);
  const head = headOf(fields);
  const sender = { options: { decorates }, deps: { direction } };
  const reply = finalizeRequest(head, compiled, forward, choice, { overall: 1000, perTry: 0 }, SAMPLE_RECORD, envoyHeaders, sender);
  return { head, reply, forward, choice, get: (name: string) => head.headers.get(name) };
}

test('a path that is rewritten is told, unless Envoy is to say nothing of itself', () => {
  const rewritten = finished({ prefixRewrite: '/x/' });
  assert.equal(rewritten.head.path, '/x/a/b?c');
  assert.deepEqual([rewritten.get('x-envoy-original-path'), rewritten.get('x-envoy-expected-rq-timeout-ms')], ['/a/b?c', '1000']);
  const silent = finished({ prefixRewrite: '/x/' }, { envoyHeaders: false });
  assert.deepEqual([silent.get('x-envoy-original-path'), silent.get('x-envoy-expected-rq-timeout-ms')], [undefined, undefined]);
  assert.equal(finished({ prefixRewrite: '/' }).get('x-envoy-original-path'), undefined, 'the same path');
  assert.equal(finished({}).head.path, '/a/b?c');
});

test('a host that is rewritten is told', () => {
  const plain = finished({ hostRewriteLiteral: 'b.example' });
  assert.deepEqual([plain.head.authority, plain.get('x-envoy-original-host')], ['b.example', 'a.example']);
  assert.equal(plain.get('x-forwarded-host'), undefined);
  const fields = { 'x-forwarded-host': 'first.example' };
  const appended = { hostRewriteLiteral: 'b.example', appendXForwardedHost: true };
  assert.equal(finished(appended).get('x-forwarded-host'), 'a.example');
  assert.equal(finished(appended, { fields }).get('x-forwarded-host'), 'first.example,a.example');
});

test('with auto_host_rewrite the server that is chosen gives the host, if it has a name', () => {
  const auto = (action: JsonObject, hostname: string) => {
    const { head, forward, choice } = finished(action);
    rewriteToUpstream(head, hostname, forward, choice);
    return [head.authority, head.headers.get('x-envoy-original-host')];
  };
  assert.deepEqual(auto({ autoHostRewrite: true }, 'b.example'), ['b.example', 'a.example']);
  assert.deepEqual(auto({ autoHostRewrite: true }, 'a.example'), ['a.example', undefined]);
  assert.deepEqual(auto({ autoHostRewrite: true }, ''), ['a.example', undefined]);
  assert.deepEqual(auto({}, 'b.example'), ['a.example', undefined]);
});

test('the operation that a route is called goes out, and is taken from what comes in', () => {
  const route = { decorator: { operation: 'own' } };
  const quiet = { decorator: { operation: 'own', propagate: false } };
  const NAME = 'x-envoy-decorator-operation';
  const given = { [NAME]: 'theirs' };
  assert.equal(finished({}, { route, decorates: true }).get(NAME), 'own');
  assert.equal(finished({}, { route: quiet, decorates: true }).get(NAME), undefined);
  assert.equal(finished({}, { decorates: true }).get(NAME), undefined);
  assert.equal(finished({}, { route }).get(NAME), undefined);
  assert.equal(finished({}, { fields: given, decorates: true, direction: 'inbound' }).get(NAME), undefined);
  assert.equal(finished({}, { fields: given, direction: 'inbound' }).get(NAME), 'theirs');
});

test('the first attempt says that it is, where the virtual host asks for it', () => {
  assert.equal(finished({}, { host: { includeRequestAttemptCount: true } }).get('x-envoy-attempt-count'), '1');
  assert.equal(finished({}).get('x-envoy-attempt-count'), undefined);
});
