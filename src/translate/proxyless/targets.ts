/** The hosts and ports that a gRPC client may call: those that have a cluster of their own, but for wildcards, which are no names. */
import type { Cluster } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';

export interface Target {
  readonly host: string;
  readonly port: number;
  /** Of its cluster, and of its route configuration, as in Istio. */
  readonly name: string;
  /** The sidecar's: what is made of it is kept for as long. */
  readonly cluster: Cluster;
}

const OUTBOUND = /^outbound\|(\d+)\|\|([^|*]+)$/;

/** In the order of their names. */
export function targetsOf(clusters: readonly Cluster[]): readonly Target[] {
  return clusters.flatMap((cluster) => {
    const { name } = cluster;
    const [, port, host] = OUTBOUND.exec(name) ?? [];
    return port === undefined || host === undefined ? [] : [{ host, port: Number(port), name, cluster }];
  });
}
