import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { RetryPolicySchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { HeaderMap } from '../header-map.ts';
import type { RouteRequest } from './model.ts';
import { compileRetryPolicy } from './retry.ts';

const policy = (json: JsonObject) => compileRetryPolicy(fromJson(RetryPolicySchema, json));
const plain = ({ matchesResponse: _, matchesRequest: __, ...rest }: ReturnType<typeof policy>) => rest;

test("Envoy's defaults: one retry, after 25 ms at first and 250 ms at most", () => {
  assert.deepEqual(plain(policy({})), {
    on: new Set(),
    retries: 1,
    perTryTimeoutMs: 0,
    statusCodes: new Set(),
    baseIntervalMs: 25,
    maxIntervalMs: 250,
    avoidPreviousHosts: false,
    avoidPreviousPriorities: false,
    hostSelectionAttempts: 1,
  });
});

test('what is said counts; conditions that Envoy does not know are left out', () => {
  const full = policy({
    retryOn: '5xx, reset,made-up,retriable-status-codes',
    numRetries: 0,
    perTryTimeout: '0.5s',
    retriableStatusCodes: [409],
    retryBackOff: { baseInterval: '0.1s' },
    retryHostPredicate: [{ name: 'envoy.retry_host_predicates.previous_hosts' }],
    retryPriority: { name: 'envoy.retry_priorities.previous_priorities' },
    hostSelectionRetryMaxAttempts: 5,
  });
  assert.deepEqual(plain(full), {
    on: new Set(['5xx', 'reset', 'retriable-status-codes']),
    retries: 0,
    perTryTimeoutMs: 500,
    statusCodes: new Set([409]),
    baseIntervalMs: 100,
    maxIntervalMs: 1000,
    avoidPreviousHosts: true,
    avoidPreviousPriorities: true,
    hostSelectionAttempts: 5,
  });
  assert.equal(policy({ retryBackOff: { baseInterval: '0.1s', maxInterval: '0.3s' } }).maxIntervalMs, 300);
});

test('headers: any of the response makes it worth another try, any of the request lets it be tried again', () => {
  const named = (...names: string[]) => names.map((name) => ({ name, presentMatch: true }));
  const { matchesResponse, matchesRequest } = policy({
    retriableHeaders: named('x-a', 'x-b'),
    retriableRequestHeaders: named('x-a', 'x-b'),
  });
  const request = (...fields: string[]): RouteRequest => ({
    random: 0,
    tls: undefined,
    internal: false,
    method: 'GET',
    authority: 'a',
    path: '/',
    scheme: 'http',
    headers: new HeaderMap(fields),
  });
  assert.deepEqual([matchesResponse(new HeaderMap(['x-b', '1'])), matchesResponse(new HeaderMap(['x-c', '1']))], [true, false]);
  assert.deepEqual([matchesRequest(request('x-b', '1')), matchesRequest(request('x-c', '1'))], [true, false]);
  assert.deepEqual([policy({}).matchesResponse(new HeaderMap(['x-b', '1'])), policy({}).matchesRequest(request())], [false, true]);
});

const REFUSED: Readonly<Record<string, JsonObject>> = {
  retry_priority: { retryPriority: { name: 'other' } },
  'host predicate': { retryHostPredicate: [{ name: 'envoy.retry_host_predicates.previous_hosts' }, { name: 'other' }] },
  retry_options_predicates: { retryOptionsPredicates: [{ name: 'other' }] },
  per_try_idle_timeout: { perTryIdleTimeout: '1s' },
  rate_limited_retry_back_off: { rateLimitedRetryBackOff: { resetHeaders: [{ name: 'retry-after' }] } },
};

for (const [field, json] of Object.entries(REFUSED)) {
  test(`refused, not ignored: ${field}`, () => {
    assert.throws(() => policy(json), { code: 'xds-unsupported', message: new RegExp(field) });
  });
}
