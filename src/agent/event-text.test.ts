import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentTeller } from './event-text.ts';

test('certificates are told with their end, and what is missing with what follows', () => {
  const tell = agentTeller('10.0.0.9:15012');
  const issued = { kind: 'issued', identity: 'spiffe://a', notAfter: 0 } as const;
  assert.equal(tell({ ...issued, first: true }), 'got the certificate of spiffe://a, good until 1970-01-01T00:00:00.000Z');
  assert.match(tell({ ...issued, first: false }) ?? '', /^renewed /);
  assert.match(tell({ kind: 'not-issued', reason: 'why', first: true }) ?? '', /^10\.0\.0\.9:15012 .*Envoy starts when there is one$/);
  assert.match(tell({ kind: 'not-issued', reason: 'why', first: false }) ?? '', /stays until it ends$/);
  assert.match(tell({ kind: 'provider-lost', socket: '/s', reason: 'why' }) ?? '', /\/s cannot be had \(why\)/);
  assert.equal(tell({ kind: 'provider', socket: '/s' }), 'identities come from the provider at /s');
  assert.equal(tell({ kind: 'refused', reason: 'why' }), 'Envoy did not take its identity: why');
  assert.equal(tell({ kind: 'ready' }), 'ready');
});

test('that the control plane is back is news where it was gone', () => {
  const tell = agentTeller('10.0.0.9:15012');
  assert.equal(tell({ kind: 'connected' }), undefined);
  assert.match(tell({ kind: 'lost', reason: 'why' }) ?? '', /cannot be had \(why\)/);
  assert.equal(tell({ kind: 'connected' }), 'the control plane at 10.0.0.9:15012 is back');
  assert.equal(tell({ kind: 'connected' }), undefined);
});
