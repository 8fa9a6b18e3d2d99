import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDocuments } from '../api/documents.ts';
import type { ResourceOf } from '../api/index.ts';
import type { Finding } from '../lib/finding.ts';
import { policyStatuses } from './status.ts';

const NOW = Date.parse('2026-06-15T12:00:00Z');

function policy(name: string, spec: object, generation = 1): ResourceOf<'EgressPolicy'> {
  const metadata = { name, namespace: 'shop', generation };
  const { resources } = decodeDocuments(
    JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind: 'EgressPolicy', metadata, spec }),
    'a.yaml',
  );
  return { ...resources[0]!, metadata: { ...resources[0]!.metadata, generation } } as ResourceOf<'EgressPolicy'>;
}

const to = (...hosts: string[]) => ({ to: [{ hosts, ports: [443] }] });

function said(policies: readonly ResourceOf<'EgressPolicy'>[], errors: readonly Finding[] = [], objects: readonly object[] = policies) {
  return policyStatuses(objects as typeof policies, policies, errors, NOW).map(({ object, conditions }) => [
    object.metadata.name,
    ...conditions.map(({ type, status, reason, observedGeneration }) => `${type} ${status} ${reason} ${observedGeneration}`),
  ]);
}

test('a policy says whether it is accepted, has ended, and what is made of it', () => {
  assert.deepEqual(
    said([
      policy('works', { ...to('api.example'), expires: '2026-06-15' }, 3),
      policy('ended', { ...to('old.example'), expires: '2026-06-14' }),
      policy('later', { ...to('later.example'), starts: '2026-07-01T00:00:00Z' }),
      policy('conflicting', { to: [{ hosts: ['api.example'], ports: [443], protocol: 'TCP' }] }),
    ]),
    [
      ['works', 'Accepted True Accepted 3', 'Expired False InTime 3', 'Compiled True Compiled 3'],
      ['ended', 'Accepted True Accepted 1', 'Expired True Expired 1', 'Compiled False Expired 1'],
      ['later', 'Accepted True Accepted 1', 'Expired False NoEnd 1', 'Compiled False NotStarted 1'],
      ['conflicting', 'Accepted False Conflict 1', 'Expired False NoEnd 1', 'Compiled False NotAccepted 1'],
    ],
  );
});

test('of one that is not valid it says what holds: the version before, or nothing', () => {
  const error = (name: string): Finding => ({
    code: 'SP0002',
    level: 'Error',
    message: 'spec.to: is required',
    origin: { kind: 'EgressPolicy', namespace: 'shop', name },
  });
  const [before] = [policy('changed', to('api.example'), 4)];
  const objects = [{ metadata: { ...before.metadata, generation: 5 } }, { metadata: { namespace: 'shop', name: 'never', generation: 1 } }];
  assert.deepEqual(said([before], [error('changed'), error('never')], objects), [
    ['changed', 'Accepted False Invalid 5', 'Expired False NoEnd 4', 'Compiled True Compiled 4'],
    ['never', 'Accepted False Invalid 1', 'Compiled False NotAccepted 1'],
  ]);
  const [first] = policyStatuses(objects, [before], [error('changed')], NOW);
  const texts = first!.conditions.map(({ message }) => message);
  assert.equal(texts[0], 'spec.to: is required\nWhat it was before holds: generation 4.');
  assert.equal(texts[2], 'The mesh is made to allow its calls to api.example (443).');
});

test('what was not read yet is not spoken of: the cluster may have a newer generation', () => {
  const read = policy('changed', to('api.example'), 4);
  const objects = [{ metadata: { ...read.metadata, generation: 5 } }];
  assert.deepEqual(said([read], [], objects), [
    ['changed', 'Accepted True Accepted 4', 'Expired False NoEnd 4', 'Compiled True Compiled 4'],
  ]);
});
