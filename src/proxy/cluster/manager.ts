/** The clusters in force, by name, and the endpoints that belong to them. */
import type { Cluster as ClusterConfig } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { ClusterLoadAssignment } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { ClusterManager } from '../types.ts';
import { type ClusterEnvironment, UpstreamCluster } from './cluster.ts';

export class Clusters implements ClusterManager {
  readonly #clusters = new Map<string, { readonly version: string; readonly cluster: UpstreamCluster }>();
  readonly #endpoints = new Map<string, { readonly version: string; readonly assignment: ClusterLoadAssignment }>();
  readonly #env: ClusterEnvironment;

  constructor(env: ClusterEnvironment) {
    this.#env = env;
  }

  get(name: string): UpstreamCluster | undefined {
    return this.#clusters.get(name)?.cluster;
  }

  *all(): Iterable<UpstreamCluster> {
    for (const { cluster } of this.#clusters.values()) yield cluster;
  }

  /** Puts a cluster in force. The same version is the same content: the cluster is then kept as it is. Throws what the constructor throws. */
  set(config: ClusterConfig, version: string): UpstreamCluster {
    const old = this.#clusters.get(config.name);
    if (old?.version === version) return old.cluster;
    const endpointsName = config.edsClusterConfig?.serviceName || config.name;
    const cluster = new UpstreamCluster(config, this.#endpoints.get(endpointsName)?.assignment, this.#env, old?.cluster.stats);
    this.#clusters.set(config.name, { version, cluster });
    old?.cluster.close();
    return cluster;
  }

  delete(name: string): void {
    this.#clusters.get(name)?.cluster.close();
    this.#clusters.delete(name);
  }

  /** New endpoints; clusters that use them keep everything else. */
  setEndpoints(assignment: ClusterLoadAssignment, version: string): void {
    const name = assignment.clusterName;
    if (this.#endpoints.get(name)?.version === version) return;
    for (const cluster of this.all()) if (cluster.endpointsName === name) cluster.setEndpoints(assignment);
    this.#endpoints.set(name, { version, assignment });
  }

  deleteEndpoints(name: string): void {
    this.#endpoints.delete(name);
    for (const cluster of this.all()) if (cluster.endpointsName === name) cluster.setEndpoints(undefined);
  }

  close(): void {
    for (const name of [...this.#clusters.keys()]) this.delete(name);
  }
}
