import type { PolicyTargetReference, WorkloadLabelSelector } from '../common.ts';
import { type Report, selectorOf } from './checks.ts';

interface Targets {
  readonly selector?: WorkloadLabelSelector;
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs: readonly PolicyTargetReference[];
}

/** `group/kind` that policies can be attached to. */
const TARGETS = [
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
  '/Service',
  'networking.istio.io/ServiceEntry',
];

/** What a policy holds for: one of a selector and references to objects of its own namespace. */
export function targetsOf({ selector, targetRef, targetRefs }: Targets, report: Report): void {
  selectorOf(selector?.matchLabels, ['spec', 'selector'], report);
  const set = [selector && 'selector', targetRef && 'targetRef', targetRefs.length > 0 && 'targetRefs'].filter(
    (name) => typeof name === 'string',
  );
  if (set.length > 1) report({ path: ['spec', set[1]!], at: 'key', message: `must not stand beside ${set[0]}` });
  if (targetRef) targetOf(targetRef, ['spec', 'targetRef'], report);
  targetRefs.forEach((target, index) => {
    targetOf(target, ['spec', 'targetRefs', index], report);
  });
}

function targetOf(target: PolicyTargetReference, path: readonly (string | number)[], report: Report): void {
  if (target.namespace)
    report({ path: [...path, 'namespace'], at: 'key', message: 'must stay empty: a policy reaches objects of its own namespace only' });
  const group = target.group === 'core' ? '' : target.group;
  if (!TARGETS.includes(`${group}/${target.kind}`)) {
    report({ path: [...path, 'kind'], message: `a policy can't be attached to ${group}/${target.kind}, only to ${TARGETS.join(', ')}` });
  }
}
