import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { HeaderMap } from '../../http/header-map.ts';
import { compileRetryPolicy } from '../../http/routes/retry.ts';
import { RetryPolicySchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { UpstreamFailure } from '../types.ts';
import { RetryState } from './retry.ts';
import { fakeCluster } from './testing.ts';

function state(json: JsonObject, max = 3) {
  const fake = fakeCluster('c', []);
  const cluster = { ...fake, limits: { ...fake.limits, retries: { used: 0, max } } };
  return { cluster, retry: new RetryState(compileRetryPolicy(fromJson(RetryPolicySchema, json)), cluster) };
}

const fields = (...flat: string[]) => new HeaderMap(flat);
const CONDITIONS = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];
/** The conditions that alone make one of these worth another try, in the order above. */
const wantedBy = (decide: (retry: RetryState) => string, more: JsonObject = {}) =>
  CONDITIONS.filter((retryOn) => decide(state({ retryOn, ...more }).retry) === 'retry');

/** Which conditions of `retry_on` an answer meets, as Envoy's documentation has them. */
const ANSWERS: readonly (readonly [name: string, status: number, headers: HeaderMap, conditions: readonly string[]])[] = [
  ['200', 200, fields(), []],
  ['404', 404, fields(), []],
  ['409', 409, fields(), ['retriable-4xx']],
  ['499', 499, fields(), []],
  ['500', 500, fields(), ['5xx']],
  ['501', 501, fields(), ['5xx']],
  ['502', 502, fields(), ['5xx', 'gateway-error']],
  ['503', 503, fields(), ['5xx', 'gateway-error']],
  ['504', 504, fields(), ['5xx', 'gateway-error']],
  ['505', 505, fields(), ['5xx']],
  ['a status that is named', 418, fields(), ['retriable-status-codes']],
  ['a header that is named', 200, fields('x-again', '1'), ['retriable-headers']],
  ['a rate limit, which goes before its status', 503, fields('x-envoy-ratelimited', 'true'), ['envoy-ratelimited']],
  ['gRPC 0', 200, fields('grpc-status', '0'), []],
  ['gRPC 1', 200, fields('grpc-status', '1'), ['cancelled']],
  ['gRPC 4', 200, fields('grpc-status', '4'), ['deadline-exceeded']],
  ['gRPC 8', 200, fields('grpc-status', '8'), ['resource-exhausted']],
  ['gRPC 13', 200, fields('grpc-status', '13'), ['internal']],
  ['gRPC 14', 200, fields('grpc-status', '14'), ['unavailable']],
];

for (const [name, status, headers, conditions] of ANSWERS) {
  test(`an answer that is tried again: ${name}`, () => {
    const more = { retriableStatusCodes: [418], retriableHeaders: [{ name: 'x-again', presentMatch: true }] };
    assert.deepEqual(
      wantedBy((retry) => retry.onResponse(status, headers, true), more),
      conditions,
    );
    assert.deepEqual(
      wantedBy((retry) => retry.onResponse(status, headers, false), more),
      [],
      'not where the request can’t be sent again',
    );
  });
}

const ANY_RESET = ['5xx', 'gateway-error', 'reset'];
const FAILURES: readonly (readonly [name: string, failure: UpstreamFailure, timedOut: boolean, conditions: readonly string[]])[] = [
  ['a per-try timeout', { kind: 'reset', reason: 'local reset' }, true, ANY_RESET],
  ['a connection that ended', { kind: 'reset', reason: 'connection termination' }, false, ANY_RESET],
  ['a stream that was refused', { kind: 'reset', reason: 'remote refused stream reset' }, false, [...ANY_RESET, 'refused-stream']],
  [
    'a connection that takes too long',
    { kind: 'connect-timeout' } as UpstreamFailure,
    false,
    [...ANY_RESET, 'reset-before-request', 'connect-failure'],
  ],
  ['no host', { kind: 'no-host' } as UpstreamFailure, false, []],
  ['no cluster', { kind: 'no-cluster' } as UpstreamFailure, false, []],
  ["a cluster's limit", { kind: 'overflow' }, false, []],
  ['a name that does not resolve', { kind: 'dns', reason: 'no such host' }, false, []],
];

for (const [name, failure, timedOut, conditions] of FAILURES) {
  test(`a failure that is tried again: ${name}`, () => {
    assert.deepEqual(
      wantedBy((retry) => retry.onFailure(failure, timedOut, true)),
      conditions,
    );
    assert.deepEqual(
      wantedBy((retry) => retry.onFailure(failure, timedOut, false)),
      [],
    );
  });
}

test('the base doubles with each retry up to the maximum, and chance takes less than that', () => {
  const { retry } = state({ retryOn: '5xx', numRetries: 9, retryBackOff: { baseInterval: '0.1s', maxInterval: '0.3s' } });
  const longest = () => {
    assert.equal(retry.onResponse(500, fields(), true), 'retry');
    // Of a span of n, n - 1 is the longest, and one more begins anew.
    for (let span = 1; ; span++) if (retry.backoffMs(span, undefined) < span && span > 1) return span;
  };
  assert.deepEqual([longest(), longest(), longest(), longest()], [100, 200, 300, 300]);
  assert.equal(retry.backoffMs(0, undefined), 1, 'at least a millisecond');
  const short = state({ retryOn: '5xx', retryBackOff: { baseInterval: '0.001s' } }).retry;
  short.onResponse(500, fields(), true);
  for (const random of [0, 1, 2]) assert.equal(short.backoffMs(random, undefined), 1);
});

test('as many retries as the policy has, then it is exhausted', () => {
  const { retry } = state({ retryOn: '5xx', numRetries: 2 });
  const next = () => retry.onResponse(500, fields(), true);
  assert.deepEqual([next(), next(), next()], ['retry', 'retry', 'exhausted']);
  assert.equal(retry.onResponse(200, fields(), true), 'no');
  assert.equal(state({ retryOn: '5xx', numRetries: 0 }).retry.onResponse(500, fields(), true), 'exhausted');
});

test("retries count against their cluster's limit while they run", () => {
  const { cluster, retry } = state({ retryOn: '5xx', numRetries: 3 }, 1);
  const other = new RetryState(compileRetryPolicy(fromJson(RetryPolicySchema, { retryOn: '5xx' })), cluster);
  assert.deepEqual([retry.onResponse(500, fields(), true), cluster.limits.retries.used], ['retry', 1]);
  assert.equal(other.onResponse(500, fields(), true), 'overflow');
  assert.deepEqual([retry.onResponse(500, fields(), true), cluster.limits.retries.used], ['retry', 1], 'its own place is free again');
  retry.finish();
  retry.finish();
  assert.equal(cluster.limits.retries.used, 0);
  assert.equal(other.onResponse(500, fields(), true), 'retry');
  assert.equal(other.onResponse(200, fields(), true), 'no');
  assert.equal(cluster.limits.retries.used, 0);
});

test('what the policy says of hosts', () => {
  const plain = state({}).retry;
  assert.deepEqual([plain.avoidsPreviousHosts, plain.hostSelectionAttempts], [false, 1]);
  const { retry } = state({
    retryHostPredicate: [{ name: 'envoy.retry_host_predicates.previous_hosts' }],
    hostSelectionRetryMaxAttempts: 4,
  });
  assert.deepEqual([retry.avoidsPreviousHosts, retry.hostSelectionAttempts], [true, 4]);
});
