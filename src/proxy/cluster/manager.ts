/**
 * The clusters in force, by name, and the endpoints that belong to them. Of tens of thousands of clusters a proxy uses few: each is checked when it comes,
 * stays as bytes, and is made when somebody first asks for it.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { type Members, zeroClusterStats } from '../stats/cluster.ts';
import type { Cluster, ClusterManager, ClusterStats } from '../types.ts';
import { type ClusterEnvironment, UpstreamCluster } from './cluster.ts';
import type { Host } from './host.ts';

/** What there is to tell of a cluster without making it. */
interface Outline {
  readonly members: Members;
  readonly limits: Cluster['limits'];
}

type State =
  | { readonly kind: 'encoded'; readonly bytes: Uint8Array; readonly outline: Outline }
  | { readonly kind: 'made'; readonly cluster: UpstreamCluster };

interface Entry {
  readonly version: string;
  /** The name under which its endpoints come, of an EDS cluster. */
  readonly endpointsName: string | undefined;
  /** Go on counting in the next version; undefined as long as there is nothing to count. */
  stats: ClusterStats | undefined;
  state: State;
}

/** A cluster as admin endpoints and statistics show it. */
export interface ClusterSummary {
  readonly name: string;
  readonly stats: ClusterStats;
  readonly limits: Cluster['limits'];
  readonly members: Members;
}

const NOTHING_COUNTED: ClusterStats = Object.freeze(zeroClusterStats());
const NO_MEMBERS: Members = { total: 0, healthy: 0 };

export class Clusters implements ClusterManager {
  readonly #clusters = new Map<string, Entry>();
  readonly #endpoints = new Map<string, { readonly version: string; readonly bytes: Uint8Array }>();
  /** EDS clusters by the name of their endpoints. */
  readonly #byEndpoints = new Map<string, Set<string>>();
  /** Most clusters have the same limits: one object for those that are not in use. */
  readonly #limits = new Map<string, Cluster['limits']>();
  readonly #env: ClusterEnvironment;

  constructor(env: ClusterEnvironment) {
    this.#env = env;
  }

  get(name: string): UpstreamCluster | undefined {
    const entry = this.#clusters.get(name);
    if (!entry) return undefined;
    if (entry.state.kind === 'made') return entry.state.cluster;
    entry.stats ??= zeroClusterStats();
    const cluster = this.#make(entry.state.bytes, this.#assignment(entry.endpointsName), entry.stats);
    entry.state = { kind: 'made', cluster };
    return cluster;
  }

  *all(): Iterable<ClusterSummary> {
    for (const [name, { state, stats = NOTHING_COUNTED }] of this.#clusters) {
      if (state.kind === 'encoded') yield { name, stats, ...state.outline };
      else yield { name, stats, limits: state.cluster.limits, members: membersOf(state.cluster) };
    }
  }

  /** The hosts that are known; those of a cluster that nobody has used are read for the occasion. */
  hosts(name: string): readonly Host[] {
    const entry = this.#clusters.get(name);
    if (!entry) return [];
    const { state, endpointsName } = entry;
    if (state.kind === 'made') return [...state.cluster.hosts];
    if (state.outline.members.total === 0) return [];
    return [...this.#make(state.bytes, this.#assignment(endpointsName), undefined).hosts];
  }

  /**
   * Puts a cluster in force. The same version is the same content: the cluster is then kept as it is. Throws what the constructor of a cluster throws.
   * Returns the settings that have no effect.
   */
  set(name: string, bytes: Uint8Array, version: string): readonly string[] {
    const old = this.#clusters.get(name);
    if (old?.version === version) return [];
    const config = fromBinary(ClusterSchema, bytes);
    const endpointsName = config.edsClusterConfig?.serviceName || config.name;
    const checked = new UpstreamCluster(config, this.#assignment(endpointsName), this.#env);
    this.#unlink(name, old);
    this.#clusters.set(name, {
      version,
      endpointsName: checked.endpointsName,
      stats: old?.stats,
      state: { kind: 'encoded', bytes, outline: this.#outline(checked) },
    });
    if (checked.endpointsName !== undefined) {
      const users = this.#byEndpoints.get(checked.endpointsName) ?? new Set();
      this.#byEndpoints.set(checked.endpointsName, users.add(name));
    }
    return checked.settings.ignored;
  }

  delete(name: string): void {
    this.#unlink(name, this.#clusters.get(name));
    this.#clusters.delete(name);
  }

  #unlink(name: string, entry: Entry | undefined): void {
    if (!entry) return;
    if (entry.state.kind === 'made') entry.state.cluster.close();
    if (entry.endpointsName === undefined) return;
    const users = this.#byEndpoints.get(entry.endpointsName);
    users?.delete(name);
    if (users?.size === 0) this.#byEndpoints.delete(entry.endpointsName);
  }

  /** New endpoints; clusters that use them keep everything else. Throws what `UpstreamCluster.setEndpoints` throws. */
  setEndpoints(name: string, bytes: Uint8Array, version: string): void {
    if (this.#endpoints.get(name)?.version === version) return;
    const assignment = fromBinary(ClusterLoadAssignmentSchema, bytes);
    for (const entry of this.#users(name)) this.#renew(entry, assignment);
    this.#endpoints.set(name, { version, bytes });
  }

  deleteEndpoints(name: string): void {
    this.#endpoints.delete(name);
    for (const entry of this.#users(name)) this.#renew(entry, undefined);
  }

  *#users(endpointsName: string): Iterable<Entry> {
    for (const name of this.#byEndpoints.get(endpointsName) ?? []) yield this.#clusters.get(name)!;
  }

  #renew(entry: Entry, assignment: ClusterLoadAssignment | undefined): void {
    const { state } = entry;
    if (state.kind === 'made') state.cluster.setEndpoints(assignment);
    else entry.state = { ...state, outline: this.#outline(this.#make(state.bytes, assignment, undefined)) };
  }

  #make(bytes: Uint8Array, assignment: ClusterLoadAssignment | undefined, stats: ClusterStats | undefined): UpstreamCluster {
    return new UpstreamCluster(fromBinary(ClusterSchema, bytes), assignment, this.#env, stats);
  }

  #assignment(name: string | undefined): ClusterLoadAssignment | undefined {
    const known = name === undefined ? undefined : this.#endpoints.get(name);
    return known && fromBinary(ClusterLoadAssignmentSchema, known.bytes);
  }

  #outline(cluster: UpstreamCluster): Outline {
    const { connections, pending, requests, retries } = cluster.limits;
    const key = [connections, pending, requests, retries].map(({ max }) => max).join();
    let limits = this.#limits.get(key);
    if (!limits) {
      limits = cluster.limits;
      this.#limits.set(key, limits);
    }
    const members = membersOf(cluster);
    return { members: members.total === 0 ? NO_MEMBERS : members, limits };
  }

  close(): void {
    for (const name of [...this.#clusters.keys()]) this.delete(name);
  }
}

function membersOf(cluster: UpstreamCluster): Members {
  let total = 0;
  let healthy = 0;
  for (const host of cluster.hosts) {
    total++;
    if (host.healthy) healthy++;
  }
  return { total, healthy };
}
