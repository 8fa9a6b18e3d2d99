/** The upstream connections to one host: given out last in first out, bounded by the cluster's limits, closed when idle or no longer wanted. */
import type { StreamSocket } from '../../net/stream-socket.ts';
import type { Cluster, UpstreamFailure, UpstreamHost } from '../../types.ts';
import type { Pool } from '../contract.ts';
import { H1ClientConnection } from '../h1/client.ts';
import { H2ClientConnection } from '../h2/client.ts';
import type { Timers } from '../timers.ts';
import type { PoolClient, PoolConnection, PoolOwner } from './contract.ts';
import { TunnelConnection } from './tunnel.ts';

/** `alpn`: what TLS negotiates decides. */
export type PoolProtocol = 'http1' | 'http2' | 'alpn';

export interface PoolTarget {
  readonly cluster: Cluster;
  readonly host: UpstreamHost;
  readonly protocol: PoolProtocol;
  /** Offered to TLS in place of what the cluster names; undefined: the cluster's. */
  readonly alpn?: readonly string[] | undefined;
}

export class HttpPool implements Pool, PoolOwner {
  readonly cluster: Cluster;
  readonly host: UpstreamHost;
  readonly timers: Timers;
  readonly #protocol: PoolProtocol;
  readonly #alpn: readonly string[] | undefined;
  readonly #empty: (pool: HttpPool) => void;
  readonly #idle: H1ClientConnection[] = [];
  readonly #multiplexed: H2ClientConnection[] = [];
  readonly #pending: PoolClient[] = [];
  readonly #connecting = new Set<() => void>();
  /** HTTP/1 connections and tunnels in use. */
  #busy = 0;
  #draining = false;

  constructor({ cluster, host, protocol, alpn }: PoolTarget, timers: Timers, empty: (pool: HttpPool) => void) {
    this.cluster = cluster;
    this.host = host;
    this.#protocol = protocol;
    this.#alpn = alpn;
    this.timers = timers;
    this.#empty = empty;
  }

  /** A stream for `client`, now or when a connection is there. */
  acquire(client: PoolClient): void {
    if (client.tunnel) {
      this.#connect(client);
      return;
    }
    if (this.#serve(client)) return;
    const { pending } = this.cluster.limits;
    if (pending.used >= pending.max) {
      this.cluster.stats.upstreamRqPendingOverflow++;
      client.poolFailed({ kind: 'overflow' });
      return;
    }
    pending.used++;
    this.#pending.push(client);
    this.#grow();
  }

  /** A client that waits no longer. */
  cancel(client: PoolClient): void {
    const at = this.#pending.indexOf(client);
    if (at < 0) return;
    this.#pending.splice(at, 1);
    this.cluster.limits.pending.used--;
    this.#settle();
  }

  /** Lets running requests end and closes what is idle; for a host or cluster that is gone. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const connection of this.#idle.splice(0)) connection.close();
    for (const connection of this.#multiplexed.slice()) connection.drain();
    this.#settle();
  }

  released(connection: H1ClientConnection): void {
    this.#busy--;
    connection.idle = true;
    const { maxRequestsPerConnection: most } = this.cluster;
    if (this.#draining || (most > 0 && connection.served >= most)) {
      connection.close();
      this.#grow();
      this.#settle();
      return;
    }
    const waiting = this.#next();
    if (waiting) this.#assign(connection, waiting);
    else {
      this.#idle.push(connection);
      connection.rest(this.cluster.idleTimeoutMs);
    }
  }

  closed(connection: PoolConnection): void {
    if (connection.kind === 'multiplexed') {
      const at = this.#multiplexed.indexOf(connection as H2ClientConnection);
      if (at >= 0) this.#multiplexed.splice(at, 1);
    } else if (connection.kind === 'single' && connection.idle) {
      const at = this.#idle.lastIndexOf(connection as H1ClientConnection);
      if (at >= 0) this.#idle.splice(at, 1);
    } else this.#busy--;
    this.#grow();
    this.#settle();
  }

  available(): void {
    while (this.#pending.length > 0) {
      const client = this.#pending[0]!;
      const connection = this.#multiplexed.find((candidate) => candidate.hasRoom);
      if (!connection) return;
      this.#next();
      connection.open(client);
    }
  }

  #serve(client: PoolClient): boolean {
    for (let i = 0; i < this.#multiplexed.length; i++) {
      const connection = this.#multiplexed[i]!;
      if (!connection.hasRoom) continue;
      connection.open(client);
      return true;
    }
    const idle = this.#idle.pop();
    if (!idle) return false;
    this.#assign(idle, client);
    return true;
  }

  #assign(connection: H1ClientConnection, client: PoolClient): void {
    this.#busy++;
    connection.idle = false;
    connection.assign(client);
    client.poolReady(connection);
  }

  /** The client that has waited longest. */
  #next(): PoolClient | undefined {
    const client = this.#pending.shift();
    if (client) this.cluster.limits.pending.used--;
    return client;
  }

