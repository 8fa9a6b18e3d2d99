/** The settings of a DestinationRule as a cluster has them. */
import { create } from '@bufbuild/protobuf';
import type { ConnectionPoolSettings, LoadBalancerSettings, MeshConfig, OutlierDetection, TrafficPolicy } from '../api/index.ts';
import type { Protocol } from '../registry/model.ts';
import { isHttp } from '../registry/protocol.ts';
import {
  type CircuitBreakers,
  CircuitBreakers_Thresholds_RetryBudgetSchema,
  CircuitBreakersSchema,
} from '../xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.js';
import {
  type Cluster,
  Cluster_CommonLbConfigSchema,
  Cluster_LbPolicy,
  Cluster_SlowStartConfigSchema,
  UpstreamConnectionOptionsSchema,
} from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { OutlierDetectionSchema } from '../xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js';
import { HttpProtocolOptionsSchema as CommonHttpOptionsSchema } from '../xds/gen/envoy/config/core/v3/protocol_pb.js';
import {
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
} from '../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import type { Percent } from '../xds/gen/envoy/type/v3/percent_pb.js';
import { packed, toDuration } from './proto.ts';

const UNLIMITED = 0xffff_ffff;
const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** A cluster in the making: its HTTP options are packed last, because several settings add to them. */
export interface ClusterDraft {
  readonly cluster: Cluster;
  http: HttpProtocolOptions | undefined;
}

export function httpOptions(draft: ClusterDraft): HttpProtocolOptions {
  draft.http ??= create(HttpProtocolOptionsSchema);
  return draft.http;
}

/** Packs the HTTP options. Envoy demands a choice of protocol where there are any: HTTP/1.1 unless one was made. */
export function finish({ cluster, http }: ClusterDraft): Cluster {
  // V8 keeps an object that was filled field by field as a hash table, three times the size of a copy.
  if (!http) return { ...cluster };
  if (http.upstreamProtocolOptions.case === undefined) {
    http.upstreamProtocolOptions = create(HttpProtocolOptionsSchema, {
      upstreamProtocolOptions: { case: 'explicitHttpConfig', value: { protocolConfig: { case: 'httpProtocolOptions', value: {} } } },
    }).upstreamProtocolOptions;
  }
  return { ...cluster, typedExtensionProtocolOptions: { [HTTP_OPTIONS]: packed(HttpProtocolOptionsSchema, http) } };
}

export function useHttp2(draft: ClusterDraft): void {
  httpOptions(draft).upstreamProtocolOptions = create(HttpProtocolOptionsSchema, {
    upstreamProtocolOptions: { case: 'explicitHttpConfig', value: { protocolConfig: { case: 'http2ProtocolOptions', value: {} } } },
  }).upstreamProtocolOptions;
}

export function isHttp2Draft({ http }: ClusterDraft): boolean {
  const options = http?.upstreamProtocolOptions;
  return options?.case === 'explicitHttpConfig' && options.value.protocolConfig.case === 'http2ProtocolOptions';
}

/** HTTP/2 to the upstream for an HTTP/2 request, else HTTP/1.1. */
export function useClientProtocol(draft: ClusterDraft): void {
  httpOptions(draft).upstreamProtocolOptions = create(HttpProtocolOptionsSchema, {
    upstreamProtocolOptions: { case: 'useDownstreamProtocolConfig', value: { httpProtocolOptions: {}, http2ProtocolOptions: {} } },
  }).upstreamProtocolOptions;
}

/** HTTP/2 or HTTP/1.1 to the upstream, as TLS with it negotiates. */
export function negotiateProtocol(draft: ClusterDraft): void {
  httpOptions(draft).upstreamProtocolOptions = create(HttpProtocolOptionsSchema, {
    upstreamProtocolOptions: { case: 'autoConfig', value: { httpProtocolOptions: {}, http2ProtocolOptions: {} } },
  }).upstreamProtocolOptions;
}

