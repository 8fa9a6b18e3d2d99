/** The HTTP connection manager: what a filter chain's terminal HTTP filter is to the listener. */
import type { HttpFilter } from '../../http/filters/filter.ts';
import { compileFilters } from '../../http/filters/index.ts';
import { type ManagerOptions, readOptions } from '../../http/options.ts';
import { compileRouteConfiguration, type RouteTable } from '../../http/routes/route.ts';
import type { HttpConnectionManager } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { copyDownstream } from '../copy-downstream.ts';
import type { StreamSocket } from '../net/stream-socket.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { ConnectionHandler, Downstream } from '../types.ts';
import type { HttpManagerDeps, ManagerCore, ServerConnection } from './contract.ts';
import { H1ServerConnection } from './h1/server.ts';
import { H2ServerConnection } from './h2/server.ts';
import { headLimit } from './server-timers.ts';
import { TimerEntry, type Timers } from './timers.ts';

export type { HttpManagerDeps, RouteSource } from './contract.ts';
export { createHttpPools, type HttpPools } from './pool/pools.ts';

/**
 * The terminal filter of a filter chain. Throws `xds-unsupported` for settings and filters that the data plane does not have, `xds-invalid` for what does
 * not decode: whoever compiles the listener refuses it.
 */
export function createHttpConnectionManager(config: HttpConnectionManager, deps: HttpManagerDeps): ConnectionHandler {
  return new Manager(config, deps);
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

class Manager implements ConnectionHandler, ManagerCore {
  readonly deps: HttpManagerDeps;
  readonly options: ManagerOptions;
  readonly filters: readonly HttpFilter[];
  readonly timers: Timers;
  readonly tracer: Tracer | undefined;
  readonly routes: () => RouteTable | undefined;
  readonly #connections = new Set<ServerConnection>();
  readonly #sniffing = new Set<StreamSocket>();
  #draining = false;
  #date = '';
  #dateUntil = 0;

  constructor(config: HttpConnectionManager, deps: HttpManagerDeps) {
    this.deps = deps;
    this.options = readOptions(config);
    this.filters = compileFilters(config, this.options);
    this.timers = deps.pools.timers;
    this.tracer = this.options.tracing && deps.tracer?.(this.options.tracing);
    this.routes = routeSource(config, deps);
  }

  get active(): number {
    return this.#connections.size + this.#sniffing.size;
  }

  onConnection(downstream: Downstream): void {
    const { codec } = this.options;
    if (codec === 'http2' || downstream.alpn === 'h2') this.#open(H2ServerConnection, downstream);
    else if (codec === 'http1' || downstream.alpn === 'http/1.1') this.#open(H1ServerConnection, downstream);
    else this.#sniff(downstream);
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
  }

  date(): string {
    const now = this.deps.now();
    if (now >= this.#dateUntil) {
      const epoch = this.deps.timeOrigin + now;
      this.#date = new Date(epoch).toUTCString();
      this.#dateUntil = now + 1000 - (epoch % 1000);
    }
    return this.#date;
  }

  #open(Connection: typeof H1ServerConnection | typeof H2ServerConnection, downstream: Downstream): void {
    const connection = new Connection(this, downstream, this.#closed);
    if (this.#finished.delete(connection)) return;
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
  }

  /** Connections that ended while they were being made. */
  readonly #finished = new Set<ServerConnection>();
  readonly #closed = (connection: ServerConnection): void => {
    if (!this.#connections.delete(connection)) this.#finished.add(connection);
  };

  /** Tells HTTP/2 by its preface; as soon as the bytes differ from it, it is HTTP/1. */
  #sniff(downstream: Downstream): void {
    const { socket } = downstream;
    let seen = downstream.head ?? Buffer.alloc(0);
    const at = codecOf(seen);
    if (at) {
      this.#open(at, downstream);
      return;
    }
    this.#sniffing.add(socket);
    const stop = (): void => {
      this.#sniffing.delete(socket);
      socket.pause();
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.off('error', onEnd);
      socket.off('close', onEnd);
      this.timers.disarm(idle);
      this.timers.disarm(unfinished);
    };
    const onEnd = (): void => {
      stop();
      socket.on('error', () => undefined);
      socket.destroy();
    };
    const onData = (data: Buffer): void => {
      if (seen.length === 0) begin();
      seen = seen.length > 0 ? Buffer.concat([seen, data]) : data;
      const codec = codecOf(seen);
      if (!codec) return;
      stop();
      this.#open(codec, copyDownstream(downstream, seen, downstream.remoteAddress, downstream.reenter));
    };
    const { idleMs } = this.options;
    const idle = new TimerEntry(onEnd);
    const unfinished = new TimerEntry(onEnd);
    // From the first byte on it is a head, and has no more time than one.
    const begin = (): void => {
      this.timers.disarm(idle);
      this.timers.arm(unfinished, headLimit(this.options).ms);
    };
    if (seen.length > 0) begin();
    else if (idleMs > 0) this.timers.arm(idle, idleMs);
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('error', onEnd);
    socket.on('close', onEnd);
    socket.resume();
  }
}

/** Undefined as long as the bytes may become either. */
function codecOf(seen: Buffer): typeof H1ServerConnection | typeof H2ServerConnection | undefined {
  const common = Math.min(seen.length, PREFACE.length);
  if (seen.compare(PREFACE, 0, common, 0, common) !== 0) return H1ServerConnection;
  return common === PREFACE.length ? H2ServerConnection : undefined;
}

/** Inline routes are compiled here; named ones are looked up at each request. */
function routeSource(config: HttpConnectionManager, { routes }: HttpManagerDeps): () => RouteTable | undefined {
  if (config.routeSpecifier.case === 'routeConfig') {
    const table = compileRouteConfiguration(config.routeSpecifier.value);
    return () => table;
  }
  const name = config.routeSpecifier.case === 'rds' ? config.routeSpecifier.value.routeConfigName : '';
  return () => routes.get(name);
}
