import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../../lib/finding.ts';
import { ObservedObjects } from '../observed.ts';
import { analysisStatuses } from './analysis.ts';
import { mergedStatus } from './merge.ts';

const ISTIO = 'networking.istio.io/v1';
const object = (name: string, status: object = {}) => ({
  metadata: { name, namespace: 'shop', uid: 'u', resourceVersion: '1', generation: 3 },
  status,
});
const finding = (kind: string, name: string, level: Finding['level'], code = 'IST0101'): Finding => ({
  code,
  level,
  message: `${name} is wrong`,
  origin: { kind, namespace: 'shop', name },
});

function observedOf(...objects: readonly (readonly [kind: string, name: string, status?: object])[]) {
  const observed = new ObservedObjects();
  for (const [kind, name, status] of objects) observed.put({ kind, apiVersion: ISTIO }, object(name, status));
  return observed;
}

test('errors and warnings fail, hints do not, and each code is said once', () => {
  const observed = observedOf(['VirtualService', 'a'], ['Gateway', 'b'], ['Sidecar', 'c'], ['Sidecar', 'd']);
  const findings = [
    finding('VirtualService', 'a', 'Error'),
    finding('VirtualService', 'a', 'Error'),
    finding('VirtualService', 'a', 'Warning', 'SP1001'),
    finding('Gateway', 'b', 'Warning'),
    finding('Sidecar', 'c', 'Info'),
    finding('KubernetesGateway', 'b', 'Error'),
  ];
  const statuses = analysisStatuses(findings, observed, (code) => `${code}Name`);
  assert.deepEqual(
    statuses.map(({ kind, name, status: { conditions, validationMessages } }) => [
      kind,
      name,
      `${conditions[0]!.status} ${conditions[0]!.reason}`,
      conditions[0]!.message.split('\n')[0],
      validationMessages.map(({ type, level }) => `${type.code} ${level}`),
    ]),
    [
      ['IstioGateway', 'b', 'False warningsFound', '1 Warning found', ['IST0101 WARNING']],
      ['VirtualService', 'a', 'False errorsFound', '2 Errors and 1 Warning found', ['IST0101 ERROR', 'SP1001 WARNING']],
      ['Sidecar', 'c', 'True noIssuesFound', 'No issues found', ['IST0101 INFO']],
    ],
  );
});

test('what was said is taken back once, and what others said stays', () => {
  const said = {
    conditions: [
      { type: 'Reconciled', status: 'True' },
      { type: 'PassedAnalysis', status: 'False', lastTransitionTime: '2026-01-01T00:00:00Z' },
    ],
    validationMessages: [{ type: { code: 'IST0101' } }],
  };
  const [wanted] = analysisStatuses([], observedOf(['ServiceEntry', 'a', said]), String);
  const next = mergedStatus(said, wanted!, 'ours', '2026-02-02T00:00:00Z')!;
  const condition = { type: 'PassedAnalysis', status: 'True', reason: 'noIssuesFound', message: 'No issues found', observedGeneration: 3 };
  assert.deepEqual(next, {
    conditions: [said.conditions[0], { ...condition, lastTransitionTime: '2026-02-02T00:00:00Z' }],
    validationMessages: [],
  });
  assert.deepEqual(analysisStatuses([], observedOf(['ServiceEntry', 'a', next]), String), []);
});
