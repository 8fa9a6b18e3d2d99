/** Allows and denies connections by policies (`envoy.filters.network.rbac`). */
import type { RBAC } from '../../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import { compileRbac, type RbacEngine, type RbacVerdict } from './engine.ts';
import type { DynamicMetadata, JudgedConnection, OpenCall } from './subject.ts';

/** Where shadow rules note which policy matches, whatever the filter is called. */
const NAMESPACE = 'envoy.filters.network.rbac';

export interface NetworkRbac {
  /** Undefined for a filter whose verdicts are only noted. */
  readonly engine: RbacEngine | undefined;
  judge(
    connection: JudgedConnection,
    open?: OpenCall,
  ): {
    readonly verdict: RbacVerdict | undefined;
    /** What shadow rules note. Of a connection that stands for others: a policy that any of them may match. */
    readonly metadata: DynamicMetadata | undefined;
  };
}

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function compileNetworkRbac(config: RBAC, where: string): NetworkRbac {
  const { rules, shadowRules, matcher, shadowMatcher, shadowRulesStatPrefix } = config;
  if (matcher || shadowMatcher) unsupported(`${where}.matcher`, 'match trees are not supported; use rules');
  const engine = rules && compileRbac(rules, where);
  const shadow = shadowRules && compileRbac(shadowRules, where);
  return {
    engine,
    judge(connection, open) {
      const subject = { connection, head: undefined, metadata: undefined, open };
      const noted = shadow?.judge(subject).policy ?? '';
      const metadata = noted === '' ? undefined : { [NAMESPACE]: { [`${shadowRulesStatPrefix}shadow_effective_policy_id`]: noted } };
      return { verdict: engine?.judge(subject), metadata };
    },
  };
}
