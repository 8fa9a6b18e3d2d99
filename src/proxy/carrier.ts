/** What carries a proxy's traffic, however many threads it has: the one interface to threads of their own and to the data plane in the caller's thread. */
import type { SeatData } from '../audit/seat.ts';
import type { FlowSource } from '../flows/flow.ts';
import type { Contained } from '../lib/contained.ts';
import type { NodeJson } from '../xds/node.ts';
import type { XdsAck, XdsUpdate } from '../xds/resources.ts';
import type { Log } from './log.ts';
import type { StatsSnapshot } from './stats/registry.ts';
import type { DataPlaneStatus } from './status.ts';
import type { Address } from './types.ts';

export interface CarrierOptions {
  readonly log: Log;
  /** For `%ENVIRONMENT(NAME)%` in formats. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly node?: NodeJson | undefined;
  readonly nameServers?: readonly string[] | undefined;
  /** Where the DNS server answers; without it there is none. */
  readonly dns?: Address | undefined;
  /** Of the proxy's workload, `namespace/name`, where that is the one that calls. */
  readonly workload?: string | undefined;
  /** For a command that is contained; needs the caller's thread. */
  readonly contained?: Contained | undefined;
  /** Where a thread that carries traffic tells the audit of its calls. */
  readonly audit?: (() => SeatData) | undefined;
}

export interface Carrier extends FlowSource {
  /**
   * Resolves when every data plane that is there has taken the change over. A resource counts as refused if one of them refused it. Rejects with
   * `port-in-use` if the DNS server's port cannot be had.
   */
  apply(update: XdsUpdate): Promise<XdsAck>;
  /** Numbers of all data planes, added up. */
  stats(): Promise<StatsSnapshot>;
  /** One for each data plane. */
  status(): Promise<DataPlaneStatus[]>;
  reopenLogs(): Promise<void>;
  /** Accepts no more, lets running requests finish for at most `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Ends everything. */
  close(): Promise<void>;
}
