import type { AuthorizationRule } from '../../api/authorization-policy.ts';
import type { ResourceOf } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import { once } from '../../lib/once.ts';
import { type Context, type Selectable, selectedBy } from '../context.ts';
import { attachedGateways } from './gateway-identities.ts';
import { effectOf } from './policy-conditions.ts';

type Policy = ResourceOf<'AuthorizationPolicy'>;
type Authentication = ResourceOf<'RequestAuthentication'>;

/** SP1068: AuthorizationPolicies that ask for tokens which nobody reads at their workloads, or of another issuer than those that are read. */
export function policyTokens(context: Context): void {
  for (const policy of context.of('AuthorizationPolicy')) {
    const asked = policy.spec.rules.flatMap((rule, i) => [...tokensIn(rule, ['spec', 'rules', i])]);
    if (asked.length === 0 || policy.spec.action === 'CUSTOM' || readByPatch(context)) continue;
    const issuers = once(() => issuersAt(context, policy));
    for (const { field, path, values } of asked) {
      const known = issuers();
      if (!known) continue;
      if (known.size === 0) {
        const message = `No RequestAuthentication with jwtRules holds for the workloads of this policy, so no token is read there and ${field} is never known. ${effectOf(policy, field)} Add one that selects them.`;
        context.report('SP1068', policy, path, message);
        continue;
      }
      for (const [j, value] of values.entries()) {
        if (isOfIssuer(value, known)) continue;
        const of = [...known].join(', ');
        const message = `No call has ${value}: a token's principal is its issuer, a slash and its subject, and tokens of ${of} alone are read at the workloads of this policy. ${effectOf(policy, field)} Write ${[...known][0]}/*, or a subject in place of the *.`;
        context.report('SP1068', policy, [...path, j], message);
      }
    }
  }
}

interface Asked {
  readonly field: string;
  readonly path: readonly PathStep[];
  /** Principals, of which the issuer is told; none for other fields. */
  readonly values: readonly string[];
}

function* tokensIn({ from, when }: AuthorizationRule, path: readonly PathStep[]): Generator<Asked> {
  for (const [i, { source }] of from.entries()) {
    for (const field of ['requestPrincipals', 'notRequestPrincipals'] as const) {
      const values = source?.[field] ?? [];
      if (values.length > 0) yield { field, path: [...path, 'from', i, 'source', field], values };
    }
  }
  for (const [i, { key, values, notValues }] of when.entries()) {
    if (!key.startsWith('request.auth.')) continue;
    const principals = key === 'request.auth.principal';
    if (values.length > 0) yield { field: key, path: [...path, 'when', i, 'values'], values: principals ? values : [] };
    if (notValues.length > 0) yield { field: `not ${key}`, path: [...path, 'when', i, 'notValues'], values: principals ? notValues : [] };
  }
}

/** Whether an EnvoyFilter may read tokens: what its filters know of them is not looked at. */
function readByPatch(context: Context): boolean {
  return context.of('EnvoyFilter').some(({ spec }) => JSON.stringify(spec).includes('jwt_authn'));
}

/** The issuers of the tokens that are read at workloads of the policy; undefined where no workload is known. */
function issuersAt(context: Context, policy: Policy): ReadonlySet<string> | undefined {
  const reads = readersAt(context, policy);
  if (!reads) return undefined;
  return new Set(
    context.of('RequestAuthentication').flatMap((each) => (reads(each) ? each.spec.jwtRules.map(({ issuer }) => issuer) : [])),
  );
}

function readersAt(context: Context, policy: Policy): ((authentication: Authentication) => boolean) | undefined {
  if (isTargeted(policy)) {
    const gateways = attachedGateways(context, policy);
    if (gateways.length === 0) return undefined;
    return (each) =>
      isTargeted(each)
        ? attachedGateways(context, each).some((gateway) => gateways.includes(gateway))
        : holdsIn(context, each, policy.metadata.namespace) && Object.keys(each.spec.selector?.matchLabels ?? {}).length === 0;
  }
  const workloads = selectedBy(context, policy);
  return workloads.length === 0 ? undefined : (each) => workloads.some((workload) => holdsAt(context, each, workload));
}

/** Whether a policy names what it holds for, in place of labels. */
function isTargeted({ spec: { targetRef, targetRefs } }: Policy | Authentication): boolean {
  return targetRef !== undefined || targetRefs.length > 0;
}

function holdsAt(context: Context, authentication: Authentication, { namespace, labels }: Selectable): boolean {
  if (isTargeted(authentication)) return false;
  return holdsIn(context, authentication, namespace) && matchesLabels(authentication.spec.selector?.matchLabels ?? {}, labels);
}

function holdsIn({ mesh }: Context, { metadata }: Authentication, namespace: string): boolean {
  return metadata.namespace === namespace || metadata.namespace === mesh.rootNamespace;
}

/** `*` at one end stands for anything; a rule without an issuer takes tokens of all. */
function isOfIssuer(principal: string, issuers: ReadonlySet<string>): boolean {
  if (principal.startsWith('*') || issuers.has('')) return true;
  const isPrefix = principal.endsWith('*');
  const text = isPrefix ? principal.slice(0, -1) : principal;
  return [...issuers].some((issuer) => text.startsWith(`${issuer}/`) || (isPrefix && `${issuer}/`.startsWith(text)));
}
