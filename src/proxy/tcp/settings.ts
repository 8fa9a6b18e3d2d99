/** What a TCP proxy's configuration asks for, and what it needs of the data plane. */

import type { FormatContext } from '../../http/format/operator.ts';
import type { TcpProxy as TcpProxyConfig } from '../../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import type { HashPolicy } from '../../xds/gen/envoy/type/v3/hash_policy_pb.js';
import type { Binding } from '../../xds/match/binding.ts';
import { durationMs } from '../../xds/match/duration.ts';
import { tcpClusters } from '../../xds/match/tcp-clusters.ts';
import { unsupported } from '../../xds/unpack.ts';
import { readTunnel, type TunnelRequestOf } from '../tunnel/settings.ts';
import type { ClusterManager, ConnectionHandler, Downstream, RecordSink } from '../types.ts';

export interface TcpProxyDeps {
  readonly clusters: ClusterManager;
  readonly sink: RecordSink;
  /** In [0, 1). */
  readonly random: () => number;
  /** Milliseconds: monotonic, and since the epoch. */
  readonly now: () => number;
  readonly date: () => number;
  /** For the host and the fields of tunnels. */
  readonly format: FormatContext;
  /** All that are open. */
  readonly open: Set<OpenConnection>;
}

export interface OpenConnection {
  readonly downstream: Downstream;
  /** That carries it. */
  readonly handler: ConnectionHandler;
  /** Closes both sides now. `details`: of its termination. */
  end(details: string): void;
}

/** What other network filters of the chain ask of it. */
export interface TcpProxyOverrides {
  /** `sni_cluster`: the server name is the cluster's name. */
  readonly sniCluster: boolean;
  /** `sni_dynamic_forward_proxy`: the server name is resolved, with this port. */
  readonly sniForwardPort: number | undefined;
  /** What the filter chain is bound to; undefined: what its cluster is. */
  readonly binding: Binding | undefined;
}

export interface TcpSettings {
  /** 0 for none. */
  readonly idleTimeoutMs: number;
  readonly maxDurationMs: number | undefined;
  readonly maxAttempts: number;
  /** Hash over the client's address, for consistent hashing. */
  readonly hashSource: boolean;
  readonly overrides: TcpProxyOverrides;
  /** The cluster is one of forward proxies, and each connection goes on through one of them. */
  readonly tunnel: TunnelRequestOf | undefined;
  cluster(downstream: Downstream): string;
  /** Those among which `cluster` chooses. */
  clusters(downstream: Downstream): readonly string[];
}

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function readTcpSettings(
  config: TcpProxyConfig,
  overrides: TcpProxyOverrides,
  { random, format }: Pick<TcpProxyDeps, 'random' | 'format'>,
  where: string,
): TcpSettings {
  if (config.onDemand) unsupported(`${where}.on_demand`, 'not supported');
  if (config.metadataMatch) unsupported(`${where}.metadata_match`, 'not supported; use a cluster for each subset');
  return {
    idleTimeoutMs: durationMs(config.idleTimeout, undefined) ?? 3_600_000,
    maxDurationMs: durationMs(config.maxDownstreamConnectionDuration, undefined),
    maxAttempts: Math.max(1, config.maxConnectAttempts ?? 1),
    hashSource: config.hashPolicy.some(isSourceIp),
    overrides,
    tunnel: config.tunnelingConfig && readTunnel(config.tunnelingConfig, format, `${where}.tunneling_config`),
    cluster: clusterChoice(config, overrides, random, where),
    clusters: ({ serverName }) =>
      overrides.sniCluster && serverName !== '' ? [serverName] : tcpClusters(config, where).map(({ name }) => name),
  };
}

function isSourceIp(policy: HashPolicy): boolean {
  return policy.policySpecifier.case === 'sourceIp';
}

function clusterChoice(config: TcpProxyConfig, overrides: TcpProxyOverrides, random: () => number, where: string): TcpSettings['cluster'] {
  const configured = configuredCluster(config, random, where);
  return overrides.sniCluster ? ({ serverName }) => serverName || configured() : configured;
}

function configuredCluster(config: TcpProxyConfig, random: () => number, where: string): () => string {
  const { clusterSpecifier } = config;
  if (clusterSpecifier.case === 'weightedClusters' && clusterSpecifier.value.clusters.some(({ metadataMatch }) => metadataMatch))
    unsupported(`${where}.weighted_clusters.metadata_match`, 'not supported');
  const clusters = tcpClusters(config, where);
  const { name: last } = clusters.at(-1)!;
  if (clusters.length === 1) return () => last;
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  return () => {
    let point = random() * total;
    for (const { name, weight } of clusters) {
      point -= weight;
      if (point < 0) return name;
    }
    return last;
  };
}
