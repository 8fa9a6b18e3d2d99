/** Allows and denies connections by policies (`envoy.filters.network.rbac`). */
import type { RBAC } from '../../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import { compileRbac, type RbacEngine, type RbacVerdict } from './engine.ts';
import type { JudgedConnection, OpenCall } from './subject.ts';

export interface NetworkRbac {
  /** Undefined for a filter whose verdicts are only noted. */
  readonly engine: RbacEngine | undefined;
  judge(connection: JudgedConnection, open?: OpenCall): { readonly verdict: RbacVerdict | undefined };
}

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function compileNetworkRbac({ rules, shadowRules, matcher, shadowMatcher }: RBAC, where: string): NetworkRbac {
  if (matcher || shadowMatcher) unsupported(`${where}.matcher`, 'match trees are not supported; use rules');
  const engine = rules && compileRbac(rules, where);
  // What Envoy refuses is refused here, though nobody reads the verdict.
  if (shadowRules) compileRbac(shadowRules, where);
  return {
    engine,
    judge: (connection, open) => ({ verdict: engine?.judge({ connection, head: undefined, metadata: undefined, open }) }),
  };
}