  /** Opens connections for those that wait, one each, as far as the limit goes; the first to a host is always allowed. */
  #grow(): void {
    if (this.#pending.length <= this.#connecting.size) return;
    if (this.#protocol === 'http2' && this.#connecting.size > 0) return;
    const { connections } = this.cluster.limits;
    const alone = this.#busy === 0 && this.#idle.length === 0 && this.#multiplexed.length === 0 && this.#connecting.size === 0;
    if (connections.used >= connections.max && !alone) {
      this.cluster.stats.upstreamCxOverflow++;
      return;
    }
    this.#connect(undefined);
  }

  /** `tunnel`: the client that has the connection to itself. */
  #connect(tunnel: PoolClient | undefined): void {
    const first = tunnel ?? this.#pending[0]!;
    const alpn = this.#protocol === 'http2' ? ['h2'] : this.#protocol === 'alpn' ? ['h2', 'http/1.1'] : ['http/1.1'];
    const options = {
      downstream: first.downstream,
      authority: first.authority,
      ...(tunnel ? {} : { alpn }),
      ...(this.#alpn ? { alpnInPlace: this.#alpn } : {}),
      ...(!tunnel && this.#protocol === 'http1' ? { halfOpen: true } : {}),
    };
    const abandon = this.cluster.connect(this.host, options, (failure, socket, negotiated) => {
      this.#connecting.delete(abandon);
      if (failure) {
        this.#failed(failure, tunnel);
        return;
      }
      if (tunnel) {
        this.#busy++;
        new TunnelConnection(this, socket, tunnel);
        return;
      }
      this.#connected(socket, negotiated);
    });
    this.#connecting.add(abandon);
  }

  #connected(socket: StreamSocket, negotiated: string): void {
    if (this.#protocol === 'http2' || (this.#protocol === 'alpn' && negotiated === 'h2')) {
      const connection = new H2ClientConnection(this, socket);
      this.#multiplexed.push(connection);
      connection.start();
      this.available();
      if (this.#draining) connection.drain();
      this.#grow();
      return;
    }
    this.#busy++;
    const connection = new H1ClientConnection(this, socket);
    this.released(connection);
    this.#grow();
    connection.start();
  }

  /** A host that can't be reached can't be reached for all that wait, or they would wait for ever. */
  #failed(failure: UpstreamFailure, tunnel: PoolClient | undefined): void {
    if (tunnel) tunnel.poolFailed(failure);
    else for (let count = this.#pending.length; count > 0; count--) this.#next()?.poolFailed(failure);
    this.#settle();
  }

  #settle(): void {
    if (this.#pending.length === 0 && this.#busy === 0 && this.#idle.length === 0 && this.#multiplexed.length === 0) {
      for (const abandon of this.#draining ? this.#connecting : []) abandon();
      if (this.#draining) this.#connecting.clear();
      if (this.#connecting.size === 0) this.#empty(this);
    }
  }
}
