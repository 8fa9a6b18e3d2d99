import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REFUSED } from '../lib/refused-host.ts';
import { verdictOf } from './observed.ts';

test('what an EgressPolicy leads to where nothing answers was refused, and not allowed and out of reach', () => {
  const record = {
    responseCode: 0,
    responseCodeDetails: '',
    connectionTerminationDetails: '',
    flags: ['UH' as const],
    clusterMetadata: {},
    routeMetadata: undefined,
    routeName: '',
    upstreamTransportFailureReason: '',
    upstreamHost: undefined,
  };
  const verdict = (host: string) => verdictOf({ ...record, upstreamCluster: `outbound|1||${host}` });
  assert.deepEqual(verdict(REFUSED.ended), { verdict: 'refused', reason: 'the EgressPolicy that allowed it has ended' });
  assert.deepEqual(verdict(REFUSED.notAllowed), {
    verdict: 'refused',
    reason: 'an EgressPolicy allows it to other workloads than this one',
  });
  const unrouted = (details: string, responseCode: number, flags: ('DPE' | 'DC')[] = []) =>
    verdictOf({ ...record, responseCode, responseCodeDetails: details, flags, upstreamCluster: '' });
  assert.deepEqual(unrouted('http1.codec_error', 400, ['DPE']), {
    verdict: 'refused',
    reason: 'the proxy answers 400 itself: http1.codec_error',
  });
  assert.deepEqual(unrouted('stream_idle_timeout', 0), { verdict: 'refused', reason: 'the proxy closes itself: stream_idle_timeout' });
  assert.deepEqual(unrouted('downstream_remote_disconnect', 0, ['DC']), { verdict: 'failed', reason: 'downstream_remote_disconnect' });
  assert.deepEqual(unrouted('route_not_found', 404), { verdict: 'refused', reason: 'not allowed' });
  assert.deepEqual(verdict('db.example.com'), { verdict: 'failed', reason: 'UH' });
});
