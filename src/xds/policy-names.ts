/** The names that Istio gives to policies of RBAC filters: they say which rule of which AuthorizationPolicy each was made of. */
import type { Origin } from '../lib/origin.ts';

export function policyName(namespace: string, name: string, rule: number): string {
  return `ns[${namespace}]-policy[${name}]-rule[${rule}]`;
}

const EXTERNAL = 'istio-ext-authz-';
const BAD = '-deny-due-to-bad-CUSTOM-action';

/** How the names of policies begin by which the provider's authorizer is asked. */
export function externalPrefix(provider: string): string {
  return `${EXTERNAL}${provider}`;
}

/** Of a rule that has its authorizer asked. `asks`: false where there is none to ask, and the rule denies. */
export function externalPolicyName(provider: string, asks: boolean, named: string): string {
  return `${externalPrefix(provider)}-${named}${asks ? '' : BAD}`;
}

export interface ReadPolicyName {
  readonly origin: Origin;
  readonly rule: number;
  /** Whose authorizer is asked, with action CUSTOM; undefined for other actions. */
  readonly provider: string | undefined;
}

/** Undefined for a name that nobody made so. */
export function readPolicyName(text: string): ReadPolicyName | undefined {
  const found = /^(?:istio-ext-authz-(.*?)-)?ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\](?:-deny-due-to-bad-CUSTOM-action)?$/.exec(text);
  if (!found) return undefined;
  const [, provider, namespace = '', name = '', rule] = found;
  return { origin: { kind: 'AuthorizationPolicy', namespace, name }, rule: Number(rule), provider };
}
