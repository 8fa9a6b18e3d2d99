/** What the parts of a listener agree on. */
import type { HandedSockets } from '../../lib/contained.ts';
import type { Listener as ListenerConfig } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { ConnectionInfo } from '../../xds/match/filter-chain.ts';
import type { Address, RecordSink } from '../types.ts';
import type { NetworkFilters } from './chain.ts';
import type { ExplicitProxyDeps } from './explicit-proxy.ts';
import type { Inspection, ListenerFilter } from './inspection.ts';
import type { InterceptionWatch } from './interception.ts';
import type { LazyChain } from './lazy-chain.ts';

export interface ListenerEnvironment {
  readonly filters: NetworkFilters;
  readonly explicitProxy: ExplicitProxyDeps;
  /** The listener that takes connections to a restored destination; undefined: the one that accepted them. */
  readonly handOff: (address: Address) => ConnectionTaker | undefined;
  /** Sockets that are there already, by `ip:port`; then none is opened. Connections wait on them until the first configuration is whole. */
  readonly handed?: { readonly sockets: HandedSockets['listeners']; readonly whole: Promise<void> } | undefined;
  /** Hears of connections whose TLS is intercepted. */
  readonly interception?: InterceptionWatch | undefined;
  /** Access logs of connections that no filter chain takes. */
  readonly createSink: (config: ListenerConfig) => RecordSink;
  readonly nextId: () => number;
  /** Whether a connection that is no HTTP may begin: false while what is to be audited can't be. */
  readonly admits?: (() => boolean) | undefined;
  readonly now: () => number;
  readonly date: () => number;
  readonly log: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
  readonly reusePort: boolean;
  /** False in all but one of the workers that share ports. */
  readonly first: boolean;
  /** Whether to find out, before a port is shared, that no stranger has it. */
  readonly probes: () => boolean;
}

export interface ListenerStats {
  downstreamCxTotal: number;
  noFilterChainMatch: number;
  downstreamPreCxTimeout: number;
  sslHandshakeError: number;
}

/** What a connection on its way sees of a listener. */
export interface ConnectionTaker {
  readonly name: string;
  readonly stats: ListenerStats;
  /** Runs this listener's filters over a connection that it, or the listener that hands it over, accepted. */
  take(connection: Inspection, accepting: ConnectionTaker): void;
}

/** Everything that is compiled from one version of the configuration; a connection keeps the one it was accepted under. */
export interface Plan {
  /** Without its filter chains. */
  readonly config: ListenerConfig;
  /** In their order; the default chain, if there is one, comes last. */
  readonly chains: readonly LazyChain[];
  /** The chain that takes the connection, or undefined: it is closed, flag NR, details `filter_chain_not_found`. */
  match(connection: ConnectionInfo): LazyChain | undefined;
  readonly filters: readonly ListenerFilter[];
  /** In ms; 0 where the configuration sets none (`bounds.ts`). */
  readonly filtersTimeoutMs: number;
  readonly sink: RecordSink;
}
