/** envoy.config.route.v3.RetryPolicy, compiled, with Envoy's defaults. */
import { SallyportError } from '../../lib/errors.ts';
import type { RetryPolicy as RetryPolicyConfig } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { compileHeaderMatcher } from './header.ts';
import type { RetryPolicy } from './model.ts';

const CONDITIONS: ReadonlySet<string> = new Set([
  '5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure', 'envoy-ratelimited', 'retriable-4xx', 'refused-stream',
  'retriable-status-codes', 'retriable-headers', 'http3-post-connect-failure', 'cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable',
]); // biome-ignore format: a table

const PREVIOUS_PRIORITIES = 'envoy.retry_priorities.previous_priorities';
const PREVIOUS_HOSTS = 'envoy.retry_host_predicates.previous_hosts';

/** Throws `xds-unsupported` for retry plugins that are not known. Conditions that Envoy does not know are left out, as Envoy does. */
export function compileRetryPolicy(config: RetryPolicyConfig): RetryPolicy {
  const { retryPriority } = config;
  if (retryPriority && retryPriority.name !== PREVIOUS_PRIORITIES) {
    throw new SallyportError('xds-unsupported', `retry policy: retry_priority "${retryPriority.name}" is not supported`);
  }
  const unknown = config.retryHostPredicate.find(({ name }) => name !== PREVIOUS_HOSTS);
  if (unknown) throw new SallyportError('xds-unsupported', `retry policy: the host predicate "${unknown.name}" is not supported`);
  if (config.retryOptionsPredicates.length > 0)
    throw new SallyportError('xds-unsupported', 'retry policy: retry_options_predicates are not supported');
  if (config.perTryIdleTimeout) throw new SallyportError('xds-unsupported', 'retry policy: per_try_idle_timeout is not supported');
  if (config.rateLimitedRetryBackOff)
    throw new SallyportError('xds-unsupported', 'retry policy: rate_limited_retry_back_off is not supported');
  const responses = config.retriableHeaders.map(compileHeaderMatcher);
  const requests = config.retriableRequestHeaders.map(compileHeaderMatcher);
  const baseIntervalMs = durationMs(config.retryBackOff?.baseInterval, 25);
  return {
    on: new Set(
      config.retryOn
        .split(',')
        .map((condition) => condition.trim())
        .filter((condition) => CONDITIONS.has(condition)),
    ),
    retries: config.numRetries ?? 1,
    perTryTimeoutMs: durationMs(config.perTryTimeout, 0),
    statusCodes: new Set(config.retriableStatusCodes),
    matchesResponse: (headers) => responses.some((matches) => matches({ method: '', authority: '', path: '', scheme: '', headers })),
    matchesRequest: (request) => requests.length === 0 || requests.some((matches) => matches(request)),
    baseIntervalMs,
    maxIntervalMs: durationMs(config.retryBackOff?.maxInterval, baseIntervalMs * 10),
    avoidPreviousHosts: config.retryHostPredicate.length > 0,
    avoidPreviousPriorities: retryPriority !== undefined,
    hostSelectionAttempts: Number(config.hostSelectionRetryMaxAttempts) || 1,
  };
}
