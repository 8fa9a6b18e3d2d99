/** The AuthorizationPolicies of a proxy as filters of Envoy: first what external authorizers are asked, then what is only logged, what denies, what allows. */
import type { ResourceOf } from '../../api/index.ts';
import type { Filter } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type RBAC, RBAC_Action } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import type { HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { TranslateContext } from '../context.ts';
import { externalAuthorization } from './external.ts';
import { httpRbac, networkRbac, type Rules, rbacOf } from './rbac.ts';
import { authorizationPolicies, isDryRun } from './selection.ts';
import { tokenFilters } from './tokens.ts';

type AuthorizationPolicy = ResourceOf<'AuthorizationPolicy'>;

/** What a proxy asks of what comes to it. */
export interface Authorization {
  /** For requests; they stand before all others. */
  readonly http: readonly HttpFilter[];
  /** For connections that are not HTTP to this proxy. */
  readonly network: readonly Filter[];
}

export const NO_AUTHORIZATION: Authorization = { http: [], network: [] };

const PARTS = [
  { of: 'AUDIT', action: RBAC_Action.LOG, prefix: '' },
  { of: 'DENY', action: RBAC_Action.DENY, prefix: 'istio_dry_run_deny_' },
  { of: 'ALLOW', action: RBAC_Action.ALLOW, prefix: 'istio_dry_run_allow_' },
] as const;

type Part = (typeof PARTS)[number];

export function authorization(context: TranslateContext): Authorization {
  const policies = authorizationPolicies(context);
  const tokens = tokenFilters(context);
  if (policies.length === 0 && tokens.length === 0) return NO_AUTHORIZATION;
  const { trustDomain, trustDomainAliases } = context.mesh.config;
  const trustDomains = [trustDomain, ...trustDomainAliases];
  const parts = PARTS.flatMap((part) => {
    const own = policies.filter(({ spec }) => spec.action === part.of);
    return own.length > 0 ? [{ part, own }] : [];
  });
  const custom = policies.filter(({ spec }) => spec.action === 'CUSTOM');
  const external = externalAuthorization(context, custom, trustDomains);
  return {
    // Claims have to be known before policies ask for them; authorizers are asked first of all, as in Istio.
    http: [...external.http, ...tokens, ...parts.map(({ part, own }) => httpRbac(rulesOf(part, own, trustDomains, false)))],
    network: [...external.network, ...parts.map(({ part, own }) => networkRbac(rulesOf(part, own, trustDomains, true)))],
  };
}

/** Without a policy in force there are no rules; rules that hold no policy deny all where they allow, and nothing where they deny. */
function rulesOf(part: Part, all: readonly AuthorizationPolicy[], trustDomains: readonly string[], tcp: boolean): Rules {
  const enforced = all.filter((each) => !isDryRun(each));
  const shadow = all.filter(isDryRun);
  const rbac = (own: readonly AuthorizationPolicy[]): RBAC | undefined =>
    own.length > 0 ? rbacOf(part.action, own, { trustDomains, tcp }) : undefined;
  return { rules: rbac(enforced), shadowRules: rbac(shadow), shadowRulesStatPrefix: shadow.length > 0 ? part.prefix : '' };
}
