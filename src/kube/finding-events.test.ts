import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../lib/finding.ts';
import { eventOf } from './finding-events.ts';

const OPTIONS = { uid: 'u', controller: 'sallyport.dev/gateway-controller', identity: 'me', now: 1_700_000_000_000 };
const finding = (more: Partial<Finding> = {}): Finding => ({
  code: 'IST0101',
  level: 'Error',
  message: 'no such gateway',
  origin: { kind: 'VirtualService', namespace: 'shop', name: 'www' },
  ...more,
});

test('an Event of the object that a finding is about', () => {
  const { metadata, regarding, type, reason, note, eventTime } = eventOf(finding(), false, OPTIONS)!;
  assert.deepEqual(regarding, { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', name: 'www', namespace: 'shop', uid: 'u' });
  assert.deepEqual([metadata.namespace, type, reason, note], ['shop', 'Warning', 'Finding', '[IST0101] no such gateway']);
  assert.equal(eventTime, '2023-11-14T22:13:20.000000Z');
  assert.deepEqual(eventOf(finding(), true, OPTIONS)!.type, 'Normal');
});

test('Gateways of the Gateway API by their own name, cluster-scoped objects in default', () => {
  const gateway = eventOf(finding({ origin: { kind: 'KubernetesGateway', namespace: 'a', name: 'web' } }), false, OPTIONS)!;
  assert.deepEqual((gateway.regarding as { apiVersion: string; kind: string }).kind, 'Gateway');
  const node = eventOf(finding({ origin: { kind: 'Node', namespace: '', name: 'n' } }), false, OPTIONS)!;
  assert.equal(node.metadata.namespace, 'default');
});

test('hints and what is about no object make no Event; a long note is cut between characters', () => {
  assert.equal(eventOf(finding({ level: 'Info' }), false, OPTIONS), undefined);
  assert.equal(eventOf(finding({ origin: { kind: '', namespace: '', name: 'cluster' } }), false, OPTIONS), undefined);
  const { note } = eventOf(finding({ message: 'é'.repeat(2000) }), false, OPTIONS)!;
  assert.ok(Buffer.byteLength(String(note)) <= 1024 && !String(note).includes('\uFFFD'));
});
