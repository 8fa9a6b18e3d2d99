/** One upstream cluster: its hosts, the choice among them, and connections to them. */

import type { Cluster as ClusterConfig } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { ClusterLoadAssignment } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { bindingOf } from '../../xds/match/binding.ts';
import { reachOf } from '../../xds/match/reach.ts';
import { zeroClusterStats } from '../stats/cluster.ts';
import type { MaterialStore } from '../tls/material.ts';
import type {
  ChoiceContext,
  Cluster,
  ClusterStats,
  InternalWay,
  UpstreamConnectDone,
  UpstreamConnectOptions,
  UpstreamHost,
} from '../types.ts';
import { Balancer } from './balancer.ts';
import { type Connector, openConnection } from './connect.ts';
import {
  type Choice,
  type Discovery,
  dynamicForwardProxy,
  type Environment,
  type ForwardProxyOptions,
  fixedHosts,
  type Later,
  originalDestination,
} from './discovery.ts';
import { readEndpoints, requireAddresses } from './endpoints.ts';
import type { Host } from './host.ts';
import { OutlierDetector } from './outlier.ts';
import { resolvedHosts } from './resolved-hosts.ts';
import { type ClusterSettings, readSettings } from './settings.ts';
import { openThrough } from './through.ts';
import { readTransports } from './transport.ts';

export interface ClusterEnvironment extends Environment {
  readonly store: MaterialStore;
  readonly random: () => number;
  /** What connections to an internal listener are made by; undefined: there is none of that name. */
  readonly internal: (listener: string) => InternalWay | undefined;
}

/** Envoy's default for how long a dynamically resolved host is kept without use, in ms. */
const DYNAMIC_HOST_TTL_MS = 300_000;

export class UpstreamCluster implements Cluster {
  readonly name: string;
  readonly config: ClusterConfig;
  readonly settings: ClusterSettings;
  readonly limits: Cluster['limits'];
  readonly stats: ClusterStats;
  readonly outliers: OutlierDetector | undefined;
  readonly #discovery: Discovery;
  readonly #connector: Connector;
  readonly #internal: ClusterEnvironment['internal'];

  /**
   * Throws `xds-invalid` or `xds-unsupported`. `assignment` holds the endpoints of an EDS cluster; `stats` goes on counting for a cluster of
   * the same name.
   */
  constructor(config: ClusterConfig, assignment: ClusterLoadAssignment | undefined, env: ClusterEnvironment, stats = zeroClusterStats()) {
    this.name = config.name;
    this.config = config;
    this.settings = readSettings(config);
    this.limits = this.settings.limits;
    this.stats = stats;
    this.#internal = env.internal;
    const transports = readTransports(config, env.store);
    this.#connector = { settings: this.settings, protocol: this.settings.protocol, transports, limits: this.limits, stats };
    const reach = reachOf(config.metadata);
    const forward = { defaultPort: transports(undefined) ? 443 : 80, reach };
    this.#discovery = discover(config, this.settings, forward, assignment, env);
    this.outliers =
      this.settings.outliers &&
      new OutlierDetector(this.settings.outliers, {
        now: env.now,
        random: env.random,
        hosts: () => this.#discovery.hosts,
        changed: () => this.#discovery.regroup(),
      });
  }

  get protocol(): Cluster['protocol'] {
    return this.settings.protocol;
  }

  get trailers(): boolean {
    return this.settings.trailers;
  }

  get maxRequestsPerConnection(): number {
    return this.settings.maxRequestsPerConnection;
  }

  get idleTimeoutMs(): number {
    return this.settings.idleTimeoutMs;
  }

  get http2KeepAlive(): Cluster['http2KeepAlive'] {
    return this.settings.http2KeepAlive;
  }

  get connectTimeoutMs(): number {
    return this.settings.connectTimeoutMs;
  }

  get http2MaxStreams(): number {
    return this.settings.http2MaxStreams;
  }

  get hosts(): Iterable<Host> {
    return this.#discovery.hosts;
  }

  /** The name under which endpoints of this cluster come, if they come over EDS. */
  get endpointsName(): string | undefined {
    return this.settings.discovery === 'eds' ? this.config.edsClusterConfig?.serviceName || this.name : undefined;
  }

  /** Throws `xds-invalid` for endpoints that are no addresses; the known ones then stay. */
  setEndpoints(assignment: ClusterLoadAssignment | undefined): void {
    const entries = readEndpoints(assignment, this.name);
    requireAddresses(entries, this.name);
    this.#discovery.update(entries);
  }

  choose(context: ChoiceContext, later: Later): Choice {
    return this.#discovery.choose(context, later);
  }

  /** Hosts come from `choose` alone, so they are this cluster's own. */
  connect(host: UpstreamHost, options: UpstreamConnectOptions, done: UpstreamConnectDone): () => void {
    const { internal } = host as Host;
    if (internal) return openThrough(this.#connector, host as Host, this.#internal(internal.listener), options, done);
    return openConnection(this.#connector, host as Host, options, done);
  }

  /** Its hosts are no longer live; open connections go on. */
  close(): void {
    this.outliers?.close();
    this.#discovery.close();
  }
}

function discover(
  config: ClusterConfig,
  settings: ClusterSettings,
  forward: Pick<ForwardProxyOptions, 'defaultPort' | 'reach'>,
  assignment: ClusterLoadAssignment | undefined,
  env: ClusterEnvironment,
): Discovery {
  const balancer = new Balancer(settings.policy, settings.byLocality, env.random, settings.panicPercent);
  switch (settings.discovery) {
    case 'original-dst':
      return originalDestination(settings, { reach: forward.reach, binding: bindingOf(config.metadata) }, env);
    case 'dynamic-forward-proxy':
      return dynamicForwardProxy({ ...forward, family: settings.lookupFamily, hostTtlMs: DYNAMIC_HOST_TTL_MS }, env);
    case 'strict-dns':
    case 'logical-dns':
      return resolvedHosts(readEndpoints(config.loadAssignment, config.name), settings, balancer, env, forward.reach);
    case 'static':
    case 'eds': {
      const entries = readEndpoints(settings.discovery === 'eds' ? assignment : config.loadAssignment, config.name);
      requireAddresses(entries, config.name);
      return fixedHosts(entries, balancer);
    }
  }
}
