/** The AuthorizationPolicies of a proxy as RBAC filters of Envoy: first what is only logged, then what denies, then what allows. */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf } from '../../api/index.ts';
import { type Filter, FilterSchema } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Policy, type RBAC, RBAC_Action, RBACSchema } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import { RBACSchema as HttpRBACSchema } from '../../xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema as NetworkRBACSchema } from '../../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { policyName } from '../../xds/policy-names.ts';
import type { TranslateContext } from '../context.ts';
import { typedConfig } from '../proto.ts';
import { neverPolicy, rbacPolicy } from './rule.ts';
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

/** Policies with action CUSTOM are none of its concern. */
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
  return {
    // Claims have to be known before policies ask for them.
    http: [...tokens, ...parts.map(({ part, own }) => httpFilter(rulesOf(part, own, trustDomains, false)))],
    network: parts.map(({ part, own }) => networkFilter(rulesOf(part, own, trustDomains, true))),
  };
}

interface Rules {
  readonly rules: RBAC | undefined;
  readonly shadowRules: RBAC | undefined;
  readonly shadowRulesStatPrefix: string;
}

/** Without a policy in force there are no rules; rules that hold no policy deny all where they allow, and nothing where they deny. */
function rulesOf(part: Part, all: readonly AuthorizationPolicy[], trustDomains: readonly string[], tcp: boolean): Rules {
  const enforced = all.filter((each) => !isDryRun(each));
  const shadow = all.filter(isDryRun);
  const rbac = (own: readonly AuthorizationPolicy[]) => (own.length > 0 ? rbacOf(part, own, trustDomains, tcp) : undefined);
  return { rules: rbac(enforced), shadowRules: rbac(shadow), shadowRulesStatPrefix: shadow.length > 0 ? part.prefix : '' };
}

function rbacOf({ action }: Part, all: readonly AuthorizationPolicy[], trustDomains: readonly string[], tcp: boolean): RBAC {
  const policies: Record<string, Policy> = {};
  for (const { metadata, spec } of all) {
    const { namespace, name } = metadata;
    const context = { namespace, trustDomains, tcp, widens: action !== RBAC_Action.ALLOW };
    if (spec.rules.length === 0) policies[policyName(namespace, name, 0)] = neverPolicy();
    for (const [index, rule] of spec.rules.entries()) {
      const policy = rbacPolicy(rule, context);
      if (policy) policies[policyName(namespace, name, index)] = policy;
    }
  }
  return create(RBACSchema, { action, policies });
}

function httpFilter(rules: Rules): HttpFilter {
  return create(HttpFilterSchema, { name: 'envoy.filters.http.rbac', configType: typedConfig(HttpRBACSchema, rules) });
}

function networkFilter(rules: Rules): Filter {
  const config = { ...rules, statPrefix: 'tcp.' };
  return create(FilterSchema, { name: 'envoy.filters.network.rbac', configType: typedConfig(NetworkRBACSchema, config) });
}
