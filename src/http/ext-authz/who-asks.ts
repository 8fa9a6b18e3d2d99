/** What simulation says where an authorizer would be asked. */
import { originText } from '../../lib/origin.ts';
import type { MetadataMatcher } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.js';
import { readPolicyName } from '../../xds/policy-names.ts';
import type { Undecided } from '../filters/filter.ts';
import type { DynamicMetadata } from '../rbac/subject.ts';
import { metadataValue } from '../rbac/value.ts';

/** Names the policy that has the authorizer asked, where one was noted. */
export function whoAsks(matcher: MetadataMatcher | undefined, metadata: DynamicMetadata | undefined, cluster: string): Undecided {
  const noted = matcher && metadataValue(matcher, metadata);
  const policy = typeof noted === 'string' ? readPolicyName(noted) : undefined;
  if (!policy) return { why: `an external authorizer (${cluster}) is asked, and what it answers is not known here` };
  const { origin, rule, provider } = policy;
  return {
    why: `rule ${rule} of ${originText(origin)} has the authorizer of provider ${provider} asked (${cluster}), and what it answers is not known here`,
    origins: [origin],
  };
}
