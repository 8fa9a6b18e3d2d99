/** What exchanges and connections know of their connection manager. */
import type { RouteTable } from '../../http/routes/route.ts';
import type { Downstream } from '../types.ts';
import type { Exchange } from './exchange.ts';
import type { HttpFilter } from './filter.ts';
import type { HttpManagerDeps } from './manager.ts';
import type { ManagerOptions } from './options.ts';
import type { RouterOptions } from './router.ts';
import type { Timers } from './timers.ts';

export interface ManagerCore {
  readonly deps: HttpManagerDeps;
  readonly options: ManagerOptions;
  readonly filters: readonly HttpFilter[];
  readonly router: RouterOptions;
  readonly timers: Timers;
  /** The routes as they are now; undefined as long as the named configuration has not come. */
  routes(): RouteTable | undefined;
  /** The value of `date`, made once a second. */
  date(): string;
}

/** What all requests of one connection share. */
export interface ConnectionFacts {
  readonly downstream: Downstream;
  /** As route matching wants it. */
  readonly tls: { readonly presented: boolean; readonly validated: boolean } | undefined;
  readonly scheme: 'http' | 'https';
}

export function connectionFacts(downstream: Downstream): ConnectionFacts {
  const { tls } = downstream;
  const presented = tls?.peer !== undefined;
  // A handshake with a certificate that does not verify is refused before this, so what is presented is validated.
  return { downstream, tls: tls && { presented, validated: presented }, scheme: tls ? 'https' : 'http' };
}

/** A connection of the manager, whatever its protocol. */
export interface ServerConnection {
  /** No new requests: the connection closes after those that run. */
  drain(): void;
}

export type { Exchange };
