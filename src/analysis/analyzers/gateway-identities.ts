import type { AuthorizationCondition, AuthorizationRule, AuthorizationSource } from '../../api/authorization-policy.ts';
import { GATEWAY_API } from '../../api/gateway-api/common.ts';
import type { ResourceOf, Server } from '../../api/index.ts';
import { resourceText } from '../../api/resource.ts';
import { type Labels, matchesLabels } from '../../lib/labels.ts';
import type { Context } from '../context.ts';

/** Modes in which a client may show a certificate. */
const WITH_CERTIFICATES: ReadonlySet<string> = new Set(['ISTIO_MUTUAL', 'MUTUAL', 'OPTIONAL_MUTUAL']);
/** What only a client's certificate says. */
const IDENTITIES = [
  'principals',
  'namespaces',
  'serviceAccounts',
  'trustDomains',
] as const satisfies readonly (keyof AuthorizationSource)[];
const IDENTITY_KEYS: ReadonlySet<string> = new Set(['source.principal', 'source.namespace', 'source.serviceAccount', 'source.trustDomain']);

/** SP1047: policies that ask a gateway who calls, while no server of the gateway takes mutual TLS: nobody is known there. */
export function gatewayIdentities(context: Context): void {
  for (const policy of context.of('AuthorizationPolicy')) {
    const gateways = gatewaysOf(context, policy);
    const servers = gateways.flatMap(({ spec }) => spec.servers);
    if (servers.length === 0 || servers.some(({ tls }) => tls && WITH_CERTIFICATES.has(tls.mode))) continue;
    const { action, rules } = policy.spec;
    for (const [i, rule] of rules.entries()) {
      if (!asksWho(rule)) continue;
      const effect =
        action === 'ALLOW' ? 'this rule allows nothing' : action === 'DENY' ? 'this rule refuses nothing' : 'this rule never holds';
      context.report(
        'SP1047',
        policy,
        ['spec', 'rules', i],
        `The rule asks who calls, and no server of ${gateways.map(resourceText).join(', ')} takes mutual TLS: the gateway knows nobody's identity, so ${effect}. Give the servers tls mode ISTIO_MUTUAL (protocol ${servers.every(isPassthrough) ? 'TLS, and tcp rules there in place of the tls rules' : 'HTTPS'}), and the way to them (a DestinationRule for the gateway's Service) as well.`,
      );
    }
  }
}

function isPassthrough({ tls }: Server): boolean {
  return tls?.mode === 'PASSTHROUGH';
}

/** The Gateways whose proxies the policy holds for, by what it says itself: its labels or what it is attached to. */
export function gatewaysOf(context: Context, { metadata, spec }: ResourceOf<'AuthorizationPolicy'>): ResourceOf<'Gateway'>[] {
  if (spec.targetRef || spec.targetRefs.length > 0) return attachedGateways(context, { metadata, spec });
  const wanted: Labels = spec.selector?.matchLabels ?? {};
  if (Object.keys(wanted).length === 0) return [];
  return context.of('Gateway').filter((gateway) => matchesLabels(wanted, gateway.spec.selector));
}

/** Those made of the Kubernetes Gateways that the policy is attached to. */
export function attachedGateways(
  context: Context,
  { metadata, spec }: Pick<ResourceOf<'AuthorizationPolicy' | 'RequestAuthentication'>, 'metadata' | 'spec'>,
): ResourceOf<'Gateway'>[] {
  const targets = spec.targetRef ? [spec.targetRef, ...spec.targetRefs] : spec.targetRefs;
  const names = new Set(targets.flatMap(({ group, kind, name }) => (group === GATEWAY_API && kind === 'Gateway' ? [name] : [])));
  return context
    .of('Gateway')
    .filter(({ derivedFrom }) => derivedFrom?.metadata.namespace === metadata.namespace && names.has(derivedFrom.metadata.name));
}

function asksWho({ from, when }: AuthorizationRule): boolean {
  const bySource = from.length > 0 && from.every(({ source }) => IDENTITIES.some((field) => (source?.[field].length ?? 0) > 0));
  return bySource || when.some(({ key, values }: AuthorizationCondition) => IDENTITY_KEYS.has(key) && values.length > 0);
}
