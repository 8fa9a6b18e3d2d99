/**
 * The listeners in force. A sidecar has one for each captured address, thousands of them, and few are ever used: one that is small and has no socket of its
 * own is checked when it comes, stays as bytes, and is made when the first connection is handed to it.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { codeOf } from '../../lib/errors.ts';
import { type Pace, paced } from '../../lib/pace.ts';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { addressKeys, type ListenerTable, tableOfAddresses } from '../../xds/match/listener.ts';
import { refusalOf } from '../../xds/match/metadata.ts';
import { listenerStatName } from '../stats/listener.ts';
import type { Address, Downstream, InternalWay } from '../types.ts';
import type { ActiveChain } from './chain.ts';
import type { ListenerEnvironment, ListenerStats } from './contract.ts';
import { ProxyListener, socketKey } from './listener.ts';
import { compilePlan, decodeListener, isInternal, type ListenerPlan } from './plan.ts';

type State = { readonly kind: 'encoded'; readonly bytes: Uint8Array } | { readonly kind: 'made'; readonly listener: ProxyListener };

interface Entry {
  readonly name: string;
  readonly version: string;
  /** Where connections are handed to it. */
  readonly keys: readonly string[];
  readonly socketKey: string;
  readonly statName: string;
  state: State;
}

/** A listener as admin endpoints and statistics show it. */
export interface ListenerSummary {
  readonly name: string;
  readonly statName: string;
  readonly addresses: readonly Address[];
  readonly active: number;
  readonly stats: ListenerStats;
}

/** Bytes up to which a listener is made so quickly that a connection may wait for it. */
const SMALL = 4096;

const NOTHING_COUNTED: ListenerStats = Object.freeze({
  downstreamCxTotal: 0,
  noFilterChainMatch: 0,
  downstreamPreCxTimeout: 0,
  sslHandshakeError: 0,
});

export class Listeners {
  readonly #listeners = new Map<string, Entry>();
  /** Of listeners whose newest version is refused: closes what comes to addresses that no good version has. */
  readonly #shut = new Map<string, Entry>();
  /** Replaced or removed, still with connections. */
  readonly #draining = new Set<ProxyListener>();
  readonly #env: ListenerEnvironment;
  readonly #pace: Pace;
  /** Made when it is first looked into after a change: an update changes many listeners, one after the other. */
  #table: ListenerTable<Entry> | undefined;
  #closed = false;

  /** `pace`: rests between the steps of an update. */
  constructor(env: Omit<ListenerEnvironment, 'handOff'>, pace: Pace) {
    this.#env = { ...env, handOff: (address: Address) => this.at(address) };
    this.#pace = pace;
  }

  *all(): Iterable<ListenerSummary> {
    for (const { name, statName, state } of this.#entries()) {
      if (state.kind === 'encoded') yield { name, statName, addresses: [], active: 0, stats: NOTHING_COUNTED };
      else yield { name, statName, addresses: state.listener.addresses, active: state.listener.active, stats: state.listener.stats };
    }
  }