/** Limits, timeouts and keep-alive. Without settings nothing is limited: Envoy's own defaults of 1024 are not Istio's. */
export function applyConnectionPool(draft: ClusterDraft, pool: ConnectionPoolSettings | undefined, mesh: MeshConfig): void {
  const { cluster } = draft;
  const { tcp, http } = pool ?? {};
  cluster.connectTimeout = toDuration(tcp?.connectTimeout ?? mesh.connectTimeout);
  cluster.circuitBreakers = pool ? circuitBreakers(pool) : NO_LIMITS;
  if (tcp?.tcpKeepalive || mesh.tcpKeepalive) {
    // What the rule leaves out is the mesh's.
    const probes = tcp?.tcpKeepalive?.probes || mesh.tcpKeepalive?.probes;
    const time = tcp?.tcpKeepalive?.time || mesh.tcpKeepalive?.time;
    const interval = tcp?.tcpKeepalive?.interval || mesh.tcpKeepalive?.interval;
    cluster.upstreamConnectionOptions = create(UpstreamConnectionOptionsSchema, {
      tcpKeepalive: {
        ...(probes ? { keepaliveProbes: probes } : {}),
        ...(time ? { keepaliveTime: Math.round(time / 1000) } : {}),
        ...(interval ? { keepaliveInterval: Math.round(interval / 1000) } : {}),
      },
    });
  }
  const idleTimeout = http?.idleTimeout ?? tcp?.idleTimeout;
  if (idleTimeout !== undefined || tcp?.maxConnectionDuration || positive(http?.maxRequestsPerConnection)) {
    httpOptions(draft).commonHttpProtocolOptions = create(CommonHttpOptionsSchema, {
      ...(idleTimeout !== undefined ? { idleTimeout: toDuration(idleTimeout) } : {}),
      ...(tcp?.maxConnectionDuration ? { maxConnectionDuration: toDuration(tcp.maxConnectionDuration) } : {}),
      ...(positive(http?.maxRequestsPerConnection) ? { maxRequestsPerConnection: http.maxRequestsPerConnection } : {}),
    });
  }
  if (http?.useClientProtocol) useClientProtocol(draft);
}

/** Makes HTTP/1.1 ports HTTP/2 where the rule, or the mesh for ports that are declared as HTTP, asks for it; not where the client's version is kept. */
export function applyH2Upgrade(draft: ClusterDraft, pool: ConnectionPoolSettings | undefined, protocol: Protocol, mesh: MeshConfig): void {
  if (draft.http?.upstreamProtocolOptions.case === 'useDownstreamProtocolConfig') return;
  const policy = pool?.http?.h2UpgradePolicy ?? 'DEFAULT';
  if (policy === 'UPGRADE' || (policy === 'DEFAULT' && isHttp(protocol) && mesh.h2UpgradePolicy === 'UPGRADE')) useHttp2(draft);
}

/** Retries that may run at a time, as a share of the running requests, in place of a fixed number. */
export function applyRetryBudget(cluster: Cluster, budget: TrafficPolicy['retryBudget']): void {
  const [limits] = cluster.circuitBreakers?.thresholds ?? [];
  if (!budget || !limits) return;
  const retryBudget = create(CircuitBreakers_Thresholds_RetryBudgetSchema, {
    ...(budget.percent !== undefined ? { budgetPercent: { value: budget.percent } } : {}),
    ...(positive(budget.minRetryConcurrency) ? { minRetryConcurrency: budget.minRetryConcurrency } : {}),
  });
  // The limits may be those that clusters share.
  cluster.circuitBreakers = create(CircuitBreakersSchema, { thresholds: [{ ...limits, retryBudget }] });
}

/** HTTP/2 settings that only an HTTP/2 cluster has. */
export function applyHttp2Settings(draft: ClusterDraft, pool: ConnectionPoolSettings | undefined): void {
  const options = draft.http?.upstreamProtocolOptions;
  if (options?.case !== 'explicitHttpConfig' || options.value.protocolConfig.case !== 'http2ProtocolOptions') return;
  const http2 = options.value.protocolConfig.value;
  if (positive(pool?.http?.maxConcurrentStreams)) http2.maxConcurrentStreams = pool.http.maxConcurrentStreams;
  const keepalive = pool?.http?.http2KeepAlive;
  if (!keepalive) return;
  http2.connectionKeepalive = {
    $typeName: 'envoy.config.core.v3.KeepaliveSettings',
    ...(keepalive.interval ? { interval: toDuration(keepalive.interval) } : {}),
    ...(keepalive.timeout ? { timeout: toDuration(keepalive.timeout) } : {}),
  };
}

function circuitBreakers(pool: ConnectionPoolSettings | undefined): CircuitBreakers {
  const limit = (value: number | undefined) => (positive(value) ? value : UNLIMITED);
  return create(CircuitBreakersSchema, {
    thresholds: [
      {
        maxConnections: limit(pool?.tcp?.maxConnections),
        maxPendingRequests: limit(pool?.http?.http1MaxPendingRequests),
        maxRequests: limit(pool?.http?.http2MaxRequests),
        maxRetries: limit(pool?.http?.maxRetries),
        trackRemaining: true,
      },
    ],
  });
}

