/** One listener: accepts connections, runs listener filters, chooses a filter chain and gives the connection to it. */
import type { Server, Socket } from 'node:net';
import type { Address as AddressConfig } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import type { Listener as ListenerConfig } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { compileFilterChains, type FilterChainTable } from '../../xds/match/filter-chain.ts';
import { unsupported } from '../../xds/unpack.ts';
import { readAddress } from '../cluster/endpoints.ts';
import type { Address, RecordSink } from '../types.ts';
import { bind } from './bind.ts';
import { type ActiveChain, chainKey, compileChain, type NetworkFilters } from './chain.ts';
import type { ExplicitProxyDeps } from './explicit-proxy.ts';
import { compileListenerFilters } from './filters.ts';
import { Inspection, type ListenerFilter } from './inspection.ts';
import { Passage } from './passage.ts';

export interface ListenerEnvironment {
  readonly filters: NetworkFilters;
  readonly explicitProxy: ExplicitProxyDeps;
  /** The listener that takes connections to a restored destination; undefined: the one that accepted them. */
  readonly handOff: (address: Address) => ProxyListener | undefined;
  /** Access logs of connections that no filter chain takes. */
  readonly createSink: (config: ListenerConfig) => RecordSink;
  readonly nextId: () => number;
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

/** A socket that listens, and the listener that its connections go to. */
interface ListeningSocket {
  readonly server: Server;
  readonly owner: { listener: ProxyListener };
}

/** Everything that is compiled from one version of the configuration; a connection keeps the one it was accepted under. */
export interface Plan {
  readonly config: ListenerConfig;
  readonly table: FilterChainTable;
  /** By place in `filter_chains`, -1 the default. */
  readonly chains: ReadonlyMap<number, ActiveChain>;
  readonly filters: readonly ListenerFilter[];
  /** In ms; 0 for none. */
  readonly filtersTimeoutMs: number;
  readonly sink: RecordSink;
}

const DEFAULT_FILTERS_TIMEOUT_MS = 15_000;

export class ProxyListener {
  readonly name: string;
  readonly #env: ListenerEnvironment;
  #plan: Plan;
  #sockets: ListeningSocket[] = [];
  /** Chains that are no longer in the configuration and still have connections. */
  #draining = new Set<ActiveChain>();
  readonly #inspecting = new Set<Inspection>();
  readonly stats: ListenerStats = { downstreamCxTotal: 0, noFilterChainMatch: 0, downstreamPreCxTimeout: 0, sslHandshakeError: 0 };

  /** Throws `xds-unsupported` or `xds-invalid`; nothing listens yet. */
  constructor(config: ListenerConfig, env: ListenerEnvironment) {
    this.name = config.name;
    this.#env = env;
    this.#plan = compilePlan(config, env, new Map());
  }

  get config(): ListenerConfig {
    return this.#plan.config;
  }