  get active(): number {
    let sum = 0;
    for (const listener of [...this.#made(), ...this.#draining]) sum += listener.active;
    return sum;
  }

  *#entries(): Iterable<Entry> {
    yield* this.#listeners.values();
    yield* this.#shut.values();
  }

  *#made(): Iterable<ProxyListener> {
    for (const { state } of this.#entries()) if (state.kind === 'made') yield state.listener;
  }

  /** The listener that takes connections to a restored destination; undefined: the one that accepted them. */
  at({ ip, port }: Address): ProxyListener | undefined {
    this.#table ??= tableOfAddresses([...this.#entries()].map((value) => ({ keys: value.keys, value })));
    const entry = this.#table.match(ip, port);
    if (!entry) return undefined;
    if (entry.state.kind === 'made') return entry.state.listener;
    const listener = new ProxyListener(this.#planOf(entry.state.bytes), this.#env);
    entry.state = { kind: 'made', listener };
    return listener;
  }

  /** The chain to which such a connection would come now; undefined: none would take it, `unknown`: what accepted it is gone. */
  chainFor({ arrival, localAddress, localAddressRestored, remoteAddress, serverName }: Downstream): ActiveChain | undefined | 'unknown' {
    const state = arrival && this.#listeners.get(arrival.accepting)?.state;
    if (!arrival || state?.kind !== 'made') return 'unknown';
    const accepting = state.listener.plan;
    const { plan } = (accepting.config.useOriginalDst && localAddressRestored && this.at(localAddress)) || state.listener;
    const chain = plan.match({
      destinationIp: localAddress.ip,
      destinationPort: localAddress.port,
      sourceIp: remoteAddress.ip,
      sourcePort: remoteAddress.port,
      serverName,
      transportProtocol: arrival.transportProtocol,
      applicationProtocols: arrival.applicationProtocols,
    });
    return chain?.get();
  }

  /** What connections to an internal listener are made by; undefined: there is none of that name. */
  internal(name: string): InternalWay | undefined {
    const state = this.#listeners.get(name)?.state;
    if (state?.kind !== 'made' || !isInternal(state.listener.plan.config)) return undefined;
    const { config, chains } = state.listener.plan;
    return { dial: chains[0]!.get().handler.dial, refusal: refusalOf(config.metadata) };
  }

  /** Of bytes that were checked when they came. */
  #planOf(bytes: Uint8Array): ListenerPlan {
    const step = compilePlan(decodeListener(bytes), this.#env, undefined, true).next();
    if (!step.done) throw new Error('a listener that was checked is checked again');
    return step.value;
  }

  /**
   * Puts a listener in force. A socket whose address stays is kept, and with it connections that wait to be accepted; so is one of a listener that
   * `leaves` with the same update. Rejects when the configuration cannot be honoured or the address cannot be had; the last good version then stays.
   * Connections that are handed to addresses which it does not have are closed: else they would go to the listener for what nothing declares, which may let
   * them out.
   */
  async set(name: string, bytes: Uint8Array, version: string, leaving: readonly string[]): Promise<void> {
    const old = this.#listeners.get(name);
    if (old?.version === version) return;
    try {
      await this.#replace(old, name, bytes, version, leaving);
    } catch (error) {
      this.#forget(this.#shut, name);
      if (!this.#closed) this.#shutInPlaceOf(name, bytes);
      throw error;
    }
    this.#forget(this.#shut, name);
  }

  /** In place of a listener that is refused: takes what is handed to it, and has no chain for it. */
  #shutInPlaceOf(name: string, bytes: Uint8Array): void {
    const { config } = decodeListener(bytes);
    if (config.bindToPort !== false) return;
    const { address, additionalAddresses, trafficDirection } = config;
    const shut = toBinary(
      ListenerSchema,
      create(ListenerSchema, { name, address, additionalAddresses, trafficDirection, bindToPort: false }),
    );
    this.#shut.set(name, {
      name,
      version: '',
      keys: addressKeys(config),
      socketKey: socketKey(config),
      statName: listenerStatName(config),
      state: { kind: 'encoded', bytes: shut },
    });
    this.#table = undefined;
  }

  async #replace(old: Entry | undefined, name: string, bytes: Uint8Array, version: string, leaving: readonly string[]): Promise<void> {
    const encoded = decodeListener(bytes);
    const { config } = encoded;
    const key = socketKey(config);
    const oldPlan = old?.state.kind === 'made' ? old.state.listener.plan : undefined;
    const plan = await paced(compilePlan(encoded, this.#env, oldPlan, false), this.#pace);
    if (this.#closed) return;
    const entry = (state: State): Entry => ({
      name,
      version,
      keys: addressKeys(config),
      socketKey: key,
      statName: listenerStatName(config),
      state,
    });
    // A connection may have come meanwhile.
    const current = old?.state.kind === 'made' ? old.state.listener : undefined;
    if (current && old?.socketKey === key) {
      current.update(plan);
      this.#put(entry({ kind: 'made', listener: current }));
    } else if (config.bindToPort === false && bytes.length <= SMALL) {
      this.#put(entry({ kind: 'encoded', bytes }));
      if (current) this.#retire(current);
    } else {
      const listener = new ProxyListener(plan, this.#env);
      const giving = this.#giving(leaving, key);
      if (giving) listener.adopt(giving);
      else await this.#listen(listener, current);
      this.#put(entry({ kind: 'made', listener }));
      if (current) this.#retire(current);
    }
  }

  #put(entry: Entry): void {
    this.#listeners.set(entry.name, entry);
    this.#table = undefined;
  }

  /** A listener that leaves and has the sockets that a new one needs. */
  #giving(leaving: readonly string[], key: string): ProxyListener | undefined {
    for (const name of leaving) {
      const entry = this.#listeners.get(name);
      if (entry?.state.kind === 'made' && entry.socketKey === key) return entry.state.listener;
    }
    return undefined;
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
    this.#forget(this.#listeners, name);
    this.#forget(this.#shut, name);
  }

  #forget(entries: Map<string, Entry>, name: string): void {
    const old = entries.get(name);
    if (!old) return;
    entries.delete(name);
    this.#table = undefined;
    if (old.state.kind === 'made') this.#retire(old.state.listener);
  }

  #retire(listener: ProxyListener): void {
    for (const gone of this.#draining) if (gone.active === 0) this.#draining.delete(gone);
    listener.drain();
    if (listener.active > 0) this.#draining.add(listener);
  }

  drain(): void {
    for (const listener of this.#made()) listener.drain();
  }

  close(): void {
    this.#closed = true;
    for (const listener of [...this.#made(), ...this.#draining]) listener.close();
    this.#listeners.clear();
    this.#shut.clear();
    this.#draining.clear();
    this.#table = undefined;
  }
}