/** Success rates are not looked at, as in Istio. */
export function applyOutlierDetection(cluster: Cluster, settings: OutlierDetection | undefined): void {
  if (!settings) return;
  const { consecutive5xxErrors, consecutiveGatewayErrors, consecutiveLocalOriginFailures } = settings;
  const enforcing = (count: number) => (count > 0 ? 100 : 0);
  cluster.outlierDetection = create(OutlierDetectionSchema, {
    enforcingSuccessRate: 0,
    ...(consecutive5xxErrors !== undefined
      ? { consecutive5xx: consecutive5xxErrors, enforcingConsecutive5xx: enforcing(consecutive5xxErrors) }
      : {}),
    ...(consecutiveGatewayErrors !== undefined
      ? { consecutiveGatewayFailure: consecutiveGatewayErrors, enforcingConsecutiveGatewayFailure: enforcing(consecutiveGatewayErrors) }
      : {}),
    ...(settings.interval !== undefined ? { interval: toDuration(settings.interval) } : {}),
    ...(settings.baseEjectionTime !== undefined ? { baseEjectionTime: toDuration(settings.baseEjectionTime) } : {}),
    ...(positive(settings.maxEjectionPercent) ? { maxEjectionPercent: settings.maxEjectionPercent } : {}),
    ...(settings.splitExternalLocalOriginErrors ? { splitExternalLocalOriginErrors: true, enforcingLocalOriginSuccessRate: 0 } : {}),
    ...(settings.splitExternalLocalOriginErrors && positive(consecutiveLocalOriginFailures)
      ? { consecutiveLocalOriginFailure: consecutiveLocalOriginFailures, enforcingConsecutiveLocalOriginFailure: 100 }
      : {}),
  });
  commonLbConfig(cluster).healthyPanicThreshold = percent(Math.max(0, settings.minHealthPercent ?? 0));
}

function percent(value: number): Percent {
  return { $typeName: 'envoy.type.v3.Percent', value };
}

/** Envoy's own threshold is a half: with fewer healthy endpoints it sends requests to the others, too. */
const NO_PANIC = percent(0);

export function commonLbConfig(cluster: Cluster): NonNullable<Cluster['commonLbConfig']> {
  cluster.commonLbConfig ??= create(Cluster_CommonLbConfigSchema);
  return cluster.commonLbConfig;
}

/** Least request unless the rule says otherwise, and unhealthy endpoints get nothing unless it detects outliers and wants so many healthy. The caller deals with PASSTHROUGH, which is no policy but a kind of cluster. */
export function applyLoadBalancer(cluster: Cluster, settings: LoadBalancerSettings | undefined): void {
  commonLbConfig(cluster).healthyPanicThreshold ??= NO_PANIC;
  cluster.lbPolicy = Cluster_LbPolicy.LEAST_REQUEST;
  const slowStartConfig = settings?.warmup ? slowStart(settings.warmup) : undefined;
  if (settings?.simple === 'RANDOM') cluster.lbPolicy = Cluster_LbPolicy.RANDOM;
  else if (settings?.simple === 'ROUND_ROBIN') {
    cluster.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
    if (slowStartConfig)
      cluster.lbConfig = {
        case: 'roundRobinLbConfig',
        value: { $typeName: 'envoy.config.cluster.v3.Cluster.RoundRobinLbConfig', slowStartConfig },
      };
  } else if (slowStartConfig) {
    cluster.lbConfig = {
      case: 'leastRequestLbConfig',
      value: { $typeName: 'envoy.config.cluster.v3.Cluster.LeastRequestLbConfig', slowStartConfig },
    };
  }
  const hash = settings?.consistentHash;
  if (!hash) return;
  if (hash.maglev) {
    cluster.lbPolicy = Cluster_LbPolicy.MAGLEV;
    const { tableSize } = hash.maglev;
    cluster.lbConfig = tableSize
      ? { case: 'maglevLbConfig', value: { $typeName: 'envoy.config.cluster.v3.Cluster.MaglevLbConfig', tableSize: BigInt(tableSize) } }
      : { case: undefined };
    return;
  }
  cluster.lbPolicy = Cluster_LbPolicy.RING_HASH;
  const minimumRingSize = BigInt(hash.ringHash?.minimumRingSize || 1024);
  cluster.lbConfig = {
    case: 'ringHashLbConfig',
    value: { $typeName: 'envoy.config.cluster.v3.Cluster.RingHashLbConfig', minimumRingSize, hashFunction: 0 },
  };
}

function slowStart(
  warmup: NonNullable<LoadBalancerSettings['warmup']>,
): NonNullable<ReturnType<typeof create<typeof Cluster_SlowStartConfigSchema>>> {
  return create(Cluster_SlowStartConfigSchema, {
    slowStartWindow: toDuration(warmup.duration),
    ...(warmup.aggression !== undefined ? { aggression: { defaultValue: warmup.aggression } } : {}),
    ...(warmup.minimumPercent !== undefined ? { minWeightPercent: { value: warmup.minimumPercent } } : {}),
  });
}

/** 0 and negative numbers stand for "not set" in these settings. */
function positive(value: number | undefined): value is number {
  return value !== undefined && value > 0;
}

/** Shared by all clusters without settings, which are most. */
const NO_LIMITS = circuitBreakers(undefined);
