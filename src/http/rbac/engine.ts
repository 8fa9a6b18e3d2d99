/** envoy.config.rbac.v3.RBAC, compiled: whether a call is allowed, and by which policy. The data plane and the simulation ask the same. */
import { type RBAC, RBAC_Action } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import { all, any, compilePermission, compilePrincipal } from './matchers.ts';
import type { Matcher, RbacSubject, Truth } from './subject.ts';

export interface RbacVerdict {
  readonly allowed: Truth;
  /** The first policy, by name, that matches; where it is not known whether any does, the first that may; empty if none does. */
  readonly policy: string;
  /** Of rules that only log: whether to log; undefined for others. */
  readonly logs: boolean | undefined;
}

export interface RbacEngine {
  readonly action: 'allow' | 'deny' | 'log';
  /** Names of the policies, sorted as they are asked. */
  readonly policies: readonly string[];
  /** Of the same policy the same object, where it is known whether the policy matches. */
  judge(subject: RbacSubject): RbacVerdict;
}

const ACTIONS = { [RBAC_Action.ALLOW]: 'allow', [RBAC_Action.DENY]: 'deny', [RBAC_Action.LOG]: 'log' } as const;

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function compileRbac(rules: RBAC, where: string): RbacEngine {
  const action = ACTIONS[rules.action] ?? unsupported(`${where}.rules.action`, `${rules.action} is not known`);
  const policies = Object.entries(rules.policies)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, policy]) => {
      const at = `${where}.rules.policies["${name}"]`;
      if (policy.condition || policy.checkedCondition) unsupported(`${at}.condition`, 'conditions in CEL are not supported');
      const permission = any(policy.permissions.map((each) => compilePermission(each, at)));
      const principal = any(policy.principals.map((each) => compilePrincipal(each, at)));
      return { matches: all([permission, principal]), verdict: verdictOf(action, name, true) };
    });
  const none = verdictOf(action, '', false);
  return { action, policies: policies.map(({ verdict }) => verdict.policy), judge: (subject) => judge(action, policies, none, subject) };
}

interface CompiledPolicy {
  readonly matches: Matcher;
  /** If it is the first to match. */
  readonly verdict: RbacVerdict;
}

function judge(action: RbacEngine['action'], policies: readonly CompiledPolicy[], none: RbacVerdict, subject: RbacSubject): RbacVerdict {
  let possible: string | undefined;
  for (const { matches, verdict } of policies) {
    const truth = matches(subject);
    if (truth === true) return verdict;
    if (truth === undefined) possible ??= verdict.policy;
  }
  return possible === undefined ? none : verdictOf(action, possible, undefined);
}

function verdictOf(action: RbacEngine['action'], policy: string, matched: Truth): RbacVerdict {
  if (action === 'log') return { allowed: true, policy, logs: matched === true };
  const allowed = action === 'allow' || matched === undefined ? matched : !matched;
  return { allowed, policy, logs: undefined };
}

/** `%RESPONSE_CODE_DETAILS%` or `%CONNECTION_TERMINATION_DETAILS%` of what is refused. */
export function deniedDetails({ policy }: RbacVerdict): string {
  return `rbac_access_denied_matched_policy[${policy === '' ? 'none' : policy.replace(/\s/g, '_')}]`;
}