  /** Addresses that it listens on; none where `bind_to_port` is false. */
  get addresses(): Address[] {
    return this.#sockets.flatMap(({ server }) => {
      const address = server.address();
      if (address === null) return [];
      return [typeof address === 'string' ? { ip: address, port: 0 } : { ip: address.address, port: address.port }];
    });
  }

  /** Connections that chains hold, drained ones included. */
  get active(): number {
    let sum = this.#inspecting.size;
    for (const chain of [...this.#plan.chains.values(), ...this.#draining]) sum += chain.handler.active;
    return sum;
  }

  /** Opens the listening sockets. Rejects with what `bind` rejects with; sockets that were open already are closed again. */
  async listen(): Promise<void> {
    const { config } = this.#plan;
    if (config.bindToPort === false) return;
    const reusePort = this.#env.reusePort && config.enableReusePort !== false;
    if (!reusePort && !this.#env.first) return;
    const addresses = [config.address, ...config.additionalAddresses.map(({ address }) => address)];
    const sockets: ListeningSocket[] = [];
    try {
      for (const address of addresses) sockets.push(await this.#open(address, reusePort));
    } catch (error) {
      for (const { server } of sockets) server.close();
      throw error;
    }
    this.#sockets = sockets;
  }

  async #open(address: AddressConfig | undefined, reusePort: boolean): Promise<ListeningSocket> {
    const owner = { listener: this as ProxyListener };
    const server = await bind(
      {
        address: readAddress(address, `listener "${this.name}".address`),
        backlog: this.config.tcpBacklogSize,
        ipv4Compat: address?.address.case === 'socketAddress' && address.address.value.ipv4Compat,
        reusePort,
        probe: this.#env.probes(),
      },
      (socket) => owner.listener.#accept(socket),
    );
    server.on('error', (error) => this.#env.log('error', `listener "${owner.listener.name}": ${error.message}`));
    return { server, owner };
  }

  /** What makes two configurations of a listener need different sockets. */
  get socketKey(): string {
    return socketKey(this.config);
  }

  /** Takes over the sockets of a listener that leaves and has the same addresses; connections that wait to be accepted come here. */
  adopt(old: ProxyListener): void {
    this.#sockets = old.#sockets;
    old.#sockets = [];
    for (const { owner } of this.#sockets) owner.listener = this;
  }

  /**
   * Puts another configuration in force for new connections. Chains whose content is the same stay as they are, with their connections; the others
   * drain. Throws what the constructor throws, and the old one then stays.
   */
  update(config: ListenerConfig): void {
    const old = this.#plan;
    this.#plan = compilePlan(config, this.#env, new Map([...old.chains.values()].map((chain) => [chain.key, chain])));
    const kept = new Set(this.#plan.chains.values());
    for (const chain of old.chains.values()) if (!kept.has(chain)) this.#drainChain(chain);
  }

  #drainChain(chain: ActiveChain): void {
    for (const gone of this.#draining) if (gone.handler.active === 0) this.#draining.delete(gone);
    chain.handler.drain();
    if (chain.handler.active > 0) this.#draining.add(chain);
  }

  /** Accepts no more and tells idle connections to close; running requests go on. */
  drain(): void {
    this.stop();
    for (const chain of this.#plan.chains.values()) chain.handler.drain();
  }

  /** Stops listening. */
  stop(): void {
    for (const { server } of this.#sockets) server.close();
    this.#sockets = [];
  }

  /** Ends everything now. */
  close(): void {
    this.stop();
    for (const connection of this.#inspecting) connection.socket.destroy();
    for (const { handler } of [...this.#plan.chains.values(), ...this.#draining]) (handler as { close?: () => void }).close?.();
  }

  #accept(socket: Socket): void {
    // Also of connections that nobody looks at (yet): an error without a listener would end the process.
    socket.on('error', ignore);
    this.take(new Inspection(this.#env.nextId(), socket, this.#env.date()), this);
  }

  /** Runs this listener's filters over a connection that it, or the listener that hands it over, accepted. */
  take(connection: Inspection, accepting: ProxyListener): void {
    this.stats.downstreamCxTotal++;
    new Passage(this, accepting, connection, this.#plan, this.#env, this.#inspecting).run();
  }
}

export function socketKey(config: ListenerConfig): string {
  const addresses = [config.address, ...config.additionalAddresses.map(({ address }) => address)].map((address) => {
    const { ip, port } = readAddress(address, `listener "${config.name}".address`);
    return `${ip} ${port} ${address?.address.case === 'socketAddress' && address.address.value.ipv4Compat}`;
  });
  return `${addresses.join()} ${config.bindToPort !== false}`;
}

function compilePlan(config: ListenerConfig, env: ListenerEnvironment, known: ReadonlyMap<string, ActiveChain>): Plan {
  const where = `listener "${config.name}"`;
  if (config.udpListenerConfig) unsupported(`${where}.udp_listener_config`, 'UDP is not supported');
  if (config.apiListener) unsupported(`${where}.api_listener`, 'not supported');
  if (config.listenerSpecifier.case === 'internalListener') unsupported(`${where}.internal_listener`, 'not supported');
  if (config.transparent) unsupported(`${where}.transparent`, 'transparent sockets (TPROXY) are not supported');
  if (config.freebind) unsupported(`${where}.freebind`, 'not supported');
  if (config.socketOptions.length > 0) unsupported(`${where}.socket_options`, 'not supported');
  socketKey(config);
  const table = compileFilterChains(config);
  const chains = new Map<number, ActiveChain>();
  for (const { config: chain, index } of table.defaultChain ? [...table.chains, table.defaultChain] : table.chains) {
    chains.set(index, known.get(chainKey(chain, config)) ?? compileChain(chain, index, config, env.filters));
  }
  return {
    config,
    table,
    chains,
    filters: compileListenerFilters(config, env.explicitProxy),
    filtersTimeoutMs: durationMs(config.listenerFiltersTimeout, undefined) ?? DEFAULT_FILTERS_TIMEOUT_MS,
    sink: env.createSink(config),
  };
}

function ignore(): void {
  // `close` follows each error.
}
