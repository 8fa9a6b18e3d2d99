/** The clusters among which a TCP proxy chooses, read alike by the data plane and the simulation. */
import { SallyportError } from '../../lib/errors.ts';
import type { TcpProxy } from '../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';

export interface WeightedCluster {
  readonly name: string;
  /** At least 1. */
  readonly weight: number;
}

/**
 * Throws `xds-invalid` where there is none, and for a weight of 0: a configuration with either is refused whole, as Envoy's (the rules of
 * `TcpProxy.WeightedCluster` in its API) is. `where` names the filter.
 */
export function tcpClusters({ clusterSpecifier }: TcpProxy, where: string): readonly WeightedCluster[] {
  if (clusterSpecifier.case === 'cluster') return [{ name: clusterSpecifier.value, weight: 1 }];
  if (clusterSpecifier.case !== 'weightedClusters') throw new SallyportError('xds-invalid', `${where}.cluster_specifier: names no cluster`);
  const { clusters } = clusterSpecifier.value;
  if (clusters.length === 0) throw new SallyportError('xds-invalid', `${where}.weighted_clusters: names no cluster`);
  for (const { name, weight } of clusters)
    if (weight === 0) throw new SallyportError('xds-invalid', `${where}.weighted_clusters: ${name} has weight 0; leave it out`);
  return clusters;
}
