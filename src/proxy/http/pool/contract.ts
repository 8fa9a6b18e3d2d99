/** What the connections of a pool and the pool know of one another. Types alone. */
import type { Cluster } from '../../types.ts';
import type { PoolClient } from '../contract.ts';
import type { Timers } from '../timers.ts';

/** A connection that serves one client at a time. */
export interface SingleConnection {
  readonly kind: 'single';
  /** Requests that were begun on it. */
  readonly served: number;
  /** Kept by the pool: whether it counts as idle or as busy. */
  idle: boolean;
  /** Waits for the next client; closes after `idleMs` (0: never). */
  rest(idleMs: number): void;
  close(): void;
}

export type PoolConnection = SingleConnection | { readonly kind: 'multiplexed' } | { readonly kind: 'tunnel' };

/** What connections tell their pool. */
export interface PoolOwner {
  readonly cluster: Cluster;
  readonly timers: Timers;
  /** The connection serves nobody. */
  released(connection: SingleConnection): void;
  closed(connection: PoolConnection): void;
  /** A multiplexed connection has room again. */
  available(): void;
}

export type { PoolClient };
