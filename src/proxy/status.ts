/** What a data plane tells of itself: for the admin endpoints `/listeners`, `/clusters` and `/certs`. Plain data, so that it can cross threads. */
import type { Clusters } from './cluster/manager.ts';
import type { ListenerStats } from './listener/contract.ts';
import type { Listeners } from './listener/manager.ts';
import type { MaterialStore } from './tls/material.ts';
import type { Address, ClusterStats, ResourceLimit } from './types.ts';

export interface HostStatus {
  readonly address: Address;
  readonly text: string;
  readonly hostname: string;
  readonly weight: number;
  readonly healthy: boolean;
  /** Requests and connections in flight. */
  readonly active: number;
  readonly connections: number;
}

export interface DataPlaneStatus {
  /** Of the last update. */
  readonly version: string;
  readonly activeConnections: number;
  readonly listeners: readonly {
    readonly name: string;
    readonly addresses: readonly Address[];
    readonly active: number;
    readonly stats: ListenerStats;
  }[];
  readonly clusters: readonly {
    readonly name: string;
    readonly hosts: readonly HostStatus[];
    readonly limits: Readonly<Record<'connections' | 'pending' | 'requests' | 'retries', ResourceLimit>>;
    readonly stats: ClusterStats;
  }[];
  /** Names of the secrets that are there. */
  readonly secrets: readonly string[];
}

interface Parts {
  readonly version: string;
  readonly clusters: Clusters;
  readonly listeners: Listeners;
  readonly store: MaterialStore;
}

export function dataPlaneStatus({ version, clusters, listeners, store }: Parts): DataPlaneStatus {
  return {
    version,
    activeConnections: listeners.active,
    listeners: [...listeners.all()].map(({ name, addresses, active, stats }) => ({ name, addresses, active, stats: { ...stats } })),
    clusters: [...clusters.all()].map(({ name, limits, stats }) => ({
      name,
      hosts: clusters.hosts(name).map(({ address, text, hostname, weight, healthy, active, connections }) => ({
        address,
        text,
        hostname,
        weight,
        healthy,
        active,
        connections,
      })),
      limits: structuredClone(limits),
      stats: { ...stats },
    })),
    secrets: [...store.secrets].map(({ name }) => name),
  };
}
