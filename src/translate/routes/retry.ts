/** Retries: Istio's default policy, and what a VirtualService or the mesh puts in its place. */
import { create } from '@bufbuild/protobuf';
import type { HttpRetry } from '../../api/virtual-service.ts';
import { type RetryPolicy, RetryPolicySchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { PreviousHostsPredicateSchema } from '../../xds/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js';
import { PreviousPrioritiesConfigSchema } from '../../xds/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js';
import { toDuration, typedConfig } from '../proto.ts';

const DEFAULT_RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';
const DEFAULT_RETRIES = 2;

/**
 * Undefined where retries are switched off (`attempts: 0`). With consistent hashing a retry goes to the same host again, so that hosts
 * that were tried are not avoided.
 */
export function retryPolicy(retry: HttpRetry | undefined, consistentHash: boolean): RetryPolicy | undefined {
  if (retry && retry.attempts <= 0) return undefined;
  const { conditions, statusCodes } = retryOn(retry?.retryOn);
  const policy = create(RetryPolicySchema, {
    retryOn: conditions,
    retriableStatusCodes: statusCodes,
    numRetries: retry?.attempts ?? DEFAULT_RETRIES,
    hostSelectionRetryMaxAttempts: 5n,
    perTryTimeout: retry?.perTryTimeout === undefined ? undefined : toDuration(retry.perTryTimeout),
    retryBackOff: retry?.backoff === undefined ? undefined : { baseInterval: toDuration(retry.backoff) },
  });
  if (retry?.retryIgnorePreviousHosts ?? !consistentHash) {
    policy.retryHostPredicate = [
      {
        $typeName: 'envoy.config.route.v3.RetryPolicy.RetryHostPredicate',
        name: 'envoy.retry_host_predicates.previous_hosts',
        configType: typedConfig(PreviousHostsPredicateSchema, {}),
      },
    ];
  }
  if (retry?.retryRemoteLocalities) {
    policy.retryPriority = {
      $typeName: 'envoy.config.route.v3.RetryPolicy.RetryPriority',
      name: 'envoy.retry_priorities.previous_priorities',
      configType: typedConfig(PreviousPrioritiesConfigSchema, { updateFrequency: 2 }),
    };
  }
  return policy;
}

/** Istio lets status codes stand among Envoy's conditions. */
function retryOn(text: string | undefined): { conditions: string; statusCodes: number[] } {
  if (!text) return { conditions: DEFAULT_RETRY_ON, statusCodes: [] };
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  const statusCodes = parts.filter((part) => /^[1-5]\d\d$/.test(part)).map(Number);
  const conditions = parts.filter((part) => !/^[1-5]\d\d$/.test(part));
  if (statusCodes.length > 0 && !conditions.includes('retriable-status-codes')) conditions.push('retriable-status-codes');
  return { conditions: conditions.join(','), statusCodes };
}
