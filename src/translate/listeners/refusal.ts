/**
 * Policies whose enforcement is missing. Each makes what it concerns refuse: a policy that is quietly left out would leave open what its author
 * believes closed.
 */

import { create } from '@bufbuild/protobuf';
import type { AuthorizationSource } from '../../api/authorization-policy.ts';
import type { ResourceOf } from '../../api/index.ts';
import { originOf, type Resource, resourceText } from '../../api/resource.ts';
import { peerModes } from '../../registry/peer-modes.ts';
import type { Filter } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { BLACK_HOLE_CLUSTER } from '../../xds/names.ts';
import { authorizationPolicies, isDryRun, selects } from '../authorization/selection.ts';
import type { TranslateContext } from '../context.ts';
import { tcpProxy } from '../filters.ts';
import { metadataOf } from '../metadata.ts';
import type { Mesh } from '../model.ts';
import { refusingHost } from '../routes/defaults.ts';
import { type Chain, chain } from './chains.ts';
import { type HttpSide, httpConnectionManager } from './hcm.ts';

export interface Refusal {
  readonly origin: Resource;
  readonly reason: string;
}

/** The refusals that concern a port of this proxy; ports matter to PeerAuthentication only, which gateways do not heed. */
export type RefusalOf = (port: number) => Refusal | undefined;

export function refusals(context: TranslateContext): RefusalOf {
  const whole = unreadPolicy(context) ?? authorizationRefusal(context);
  const peer = context.proxy.type === 'sidecar' ? peerAuthentication(context) : undefined;
  const reported = new Set<Resource>();
  const report = (refusal: Refusal | undefined) => {
    if (!refusal || reported.has(refusal.origin)) return refusal;
    reported.add(refusal.origin);
    reportRefusal(context, refusal.origin, refusal.reason);
    return refusal;
  };
  return (port) => report(whole ?? peer?.(port));
}

export const NO_IDENTITIES = 'there is no CA that gives proxies identities (--ca)';

export function reportRefusal(context: TranslateContext, origin: Resource, reason: string): void {
  const { proxy } = context;
  const message = `${reason}. What this concerns at ${proxy.namespace}/${proxy.name} refuses connections instead of running open.`;
  context.report({ code: 'SP1024', level: 'Error', message, origin: originOf(origin), position: origin.source.position() });
}

/** A policy that is not valid, and that no valid version stands for: what it would refuse is not known, so that everything is. */
function unreadPolicy(context: TranslateContext): Refusal | undefined {
  const { proxy, mesh } = context;
  const { snapshot } = mesh;
  if (!snapshot.findings.some(({ level }) => level === 'Error')) return undefined;
  for (const resource of snapshot.all()) {
    const { kind, valid, metadata } = resource;
    // Gateways do not heed PeerAuthentications.
    if (
      valid ||
      !isPolicy(kind) ||
      (kind === 'PeerAuthentication' && proxy.type === 'router') ||
      snapshot.get(kind, metadata.namespace, metadata.name)
    )
      continue;
    if (selects(context, resource as ResourceOf<PolicyKind>))
      return { origin: resource, reason: `${resourceText(resource)} is not valid, and what it is to refuse is not known` };
  }
  return undefined;
}

const POLICIES = ['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication'] as const;
type PolicyKind = (typeof POLICIES)[number];

function isPolicy(kind: string): kind is PolicyKind {
  return (POLICIES as readonly string[]).includes(kind);
}

/** What of policies is not enforced: all that they concern is closed then. */
function authorizationRefusal(context: TranslateContext): Refusal | undefined {
  for (const policy of authorizationPolicies(context)) {
    if (isDryRun(policy)) continue;
    const lacking = lackingIn(policy, context.mesh);
    if (lacking !== undefined) return { origin: policy, reason: `${resourceText(policy)} ${lacking}` };
  }
  return undefined;
}

function lackingIn({ spec }: ResourceOf<'AuthorizationPolicy'>, { withoutIdentities }: Mesh): string | undefined {
  if (spec.action === 'AUDIT') return undefined;
  return withoutIdentities && asksIdentity(spec.rules) ? `asks for identities, and ${NO_IDENTITIES}` : undefined;
}

type Rules = ResourceOf<'AuthorizationPolicy'>['spec']['rules'];

const IDENTITY = ['principals', 'namespaces', 'serviceAccounts', 'trustDomains'] as const;
const NO_IDENTITY = ['notPrincipals', 'notNamespaces', 'notServiceAccounts', 'notTrustDomains'] as const;

function asksIdentity(rules: Rules): boolean {
  return asks(rules, [...IDENTITY, ...NO_IDENTITY], (key) => key.startsWith('source.') && key !== 'source.ip');
}

function asks(rules: Rules, fields: readonly (keyof AuthorizationSource)[], isKey: (key: string) => boolean): boolean {
  return rules.some(
    ({ from, when }) =>
      from.some(({ source }) => source && fields.some((field) => source[field].length > 0)) || when.some(({ key }) => isKey(key)),
  );
}

/** What asks for mutual TLS where no proxy has an identity. */
function peerAuthentication({ proxy, mesh }: TranslateContext): RefusalOf | undefined {
  if (!mesh.withoutIdentities) return undefined;
  const modes = peerModes(mesh);
  return (port) => {
    const { mode, origin } = modes.of(proxy, port);
    if (!origin || mode !== 'STRICT') return undefined;
    return { origin, reason: `${resourceText(origin)} asks for mutual TLS, and ${NO_IDENTITIES}` };
  };
}

/** In place of a chain that a policy concerns: HTTP is told why, anything else is closed. */
export function refusingChain(
  context: TranslateContext,
  parts: Partial<Chain> & { side: HttpSide; http: boolean },
  refusal: Refusal,
): Chain {
  const { side, http, ...match } = parts;
  const name = `refused|${resourceText(refusal.origin)}`;
  const routes = create(RouteConfigurationSchema, { name, virtualHosts: [refusingHost(name, refusal.reason)], validateClusters: false });
  const filter = http
    ? httpConnectionManager(context.mesh.config, { side, statPrefix: 'refused', routes, authorization: [] })
    : closing(context, side);
  return chain({ ...match, filters: [filter], metadata: metadataOf({ origins: [refusal.origin], refusal: refusal.reason }) });
}

/** Accepts and closes. */
function closing(context: TranslateContext, side: HttpSide): Filter {
  const clusters = [{ name: BLACK_HOLE_CLUSTER, weight: 1 }];
  return tcpProxy({
    statPrefix: BLACK_HOLE_CLUSTER,
    clusters,
    logged: { config: context.mesh.config, mode: side === 'inbound' ? 'SERVER' : 'CLIENT' },
  });
}
