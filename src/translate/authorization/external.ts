/**
 * AuthorizationPolicies with action CUSTOM: an RBAC filter that only notes which rule a call matches, and behind it one that asks the authorizer about calls
 * of which a rule was noted. Where there is no authorizer to ask, the rules deny.
 */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf } from '../../api/index.ts';
import { originOf, resourceText } from '../../api/resource.ts';
import { type Filter, FilterSchema } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { RBAC_Action } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import { ExtAuthzSchema as HttpExtAuthzSchema } from '../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { ExtAuthzSchema as NetworkExtAuthzSchema } from '../../xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { externalPolicyName, policyName } from '../../xds/policy-names.ts';
import type { TranslateContext } from '../context.ts';
import { typedConfig } from '../proto.ts';
import { type Authorizer, authorizerOf } from './authorizer.ts';
import { httpRbac, networkRbac, rbacOf } from './rbac.ts';

type AuthorizationPolicy = ResourceOf<'AuthorizationPolicy'>;

export interface ExternalAuthorization {
  readonly http: readonly HttpFilter[];
  readonly network: readonly Filter[];
}

const SHADOW_PREFIX = 'istio_ext_authz_';

export function externalAuthorization(
  context: TranslateContext,
  policies: readonly AuthorizationPolicy[],
  trustDomains: readonly string[],
): ExternalAuthorization {
  const byProvider = Map.groupBy(policies, ({ spec }) => spec.provider?.name ?? '');
  const http: HttpFilter[] = [];
  const network: Filter[] = [];
  for (const [provider, own] of [...byProvider].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const authorizer =
      byProvider.size > 1
        ? `it is one of several (${[...byProvider.keys()].sort().join(', ')}) that policies of this workload name, and one is asked at most`
        : authorizerOf(context, provider);
    const asked = typeof authorizer === 'string' ? undefined : authorizer;
    if (typeof authorizer === 'string')
      report(context, own, `asks the authorizer of provider ${provider}, which can't be asked: ${authorizer}`);
    const rules = (tcp: boolean, asks: boolean) =>
      rbacOf(RBAC_Action.DENY, own, {
        trustDomains,
        tcp,
        nameOf: (namespace, name, rule) => externalPolicyName(provider, asks, policyName(namespace, name, rule)),
      });
    const noted = (tcp: boolean) => ({ shadowRules: rules(tcp, true), shadowRulesStatPrefix: SHADOW_PREFIX });
    http.push(...(asked ? [httpRbac(noted(false)), httpFilter(asked.http)] : [httpRbac({ rules: rules(false, false) })]));
    // Istio lets connections pass that an authorizer over HTTP can't be told of; what is not asked about is closed here.
    network.push(
      ...(asked?.network ? [networkRbac(noted(true)), networkFilter(asked.network)] : [networkRbac({ rules: rules(true, false) })]),
    );
  }
  return { http, network };
}

function report(context: TranslateContext, policies: readonly AuthorizationPolicy[], why: string): void {
  const { proxy } = context;
  for (const policy of policies) {
    const message = `${resourceText(policy)} ${why}. At ${proxy.namespace}/${proxy.name}, what its rules match is refused instead of running open.`;
    context.report({ code: 'SP1024', level: 'Error', message, origin: originOf(policy), position: policy.source.position() });
  }
}

function httpFilter(config: Authorizer['http']): HttpFilter {
  return create(HttpFilterSchema, { name: 'envoy.filters.http.ext_authz', configType: typedConfig(HttpExtAuthzSchema, config) });
}

function networkFilter(config: NonNullable<Authorizer['network']>): Filter {
  return create(FilterSchema, { name: 'envoy.filters.network.ext_authz', configType: typedConfig(NetworkExtAuthzSchema, config) });
}
