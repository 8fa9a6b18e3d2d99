/** Rules of several AuthorizationPolicies as one RBAC filter. */
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
import { typedConfig } from '../proto.ts';
import { neverPolicy, type RuleContext, rbacPolicy } from './rule.ts';

/** In place of some rules none: without any, a filter decides nothing. */
export interface Rules {
  readonly rules?: RBAC | undefined;
  readonly shadowRules?: RBAC | undefined;
  readonly shadowRulesStatPrefix?: string;
}

export interface RbacOptions extends Pick<RuleContext, 'trustDomains' | 'tcp'> {
  /** What Envoy is to call a rule; Istio's name unless said otherwise. */
  readonly nameOf?: (namespace: string, name: string, rule: number) => string;
}

export function rbacOf(
  action: RBAC_Action,
  all: readonly ResourceOf<'AuthorizationPolicy'>[],
  { trustDomains, tcp, nameOf = policyName }: RbacOptions,
): RBAC {
  const policies: Record<string, Policy> = {};
  for (const { metadata, spec } of all) {
    const { namespace, name } = metadata;
    const context = { namespace, trustDomains, tcp, widens: action !== RBAC_Action.ALLOW };
    if (spec.rules.length === 0) policies[nameOf(namespace, name, 0)] = neverPolicy();
    for (const [index, rule] of spec.rules.entries()) {
      const policy = rbacPolicy(rule, context);
      if (policy) policies[nameOf(namespace, name, index)] = policy;
    }
  }
  return create(RBACSchema, { action, policies });
}

export function httpRbac(rules: Rules): HttpFilter {
  return create(HttpFilterSchema, { name: 'envoy.filters.http.rbac', configType: typedConfig(HttpRBACSchema, rules) });
}

export function networkRbac(rules: Rules): Filter {
  const config = { ...rules, statPrefix: 'tcp.' };
  return create(FilterSchema, { name: 'envoy.filters.network.rbac', configType: typedConfig(NetworkRBACSchema, config) });
}
