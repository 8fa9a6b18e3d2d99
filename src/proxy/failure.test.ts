import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutResponseDetails, failureFlag, failureReply, isConnectFailure } from './failure.ts';
import type { ResponseFlag, UpstreamFailure } from './types.ts';

const CASES: readonly (readonly [failure: UpstreamFailure, flag: ResponseFlag, status: number, details: string, body: string])[] = [
  [{ kind: 'no-cluster' }, 'NC', 503, 'cluster_not_found', ''],
  [{ kind: 'no-host' }, 'UH', 503, 'no_healthy_upstream', 'no healthy upstream'],
  [{ kind: 'dns', reason: 'no such host' }, 'DF', 503, 'dns_resolution_failure{no_such_host}', 'DNS resolution failure'],
  [{ kind: 'overflow' }, 'UO', 503, 'upstream_reset_before_response_started{overflow}', 'overflow'],
  [{ kind: 'connect-timeout' }, 'UF', 503, 'upstream_reset_before_response_started{connection_timeout}', 'connection timeout'],
  [
    { kind: 'connect', reason: 'delayed connect error: Connection refused' },
    'UF',
    503,
    'upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}',
    'remote connection failure',
  ],
  [
    { kind: 'tls', reason: 'TLS_error: Secret is not supplied by SDS' },
    'UF',
    503,
    'upstream_reset_before_response_started{remote_connection_failure|TLS_error:_Secret_is_not_supplied_by_SDS}',
    'remote connection failure',
  ],
  [
    { kind: 'reset', reason: 'connection termination' },
    'UC',
    503,
    'upstream_reset_before_response_started{connection_termination}',
    'connection termination',
  ],
  [{ kind: 'reset', reason: 'remote reset' }, 'UR', 503, 'upstream_reset_before_response_started{remote_reset}', 'remote reset'],
  [
    { kind: 'reset', reason: 'remote refused stream reset' },
    'UR',
    503,
    'upstream_reset_before_response_started{remote_refused_stream_reset}',
    'remote refused stream reset',
  ],
  [{ kind: 'reset', reason: 'local reset' }, 'LR', 503, 'upstream_reset_before_response_started{local_reset}', 'local reset'],
  [{ kind: 'reset', reason: 'protocol error' }, 'UPE', 502, 'upstream_reset_before_response_started{protocol_error}', 'protocol error'],
];

for (const [failure, flag, status, details, body] of CASES) {
  test(`${JSON.stringify(failure)} is ${status} ${flag}`, () => {
    const reply = failureReply(failure, false);
    assert.deepEqual([reply.flag, reply.status, reply.details, failureFlag(failure)], [flag, status, details, flag]);
    assert.ok(reply.body.endsWith(body));
    assert.equal(reply.overloaded, failure.kind === 'overflow');
  });
}

test('a later attempt says that it is one; a route may answer 404 or 500 for a missing cluster', () => {
  assert.match(failureReply({ kind: 'connect-timeout' }, true).body, /retried and the latest reset reason: connection timeout$/);
  assert.equal(failureReply({ kind: 'no-cluster' }, false, 500).status, 500);
  assert.equal(
    cutResponseDetails({ kind: 'reset', reason: 'connection termination' }),
    'upstream_reset_after_response_started{connection_termination}',
  );
});

test('only a host that could not be connected to makes TCP try another one', () => {
  const tried = CASES.filter(([failure]) => isConnectFailure(failure)).map(([{ kind }]) => kind);
  assert.deepEqual(tried, ['connect-timeout', 'connect', 'tls']);
});

test('a failure of which no upstream heard has no words for the end of a response', () => {
  assert.equal(cutResponseDetails({ kind: 'no-host' }), 'upstream_reset_after_response_started{local_reset}');
});
