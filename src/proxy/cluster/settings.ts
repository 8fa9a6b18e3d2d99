/** What the data plane reads of a Cluster, checked: fields that it cannot honour refuse the resource. */
import { keepAliveOptions } from '../../http/h2/options.ts';
import { SallyportError } from '../../lib/errors.ts';
import { PANIC_PERCENT } from '../../xds/endpoint-health.ts';
import type { CircuitBreakers, CircuitBreakers_Thresholds } from '../../xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.js';
import {
  type Cluster,
  Cluster_ClusterProtocolSelection,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
  Cluster_DnsLookupFamily as LookupFamily,
  Cluster_RingHashLbConfig_HashFunction as RingHashFunction,
} from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { OutlierDetection } from '../../xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js';
import { RoutingPriority } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { Http1ProtocolOptions, Http2ProtocolOptions } from '../../xds/gen/envoy/config/core/v3/protocol_pb.js';
import { LeastRequestSchema } from '../../xds/gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js';
import { MaglevSchema } from '../../xds/gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.js';
import { RingHash_HashFunction, RingHashSchema } from '../../xds/gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.js';
import {
  HttpProtocolOptionsSchema,
  type HttpProtocolOptions as ProtocolOptions,
} from '../../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { OBSERVING_FILTERS } from '../../xds/observing.ts';
import { typeNameOf, unpack, unsupported } from '../../xds/unpack.ts';
import type { Family } from '../dns/resolver.ts';
import type { Cluster as ProxyCluster, ResourceLimit } from '../types.ts';
import type { Policy } from './balancer.ts';
import { maglevTable, ringTable } from './consistent-hash.ts';
import { type OutlierSettings, readOutlierDetection } from './outlier.ts';

const PROTOCOL_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const UPSTREAM_CODEC = 'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec';
const DFP_TYPE = 'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';

type Discovery = 'static' | 'eds' | 'strict-dns' | 'logical-dns' | 'original-dst' | 'dynamic-forward-proxy';

/** As Envoy's default of `max_concurrent_streams`. */
const MAX_STREAMS = 1024;

export interface ClusterSettings {
  readonly discovery: Discovery;
  readonly policy: Policy;
  readonly byLocality: boolean;
  /** `healthy_panic_threshold`. */
  readonly panicPercent: number;
  readonly outliers: OutlierSettings | undefined;
  readonly protocol: ProxyCluster['protocol'];
  readonly trailers: boolean;
  readonly maxRequestsPerConnection: number;
  readonly idleTimeoutMs: number;
  readonly http2KeepAlive: ProxyCluster['http2KeepAlive'];
  readonly http2MaxStreams: number;
  readonly connectTimeoutMs: number;
  readonly autoSni: boolean;
  readonly autoSanValidation: boolean;
  readonly limits: ProxyCluster['limits'];
  readonly lookupFamily: Family;
  /** Milliseconds between lookups of a name; the records' TTL where `respectTtl`. */
  readonly refreshMs: number;
  readonly failureRefreshMs: number;
  readonly respectTtl: boolean;
  /** Source address of connections, or undefined for the system's choice. */
  readonly bindAddress: string | undefined;
  /** Port that replaces the one of the original destination. */
  readonly portOverride: number | undefined;
  /** Idle time before TCP keep-alive probes in ms, or undefined for none. */
  readonly keepAliveMs: number | undefined;
  /** Hosts that are made on demand go after this time without use. */
  readonly cleanupMs: number;
  /** What is accepted without effect, for the log. */
  readonly ignored: readonly string[];
}

