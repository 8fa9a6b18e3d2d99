/** What applies to a call at a proxy beside where it goes: timeouts, retries, limits, faults. Stated, not simulated. Pure. */

import type { JudgedRequest } from '../http/filters/filter.ts';
import type { CompiledRoute, ForwardAction } from '../http/routes/route.ts';
import { formatDuration } from '../lib/duration.ts';
import { formatRange } from '../lib/ip.ts';
import type { CircuitBreakers_Thresholds } from '../xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.js';
import type { Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { RoutingPriority } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { HttpProtocolOptionsSchema } from '../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { durationMs } from '../xds/match/duration.ts';
import { type Reach, reachOf } from '../xds/match/reach.ts';
import type { Manager } from './manager.ts';
import { percent } from './mirrors.ts';
import type { SimulatedProxy } from './proxy.ts';

/** What a route asks for, as a sentence; undefined where it asks for nothing. */
export function routePolicies(
  route: CompiledRoute,
  { timeoutMs, idleTimeoutMs, retry }: ForwardAction,
  faults: readonly string[],
): string | undefined {
  const parts = [...faults];
  if (timeoutMs > 0) parts.push(`timeout ${formatDuration(timeoutMs)}`);
  if (idleTimeoutMs) parts.push(`idle timeout ${formatDuration(idleTimeoutMs)}`);
  if (retry && retry.retries > 0 && retry.on.size > 0) {
    const statuses = [...retry.statusCodes].sort((a, b) => a - b);
    const conditions = [...retry.on].map((condition) =>
      condition === 'retriable-status-codes' ? (statuses.length > 0 ? `status ${statuses.join(' or ')}` : undefined) : condition,
    );
    const each = retry.perTryTimeoutMs > 0 ? `, each try at most ${formatDuration(retry.perTryTimeoutMs)}` : '';
    parts.push(`up to ${count(retry.retries, 'retry', 'retries')} on ${conditions.filter((one) => one !== undefined).join(', ')}${each}`);
  }
  if (route.config?.action.case === 'route' && route.config.action.value.maxStreamDuration?.maxStreamDuration) {
    const longest = durationMs(route.config.action.value.maxStreamDuration.maxStreamDuration, 0);
    if (longest > 0) parts.push(`at most ${formatDuration(longest)} in all`);
  }
  return parts.length > 0 ? parts.join('; ') : undefined;
}

/** The faults that filters inject into a request, and the limits that they set, a clause each. */
export function faultsOf({ filters }: Manager, request: JudgedRequest): string[] {
  return filters.flatMap((filter) => {
    if (filter.router) return [];
    const { delay, answer } = filter.judge(request);
    const clauses: string[] = [];
    if (delay && delay.chance.share > 0) clauses.push(`a fault delays ${percent(delay.chance.share)} by ${formatDuration(delay.ms)}`);
    if (answer && answer.chance.share > 0) {
      const { status, grpcStatus } = answer.reply;
      clauses.push(
        `a fault answers ${percent(answer.chance.share)} with ${grpcStatus === undefined ? status : `gRPC status ${grpcStatus}`}`,
      );
    }
    const limit = filter.limit?.(request);
    if (limit !== undefined) clauses.push(`a limit ${limit}`);
    return clauses;
  });
}

const UNLIMITED = 0xffff_ffff;

/** What a cluster limits, as a sentence; undefined where it limits nothing. */
export function clusterPolicies(proxy: SimulatedProxy, cluster: Cluster): string | undefined {
  const parts: string[] = [];
  const connect = durationMs(cluster.connectTimeout, 5000);
  if (connect > 0) parts.push(`connect timeout ${formatDuration(connect)}`);
  const thresholds = cluster.circuitBreakers?.thresholds.find(({ priority }) => priority === RoutingPriority.DEFAULT);
  if (thresholds) parts.push(...limitsOf(thresholds));
  const options = cluster.typedExtensionProtocolOptions[HttpProtocolOptionsSchema.typeName];
  const http = options && proxy.unpack(options, HttpProtocolOptionsSchema, `cluster "${cluster.name}"`).commonHttpProtocolOptions;
  if (http?.maxRequestsPerConnection) parts.push(`${http.maxRequestsPerConnection} requests a connection`);
  if (http?.idleTimeout) parts.push(`connections idle for ${formatDuration(durationMs(http.idleTimeout, 0))} are closed`);
  const { outlierDetection: outliers } = cluster;
  if (outliers) {
    const failures = outliers.consecutive5xx ?? outliers.consecutiveGatewayFailure ?? 5;
    parts.push(
      `an endpoint that fails ${failures} times in a row is left out for ${formatDuration(durationMs(outliers.baseEjectionTime, 30_000))}`,
    );
  }
  const reach = reachOf(cluster.metadata);
  if (reach) parts.push(reachText(reach));
  return parts.length > 0 ? parts.join('; ') : undefined;
}

/** Simulation looks no names up; of other engines, nothing is said. */
function reachText({ ranges }: Reach): string {
  const near = ranges.map(formatRange).join(', ');
  return `the embedded data plane refuses addresses that are not public${near && `, but for ${near}`}`;
}

function limitsOf({ maxConnections, maxPendingRequests, maxRequests, maxRetries }: CircuitBreakers_Thresholds): string[] {
  const limits: readonly (readonly [number | undefined, string])[] = [
    [maxConnections, 'connections'],
    [maxPendingRequests, 'requests that wait'],
    [maxRequests, 'requests at a time'],
    [maxRetries, 'retries at a time'],
  ];
  return limits.flatMap(([limit, what]) => (limit === undefined || limit === UNLIMITED ? [] : [`at most ${limit} ${what}`]));
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}
