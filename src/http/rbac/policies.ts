/** Which AuthorizationPolicies decided, from the names of the policies that a filter has. */
import { originText, type PlacedOrigin } from '../../lib/origin.ts';
import { readPolicyName } from '../../xds/policy-names.ts';
import type { RbacEngine, RbacVerdict } from './engine.ts';

/** The policy that matched, or where none did those that would have had to. Empty for policies of other control planes. */
export function policyOrigins({ policies }: Pick<RbacEngine, 'policies'>, { policy }: RbacVerdict): readonly PlacedOrigin[] {
  const origins = new Map<string, PlacedOrigin>();
  for (const each of policy === '' ? policies : [policy]) {
    const origin = readPolicyName(each)?.origin;
    if (origin) origins.set(originText(origin), origin);
  }
  return [...origins.values()];
}

/** Why a call is refused, as a clause. */
export function refusalText(engine: Pick<RbacEngine, 'policies'>, verdict: RbacVerdict): string {
  const { policy } = verdict;
  if (policy !== '') {
    const known = readPolicyName(policy);
    return `${known ? `rule ${known.rule} of ${originText(known.origin)}` : `policy ${policy}`} denies it`;
  }
  const names = policyOrigins(engine, verdict).map(originText);
  return `no policy allows it${names.length > 0 ? ` (${names.join(', ')})` : ''}`;
}