export function readSettings(config: Cluster): ClusterSettings {
  const where = `cluster "${config.name}"`;
  if (config.lbSubsetConfig && config.lbSubsetConfig.subsetSelectors.length > 0)
    unsupported(`${where}.lb_subset_config`, 'not supported; use a cluster for each subset');
  checkNetworkFilters(config, where);
  const discovery = readDiscovery(config, where);
  const original = config.lbConfig.case === 'originalDstLbConfig' ? config.lbConfig.value : undefined;
  if (original?.useHttpHeader || original?.metadataKey)
    unsupported(`${where}.original_dst_lb_config`, 'use_http_header and metadata_key are not supported');
  const options = protocolOptions(config, where);
  if (
    options?.httpFilters.some(
      (filter) => typeNameOf(filter.configType.case === 'typedConfig' ? filter.configType.value : undefined) !== UPSTREAM_CODEC,
    )
  )
    unsupported(`${where}.typed_extension_protocol_options.http_filters`, 'upstream HTTP filters are not supported');
  const common = options?.commonHttpProtocolOptions ?? config.commonHttpProtocolOptions;
  const http = options?.upstreamHttpProtocolOptions ?? config.upstreamHttpProtocolOptions;
  const http2 = http2Options(options, config);
  const refreshMs = positive(durationMs(config.dnsRefreshRate, undefined), 5000);
  const keepAlive = config.upstreamConnectionOptions?.tcpKeepalive;
  return {
    discovery,
    policy: readPolicy(config, where),
    byLocality: config.commonLbConfig?.localityConfigSpecifier.case === 'localityWeightedLbConfig',
    panicPercent: Math.min(100, config.commonLbConfig?.healthyPanicThreshold?.value ?? PANIC_PERCENT),
    outliers: config.outlierDetection && readOutlierDetection(config.outlierDetection),
    protocol: readProtocol(options, config),
    trailers: http1Options(options, config)?.enableTrailers ?? false,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? config.maxRequestsPerConnection ?? 0,
    idleTimeoutMs: durationMs(common?.idleTimeout, undefined) ?? 3_600_000,
    http2KeepAlive: keepAliveOptions(http2),
    http2MaxStreams: http2?.maxConcurrentStreams ?? MAX_STREAMS,
    connectTimeoutMs: positive(durationMs(config.connectTimeout, undefined), 5000),
    autoSni: http?.autoSni ?? false,
    autoSanValidation: http?.autoSanValidation ?? false,
    limits: readLimits(config.circuitBreakers),
    lookupFamily: FAMILIES[config.dnsLookupFamily],
    refreshMs,
    failureRefreshMs: positive(durationMs(config.dnsFailureRefreshRate?.baseInterval, undefined), refreshMs),
    respectTtl: config.respectDnsTtl,
    bindAddress: config.upstreamBindConfig?.sourceAddress?.address || undefined,
    portOverride: original?.upstreamPortOverride,
    keepAliveMs: keepAlive ? (keepAlive.keepaliveTime ?? 7200) * 1000 : undefined,
    cleanupMs: positive(durationMs(config.cleanupInterval, undefined), 5000),
    ignored: [...(config.healthChecks.length > 0 ? ['health_checks'] : []), ...ignoredOfOutliers(config.outlierDetection)],
  };
}

function ignoredOfOutliers(config: OutlierDetection | undefined): string[] {
  if (!config) return [];
  return [
    ...(config.enforcingSuccessRate === 0 ? [] : ['outlier_detection.enforcing_success_rate']),
    ...((config.enforcingFailurePercentage ?? 0) === 0 ? [] : ['outlier_detection.enforcing_failure_percentage']),
    ...(config.maxEjectionTimeJitter ? ['outlier_detection.max_ejection_time_jitter'] : []),
  ];
}

const FAMILIES: Readonly<Record<LookupFamily, Family>> = {
  [LookupFamily.AUTO]: 'v6-preferred',
  [LookupFamily.V4_ONLY]: 'v4',
  [LookupFamily.V6_ONLY]: 'v6',
  [LookupFamily.V4_PREFERRED]: 'v4-preferred',
  [LookupFamily.ALL]: 'all',
};

function positive(value: number | undefined, fallback: number): number {
  return value !== undefined && value > 0 ? value : fallback;
}

function checkNetworkFilters({ filters }: Cluster, where: string): void {
  for (const [index, { name, typedConfig }] of filters.entries()) {
    const type = typeNameOf(typedConfig);
    if (OBSERVING_FILTERS.has(type)) continue;
    unsupported(`${where}.filters[${index}] "${name}"`, `upstream network filters are not supported (${type || 'without typed_config'})`);
  }
}

function readDiscovery(config: Cluster, where: string): Discovery {
  const type = config.clusterDiscoveryType;
  if (type.case === 'clusterType') {
    if (typeNameOf(type.value.typedConfig) === DFP_TYPE) return 'dynamic-forward-proxy';
    return unsupported(`${where}.cluster_type`, `the cluster type "${type.value.name}" is not supported`);
  }
  switch (type.value ?? DiscoveryType.STATIC) {
    case DiscoveryType.STATIC:
      return 'static';
    case DiscoveryType.EDS:
      return 'eds';
    case DiscoveryType.STRICT_DNS:
      return 'strict-dns';
    case DiscoveryType.LOGICAL_DNS:
      return 'logical-dns';
    case DiscoveryType.ORIGINAL_DST:
      return 'original-dst';
    default:
      throw new SallyportError('xds-invalid', `${where}.type: unknown discovery type ${type.value}`);
  }
}

