/** The listeners in force. */
import { codeOf } from '../../lib/errors.ts';
import type { Listener as ListenerConfig } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { compileListeners, type ListenerTable } from '../../xds/match/listener.ts';
import type { Address } from '../types.ts';
import { type ListenerEnvironment, ProxyListener, socketKey } from './listener.ts';

export class Listeners {
  readonly #listeners = new Map<string, { readonly version: string; readonly listener: ProxyListener }>();
  /** Replaced or removed, still with connections. */
  readonly #draining = new Set<ProxyListener>();
  readonly #env: ListenerEnvironment;
  #table: ListenerTable<ProxyListener> = compileListeners([]);

  constructor(env: Omit<ListenerEnvironment, 'handOff'>) {
    this.#env = { ...env, handOff: ({ ip, port }: Address) => this.#table.match(ip, port) };
  }

  *all(): Iterable<ProxyListener> {
    for (const { listener } of this.#listeners.values()) yield listener;
  }

  get active(): number {
    let sum = 0;
    for (const listener of [...this.all(), ...this.#draining]) sum += listener.active;
    return sum;
  }

  /**
   * Puts a listener in force. A socket whose address stays is kept, and with it connections that wait to be accepted; so is one of a listener that
   * `leaves` with the same update. Rejects when the configuration cannot be honoured or the address cannot be had; the last good version then stays.
   */
  async set(config: ListenerConfig, version: string, leaving: readonly string[]): Promise<void> {
    const old = this.#listeners.get(config.name);
    if (old?.version === version) return;
    if (old && old.listener.socketKey === socketKey(config)) {
      old.listener.update(config);
      this.#listeners.set(config.name, { version, listener: old.listener });
    } else {
      const listener = new ProxyListener(config, this.#env);
      const giving = leaving
        .map((name) => this.#listeners.get(name)?.listener)
        .find((candidate) => candidate !== undefined && candidate.socketKey === listener.socketKey);
      if (giving) listener.adopt(giving);
      else await this.#listen(listener, old?.listener);
      this.#listeners.set(config.name, { version, listener });
      if (old) this.#retire(old.listener);
    }
    this.#rebuild();
  }

  async #listen(listener: ProxyListener, old: ProxyListener | undefined): Promise<void> {
    try {
      await listener.listen();
    } catch (error) {
      // The old addresses may stand in the way of the new ones (0.0.0.0 and 127.0.0.1 on one port).
      if (!old || codeOf(error) !== 'port-in-use') throw error;
      old.stop();
      try {
        await listener.listen();
      } catch (again) {
        await old.listen();
        throw again;
      }
    }
  }

  delete(name: string): void {
    const old = this.#listeners.get(name);
    if (!old) return;
    this.#listeners.delete(name);
    this.#retire(old.listener);
    this.#rebuild();
  }

  #retire(listener: ProxyListener): void {
    for (const gone of this.#draining) if (gone.active === 0) this.#draining.delete(gone);
    listener.drain();
    if (listener.active > 0) this.#draining.add(listener);
  }

  #rebuild(): void {
    this.#table = compileListeners([...this.all()].map((listener) => ({ config: listener.config, value: listener })));
  }

  drain(): void {
    for (const listener of this.all()) listener.drain();
  }

  close(): void {
    for (const listener of [...this.all(), ...this.#draining]) listener.close();
    this.#listeners.clear();
    this.#draining.clear();
  }
}
