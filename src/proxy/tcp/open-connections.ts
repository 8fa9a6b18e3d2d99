/** Connections that are open are held to each new configuration: one that it would not let through ends, as what is granted for a time does. */
import type { ActiveChain } from '../listener/chain.ts';
import type { Downstream } from '../types.ts';
import type { OpenConnection } from './settings.ts';

/** Of the access record. */
const NO_LONGER_ALLOWED = 'no_longer_allowed';

export interface Judges {
  /** The chain to which such a connection would come now; undefined: none would take it, `unknown`: there is no way to tell. */
  readonly chainFor: (downstream: Downstream) => ActiveChain | undefined | 'unknown';
  /** Whether nothing gets through to the cluster of this name. */
  readonly refuses: (cluster: string) => boolean;
}

/** Cuts them, in steps. What would merely go elsewhere, or be taken for another protocol, goes on. */
export function* endRefused(open: Iterable<OpenConnection>, judges: Judges): Generator<void, void> {
  for (const connection of open) {
    if (isRefused(connection, judges)) connection.end(NO_LONGER_ALLOWED);
    yield;
  }
}

function isRefused({ downstream, handler }: OpenConnection, { chainFor, refuses }: Judges): boolean {
  const chain = chainFor(downstream);
  if (chain === undefined) return true;
  if (chain === 'unknown' || chain.handler === handler) return false;
  return chain.handler.clusters?.(downstream).every(refuses) ?? false;
}