function readPolicy(config: Cluster, where: string): Policy {
  const extension = config.loadBalancingPolicy?.policies[0]?.typedExtensionConfig;
  if (extension) {
    const name = typeNameOf(extension.typedConfig).split('.').at(-1);
    if (name === 'RoundRobin') return { kind: 'round-robin' };
    if (name === 'Random') return { kind: 'random' };
    if (name === 'RingHash') {
      const config = unpack(extension.typedConfig, RingHashSchema, `${where}.load_balancing_policy`);
      return ring(config, config.hashFunction === RingHash_HashFunction.MURMUR_HASH_2, where);
    }
    if (name === 'Maglev') return maglev(unpack(extension.typedConfig, MaglevSchema, `${where}.load_balancing_policy`).tableSize);
    if (name === 'LeastRequest')
      return leastRequest(unpack(extension.typedConfig, LeastRequestSchema, `${where}.load_balancing_policy`).choiceCount);
    return unsupported(`${where}.load_balancing_policy`, `"${extension.name}" is not supported`);
  }
  switch (config.lbPolicy) {
    case LbPolicy.LEAST_REQUEST:
      return leastRequest(config.lbConfig.case === 'leastRequestLbConfig' ? config.lbConfig.value.choiceCount : undefined);
    case LbPolicy.RANDOM:
      return { kind: 'random' };
    case LbPolicy.RING_HASH:
      return config.lbConfig.case === 'ringHashLbConfig'
        ? ring(config.lbConfig.value, config.lbConfig.value.hashFunction === RingHashFunction.MURMUR_HASH_2, where)
        : ring({}, false, where);
    case LbPolicy.MAGLEV:
      return maglev(config.lbConfig.case === 'maglevLbConfig' ? config.lbConfig.value.tableSize : undefined);
    default:
      return { kind: 'round-robin' };
  }
}

/** Above this a ring takes so long to make that requests would wait: it gets so many positions at most. */
const LARGEST_RING = 100_000;

function ring(config: { minimumRingSize?: bigint; maximumRingSize?: bigint }, murmur: boolean, where: string): Policy {
  if (murmur) return unsupported(where, 'a ring hash of MURMUR_HASH_2 is not supported: use XX_HASH');
  const minimum = Number(config.minimumRingSize ?? 1024n);
  const maximum = Math.min(Number(config.maximumRingSize ?? LARGEST_RING), LARGEST_RING);
  return { kind: 'hash', tableOf: (shares) => ringTable(shares, minimum, maximum) };
}

function maglev(tableSize: bigint | undefined): Policy {
  return { kind: 'hash', tableOf: (shares) => maglevTable(shares, Number(tableSize ?? 65_537n)) };
}

function leastRequest(choices: number | undefined): Policy {
  return { kind: 'least-request', choices: Math.max(2, choices ?? 2) };
}

function protocolOptions(config: Cluster, where: string): ProtocolOptions | undefined {
  const any = config.typedExtensionProtocolOptions[PROTOCOL_OPTIONS];
  return any && unpack(any, HttpProtocolOptionsSchema, `${where}.typed_extension_protocol_options`);
}

function readProtocol(options: ProtocolOptions | undefined, config: Cluster): ProxyCluster['protocol'] {
  if (!options) return protocolOfFields(config);
  const upstream = options?.upstreamProtocolOptions;
  switch (upstream?.case) {
    case 'useDownstreamProtocolConfig':
      return 'downstream';
    case 'autoConfig':
      return 'alpn';
    case 'explicitHttpConfig':
      return upstream.value.protocolConfig.case === 'http2ProtocolOptions' ? 'http2' : 'http1';
    default:
      return 'http1';
  }
}

/** The fields that upstream options have taken the place of. */
function protocolOfFields({ protocolSelection, http2ProtocolOptions }: Cluster): ProxyCluster['protocol'] {
  if (protocolSelection === Cluster_ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL) return 'downstream';
  return http2ProtocolOptions ? 'http2' : 'http1';
}

function http1Options(options: ProtocolOptions | undefined, config: Cluster): Http1ProtocolOptions | undefined {
  const upstream = options?.upstreamProtocolOptions;
  switch (upstream?.case) {
    case 'explicitHttpConfig':
      return upstream.value.protocolConfig.case === 'httpProtocolOptions' ? upstream.value.protocolConfig.value : undefined;
    case 'useDownstreamProtocolConfig':
    case 'autoConfig':
      return upstream.value.httpProtocolOptions;
    default:
      return config.httpProtocolOptions;
  }
}

function http2Options(options: ProtocolOptions | undefined, config: Cluster): Http2ProtocolOptions | undefined {
  const upstream = options?.upstreamProtocolOptions;
  switch (upstream?.case) {
    case 'explicitHttpConfig':
      return upstream.value.protocolConfig.case === 'http2ProtocolOptions' ? upstream.value.protocolConfig.value : undefined;
    case 'useDownstreamProtocolConfig':
    case 'autoConfig':
      return upstream.value.http2ProtocolOptions;
    default:
      return config.http2ProtocolOptions;
  }
}

function readLimits(breakers: CircuitBreakers | undefined): ProxyCluster['limits'] {
  const found: CircuitBreakers_Thresholds | undefined = breakers?.thresholds.find(({ priority }) => priority === RoutingPriority.DEFAULT);
  const limit = (value: number | undefined, fallback: number): ResourceLimit => ({ max: value ?? fallback, used: 0 });
  return {
    connections: limit(found?.maxConnections, 1024),
    pending: limit(found?.maxPendingRequests, 1024),
    requests: limit(found?.maxRequests, 1024),
    retries: limit(found?.maxRetries, 3),
  };
}
