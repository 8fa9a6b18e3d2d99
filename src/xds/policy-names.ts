/** The names that Istio gives to policies of RBAC filters: they say which rule of which AuthorizationPolicy each was made of. */
import type { Origin } from '../lib/origin.ts';

export function policyName(namespace: string, name: string, rule: number): string {
  return `ns[${namespace}]-policy[${name}]-rule[${rule}]`;
}

/** Undefined for a name that nobody made so. */
export function readPolicyName(text: string): { readonly origin: Origin; readonly rule: number } | undefined {
  const found = /^ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]$/.exec(text);
  if (!found) return undefined;
  const [, namespace = '', name = '', rule] = found;
  return { origin: { kind: 'AuthorizationPolicy', namespace, name }, rule: Number(rule) };
}
