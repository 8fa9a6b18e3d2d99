/** One listener: accepts connections, runs listener filters, chooses a filter chain and gives the connection to it. */
import type { Server } from 'node:net';
import type { HandedSockets } from '../../lib/contained.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Address as AddressConfig } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import type { Listener as ListenerConfig } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { readAddress } from '../cluster/endpoints.ts';
import type { StreamSocket } from '../net/stream-socket.ts';
import type { Address } from '../types.ts';
import { bind, listenOn } from './bind.ts';
import type { ConnectionTaker, ListenerEnvironment, ListenerStats } from './contract.ts';
import { Inspection } from './inspection.ts';
import type { LazyChain } from './lazy-chain.ts';
import { Passage } from './passage.ts';
import { isInternal, type ListenerPlan } from './plan.ts';

/** A socket that listens, and the listener that its connections go to. */
interface ListeningSocket {
  readonly server: Server;
  readonly owner: { listener: ProxyListener };
}

export class ProxyListener implements ConnectionTaker {
  readonly name: string;
  readonly #env: ListenerEnvironment;
  #plan: ListenerPlan;
  #sockets: ListeningSocket[] = [];
  /** Chains that are no longer in the configuration and still have connections. */
  #draining = new Set<LazyChain>();
  readonly #inspecting = new Set<Inspection>();
  readonly stats: ListenerStats = { downstreamCxTotal: 0, noFilterChainMatch: 0, downstreamPreCxTimeout: 0, sslHandshakeError: 0 };

  /** Nothing listens yet. */
  constructor(plan: ListenerPlan, env: ListenerEnvironment) {
    this.name = plan.config.name;
    this.#env = env;
    this.#plan = plan;
  }

  get plan(): ListenerPlan {
    return this.#plan;
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
    for (const chain of this.#plan.chains) sum += chain.active;
    for (const chain of this.#draining) sum += chain.active;
    return sum;
  }

  /** Opens the listening sockets. Rejects with what `bind` rejects with; sockets that were open already are closed again. */
  async listen(): Promise<void> {
    const { config } = this.#plan;
    if (config.bindToPort === false || isInternal(config)) return;
    const { handed } = this.#env;
    if (handed) {
      const opening = handed.whole.then(() => this.#openHanded(handed.sockets));
      opening.catch((error: unknown) => this.#env.log('error', `listener "${this.name}": ${messageOf(error)}`));
      return;
    }
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

  async #openHanded(handed: HandedSockets['listeners']): Promise<void> {
    const address = readAddress(this.#plan.config.address, `listener "${this.name}".address`);
    const owner = { listener: this as ProxyListener };
    for (const handle of handed[`${address.ip}:${address.port}`] ?? []) {
      const server = await listenOn(handle, address, (socket) => owner.listener.#accept(socket));
      this.#sockets.push(this.#listening(server, owner));
    }
  }

  async #open(address: AddressConfig | undefined, reusePort: boolean): Promise<ListeningSocket> {
    const owner = { listener: this as ProxyListener };
    const server = await bind(
      {
        address: readAddress(address, `listener "${this.name}".address`),
        backlog: this.#plan.config.tcpBacklogSize,
        ipv4Compat: address?.address.case === 'socketAddress' && address.address.value.ipv4Compat,
        reusePort,
        probe: this.#env.probes(),
      },
      (socket) => owner.listener.#accept(socket),
    );
    return this.#listening(server, owner);
  }

  /** What goes wrong as it accepts (no descriptors are left) is logged, and it goes on. */
  #listening(server: Server, owner: ListeningSocket['owner']): ListeningSocket {
    server.on('error', (error) => this.#env.log('error', `listener "${owner.listener.name}": ${error.message}`));
    return { server, owner };
  }

  /** What makes two configurations of a listener need different sockets. */
  get socketKey(): string {
    return socketKey(this.#plan.config);
  }

  /** Takes over the sockets of a listener that leaves and has the same addresses; connections that wait to be accepted come here. */
  adopt(old: ProxyListener): void {
    this.#sockets = old.#sockets;
    old.#sockets = [];
    for (const { owner } of this.#sockets) owner.listener = this;
  }

  /**
   * Puts another configuration in force for new connections. Chains that both have stay as they are, with their connections; the others drain.
   */
  update(plan: ListenerPlan): void {
    const old = this.#plan;
    this.#plan = plan;
    const kept = new Set(plan.chains);
    for (const chain of old.chains) if (!kept.has(chain)) this.#drainChain(chain);
  }

  #drainChain(chain: LazyChain): void {
    for (const gone of this.#draining) if (gone.active === 0) this.#draining.delete(gone);
    chain.drain();
    if (chain.active > 0) this.#draining.add(chain);
  }

  /** Accepts no more and tells idle connections to close; running requests go on. */
  drain(): void {
    this.stop();
    for (const chain of this.#plan.chains) chain.drain();
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
    for (const chain of [...this.#plan.chains, ...this.#draining]) chain.close();
  }

  #accept(socket: StreamSocket): void {
    // Also of connections that nobody looks at (yet): an error without a listener would end the process.
    socket.on('error', ignore);
    this.take(new Inspection(this.#env.nextId(), socket, this.#env.date()), this);
  }

  take(connection: Inspection, accepting: ConnectionTaker): void {
    this.stats.downstreamCxTotal++;
    new Passage(this, accepting, connection, this.#plan, this.#env, this.#inspecting).run();
  }
}

export function socketKey(config: ListenerConfig): string {
  if (isInternal(config)) return `internal ${config.name}`;
  const addresses = [config.address, ...config.additionalAddresses.map(({ address }) => address)].map((address) => {
    const { ip, port } = readAddress(address, `listener "${config.name}".address`);
    return `${ip} ${port} ${address?.address.case === 'socketAddress' && address.address.value.ipv4Compat}`;
  });
  return `${addresses.join()} ${config.bindToPort !== false}`;
}

function ignore(): void {
  // `close` follows each error.
}
