/** The HTTP connection manager: what a filter chain's terminal HTTP filter is to the listener. */
import type { HttpFilter } from '../../http/filters/filter.ts';
import { compileFilters } from '../../http/filters/index.ts';
import { type ManagerOptions, readOptions } from '../../http/options.ts';
import { compileRouteConfiguration, type RouteTable } from '../../http/routes/route.ts';
import type { HttpConnectionManager } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { Tracer } from '../tracing/tracer.ts';
import type { ConnectionHandler, Downstream } from '../types.ts';
import type { HttpManagerDeps, ManagerCore, ServerConnection } from './contract.ts';
import { H1ServerConnection } from './h1/server.ts';
import { H2ServerConnection } from './h2/server.ts';
import { type Begun, type Codec, codecOf, Sniffer } from './sniffer.ts';
import type { Timers } from './timers.ts';

export type { HttpManagerDeps, RouteSource } from './contract.ts';
export { createHttpPools, type HttpPools } from './pool/pools.ts';

/**
 * The terminal filter of a filter chain. Throws `xds-unsupported` for settings and filters that the data plane does not have, `xds-invalid` for what does
 * not decode: whoever compiles the listener refuses it.
 */
export function createHttpConnectionManager(config: HttpConnectionManager, deps: HttpManagerDeps): ConnectionHandler {
  return new Manager(config, deps);
}

class Manager implements ConnectionHandler, ManagerCore {
  readonly deps: HttpManagerDeps;
  readonly options: ManagerOptions;
  readonly filters: readonly HttpFilter[];
  readonly timers: Timers;
  readonly tracer: Tracer | undefined;
  readonly routes: () => RouteTable | undefined;
  readonly #connections = new Set<ServerConnection>();
  readonly #sniffing = new Set<Sniffer>();
  #draining = false;
  #date = '';
  #dateUntil = 0;

  constructor(config: HttpConnectionManager, deps: HttpManagerDeps) {
    this.deps = deps;
    this.options = readOptions(config);
    this.filters = compileFilters(config, this.options, deps);
    this.timers = deps.pools.timers;
    this.tracer = this.options.tracing && deps.tracer?.(this.options.tracing);
    this.routes = routeSource(config, deps);
  }

  get active(): number {
    return this.#connections.size + this.#sniffing.size;
  }

  onConnection(downstream: Downstream): void {
    const { codec } = this.options;
    if (codec === 'http2' || downstream.alpn === 'h2') this.#open('http2', downstream);
    else if (codec === 'http1' || downstream.alpn === 'http/1.1') this.#open('http1', downstream);
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

  #open(codec: Codec, downstream: Downstream, begun?: Begun): void {
    const Connection = codec === 'http2' ? H2ServerConnection : H1ServerConnection;
    const connection = new Connection(this, downstream, this.#closed, begun);
    if (this.#finished.delete(connection)) return;
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
  }

  /** Connections that ended while they were being made. */
  readonly #finished = new Set<ServerConnection>();
  readonly #closed = (connection: ServerConnection): void => {
    if (!this.#connections.delete(connection)) this.#finished.add(connection);
  };

  #sniff(downstream: Downstream): void {
    const { head, reenter } = downstream;
    // What the explicit proxy has read is the head of a request.
    const codec = reenter ? 'http1' : head && codecOf(head);
    if (codec) {
      this.#open(codec, downstream);
      return;
    }
    const sniffer = new Sniffer(downstream, this.timers, this.options, (sniffed, found) => {
      this.#sniffing.delete(sniffed);
      if (found) this.#open(found, downstream, sniffed.begun);
    });
    this.#sniffing.add(sniffer);
  }
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
