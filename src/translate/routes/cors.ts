/** A VirtualService's `corsPolicy`. The filter stands in every HTTP filter chain and acts on routes that carry this configuration. */
import { create } from '@bufbuild/protobuf';
import type { CorsPolicy as Policy } from '../../api/virtual-service.ts';
import { type CorsPolicy, CorsPolicySchema } from '../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { FractionalPercent_DenominatorType } from '../../xds/gen/envoy/type/v3/percent_pb.js';
import { stringMatcher } from './match.ts';

export function corsPolicy(policy: Policy): CorsPolicy {
  return create(CorsPolicySchema, {
    allowOriginStringMatch: policy.allowOrigins.flatMap((origin) => stringMatcher(origin) ?? []),
    allowMethods: policy.allowMethods.join(','),
    allowHeaders: policy.allowHeaders.join(','),
    exposeHeaders: policy.exposeHeaders.join(','),
    maxAge: policy.maxAge === undefined ? '' : String(Math.trunc(policy.maxAge / 1000)),
    allowCredentials: policy.allowCredentials,
    forwardNotMatchingPreflights: policy.unmatchedPreflights !== 'IGNORE',
    filterEnabled: { defaultValue: { numerator: 100, denominator: FractionalPercent_DenominatorType.HUNDRED } },
  });
}
