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
    upstreamHost: undefined,
  };
  const verdict = (host: string) => verdictOf({ ...record, upstreamCluster: `outbound|1||${host}` });
  assert.deepEqual(verdict(REFUSED.ended), { verdict: 'refused', reason: 'the EgressPolicy that allowed it has ended' });
  assert.deepEqual(verdict(REFUSED.notAllowed), {
    verdict: 'refused',
    reason: 'an EgressPolicy allows it to other workloads than this one',
  });
  assert.deepEqual(verdict('db.example.com'), { verdict: 'failed', reason: 'UH' });
});
