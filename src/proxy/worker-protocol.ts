/** Messages between the main thread and the workers that carry traffic. */
import type { SeatData } from '../audit/seat.ts';
import type { ProxyFlow } from '../flows/flow.ts';
import type { NodeJson } from '../xds/node.ts';
import type { SentUpdate, XdsAck } from '../xds/resources.ts';
import type { LogLevel } from './log.ts';
import type { StatsSnapshot } from './stats/index.ts';
import type { DataPlaneStatus } from './status.ts';
import type { TicketSeed } from './tls/sessions.ts';
import type { Address } from './types.ts';

/** What a worker starts with. */
export interface WorkerData {
  readonly index: number;
  readonly sharesPorts: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly node: NodeJson | undefined;
  readonly nameServers: readonly string[] | undefined;
  readonly workload: string | undefined;
  /** Its port is transferred. */
  readonly audit: SeatData | undefined;
  /** Of local rate limits (`shared-tokens.ts`); every worker has the same. */
  readonly tokens: SharedArrayBuffer;
  readonly tickets: TicketSeed;
  /** Only the first worker has it. */
  readonly dns: Address | undefined;
}

export type WorkerRequest =
  | { readonly kind: 'apply'; readonly update: SentUpdate; readonly probe: boolean }
  | { readonly kind: 'stats' }
  | { readonly kind: 'status' }
  | { readonly kind: 'reopen-logs' }
  | { readonly kind: 'watch-flows'; readonly on: boolean; readonly sparing: boolean }
  | { readonly kind: 'recent-flows' }
  | { readonly kind: 'drain'; readonly graceMs: number }
  | { readonly kind: 'close' };

export interface WorkerReplies {
  readonly apply: XdsAck;
  readonly stats: StatsSnapshot;
  readonly status: DataPlaneStatus;
  readonly 'reopen-logs': undefined;
  readonly 'watch-flows': undefined;
  readonly 'recent-flows': readonly ProxyFlow[];
  readonly drain: undefined;
  readonly close: undefined;
}

export type ToWorker =
  /** Comes first, and once. */
  | { readonly kind: 'start'; readonly data: WorkerData }
  | { readonly kind: 'request'; readonly id: number; readonly request: WorkerRequest }
  /** So many flows have been taken. */
  | { readonly kind: 'flows-taken'; readonly count: number };

export type FromWorker =
  /** The data plane is there; or it could not be made (a port of the DNS server that is taken). */
  | { readonly kind: 'ready'; readonly problem: { readonly code: string; readonly message: string } | undefined }
  | { readonly kind: 'reply'; readonly id: number; readonly value: WorkerReplies[keyof WorkerReplies]; readonly error: string | undefined }
  /** `dropped`: so many were left out before these. */
  | { readonly kind: 'flows'; readonly flows: readonly ProxyFlow[]; readonly dropped: number }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly message: string };
