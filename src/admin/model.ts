/** What the admin server shows and does; whoever runs the data plane provides it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { StatsSnapshot } from '../proxy/stats/index.ts';
import type { Bootstrap } from '../xds/gen/envoy/config/bootstrap/v3/bootstrap_pb.js';
import type { Node } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import type { ResourceType, XdsResources } from '../xds/resources.ts';

export interface HostState {
  readonly address: { readonly ip: string; readonly port: number };
  readonly hostname: string;
  readonly healthy: boolean;
  /** Ejected by outlier detection. */
  readonly ejected: boolean;
  readonly weight: number;
  readonly priority: number;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  /** Envoy's per-host counters, e.g. `rq_total`; names that are missing print as 0. */
  readonly stats: Readonly<Partial<Record<HostStat, number>>>;
}

export const HOST_STATS = [
  'cx_active',
  'cx_connect_fail',
  'cx_total',
  'rq_active',
  'rq_error',
  'rq_success',
  'rq_timeout',
  'rq_total',
] as const;
type HostStat = (typeof HOST_STATS)[number];

/** Added up over all workers. */
export interface ClusterState {
  readonly name: string;
  readonly edsServiceName: string;
  readonly limits: { readonly connections: number; readonly pending: number; readonly requests: number; readonly retries: number };
  readonly hosts: readonly HostState[];
}

export interface ListenerState {
  readonly name: string;
  /** As bound, so with the port that the system chose. */
  readonly addresses: readonly { readonly ip: string; readonly port: number }[];
}

export interface Rejection {
  readonly type: ResourceType;
  readonly name: string;
  readonly message: string;
  /** Version of the refused resource. */
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface AcceptedResources {
  readonly resources: XdsResources;
  /** Version and time (ms since the epoch) at which one came into force; undefined for what came with the bootstrap. */
  version(type: ResourceType, name: string): { readonly version: string; readonly at: number } | undefined;
  readonly rejected: readonly Rejection[];
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'critical' | 'off';

export interface AdminSource {
  /** Streams the proxy's flows; undefined where nobody may watch. */
  readonly flows?: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** The product's version. */
  readonly version: string;
  readonly node: Node | undefined;
  readonly bootstrap: Bootstrap | undefined;
  readonly concurrency: number;
  /** Milliseconds since the epoch. */
  readonly startTime: number;
  readonly now: () => number;
  readonly state: () => 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING';
  readonly resources: () => AcceptedResources;
  readonly stats: () => Promise<StatsSnapshot>;
  /** Sets counters back; without it the admin server subtracts what was counted before. */
  readonly resetCounters?: () => Promise<void>;
  readonly clusters: () => Promise<readonly ClusterState[]>;
  readonly listeners: () => Promise<readonly ListenerState[]>;
  /** Resolves when draining has begun. */
  readonly drainListeners: (options: { readonly inboundOnly: boolean; readonly graceful: boolean }) => Promise<void>;
  /** Makes `/ready` and health checks fail, or succeed again. */
  readonly setHealthy: (healthy: boolean) => void;
  /** Ends the process in an orderly way, after the answer was sent. */
  readonly quit: () => void;
  readonly logLevel: () => LogLevel;
  readonly setLogLevel: (level: LogLevel) => void;
}
