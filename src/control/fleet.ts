/** Where the loop's publications go, and the proxies of this process: those that are wanted, and those that go when nobody needs them any more. */
import type { Engine, Refusal } from '../engine/contract.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Mesh } from '../translate/model.ts';
import { type Acknowledgement, type Publication, SetCache } from '../xds/cache.ts';
import { ProxyRunner, type Settled } from './proxy-runner.ts';

/** A publication that says which turn of the loop it belongs to; turns count from 1. */
export interface TurnPublication extends Publication {
  readonly turn: { readonly number: number };
}

/** One proxy that is wanted. */
export interface FleetProxy<P> {
  readonly identity: ProxyIdentity;
  /** What it took over last; undefined until there is something. */
  readonly settled: Settled<P> | undefined;
}

/** The proxies that run what the loop publishes. */
export interface Fleet<P extends TurnPublication> {
  /** The wanted ones, in the order in which they were wanted first. */
  readonly proxies: readonly FleetProxy<P>[];
  /** The publications of a turn, one for each proxy that is wanted from now on, by its key. */
  publish(publications: ReadonlyMap<string, { readonly identity: ProxyIdentity; readonly publication: P }>, turn: number): void;
  /** Ends those that were not wanted any more by this turn. */
  retire(turn: number): void;
  reopenLogs(): Promise<void>;
  /** Drains and ends every proxy. */
  close(graceMs: number): Promise<void>;
}

/** A proxy and what it is to run. */
export interface Joined<P> {
  readonly identity: ProxyIdentity;
  readonly publication: P;
}

/** The loop, for a fleet. */
export interface FleetHost<P extends TurnPublication> {
  /**
   * What a proxy gets, of the newest input, that is wanted since; whoever asks has it among the proxies of the next one. Throws `xds-unavailable` before
   * there is any input, and what translation throws.
   */
  readonly join: (of: (mesh: Mesh) => ProxyIdentity) => Joined<P>;
  /** Makes what such proxies would get, of the newest input, without anybody getting it: class by class, as long as `goOn` holds. */
  readonly prepare: (of: (mesh: Mesh) => readonly ProxyIdentity[], goOn: () => boolean) => void;
  /** Other proxies are wanted: publishes the newest input anew. */
  readonly renew: () => void;
  /** `proxies` says something else than before: one came, or has refused something. */
  readonly changed: () => void;
  /** A proxy has made something of a publication; by then `proxies` says what. */
  readonly acknowledged: (answer: Acknowledgement<P, Refusal>) => void;
  readonly ended: (proxy: ProxyIdentity, error: Error) => void;
}

export type OpenFleet = <P extends TurnPublication>(host: FleetHost<P>) => Fleet<P>;

export interface EngineFleetOptions {
  readonly startEngine: (key: string, identity: ProxyIdentity) => Promise<Engine>;
  /** Time for running requests of a proxy that is no longer wanted, ms. */
  readonly graceMs: number;
}

/** Proxies with an engine each. */
export function engineFleet(options: EngineFleetOptions): OpenFleet {
  return (host) => new EngineFleet({ ...options, ...host });
}

class EngineFleet<P extends TurnPublication> implements Fleet<P> {
  readonly #options: EngineFleetOptions & FleetHost<P>;
  readonly #cache = new SetCache<P, Refusal>();
  readonly #wanted = new Map<string, ProxyRunner<P>>();
  /** No longer wanted since a turn; they serve until every other proxy has taken that turn over, and so sends nothing there any more. */
  readonly #retiring = new Map<string, { readonly runner: ProxyRunner<P>; readonly since: number }>();
  readonly #closing = new Map<string, Promise<void>>();

  constructor(options: EngineFleetOptions & FleetHost<P>) {
    this.#options = options;
  }

  get proxies(): readonly ProxyRunner<P>[] {
    return [...this.#wanted.values()];
  }

  /** Those of a key that stays keep their engine. */
  publish(publications: ReadonlyMap<string, { readonly identity: ProxyIdentity; readonly publication: P }>, turn: number): void {
    for (const [key, runner] of this.#wanted) {
      if (publications.has(key)) continue;
      this.#wanted.delete(key);
      this.#cache.withdraw(key);
      this.#retiring.set(key, { runner, since: turn });
    }
    for (const [key, { identity, publication }] of publications) {
      this.#cache.publish(key, publication);
      const runner = this.#wanted.get(key) ?? this.#retiring.get(key)?.runner ?? this.#start(key, identity);
      this.#retiring.delete(key);
      this.#wanted.set(key, runner);
      runner.identity = identity;
    }
  }

  retire(turn: number): void {
    for (const [key, { runner, since }] of this.#retiring) {
      if (since > turn) continue;
      this.#retiring.delete(key);
      const closed = runner.close(this.#options.graceMs).catch(() => {});
      this.#closing.set(key, closed);
      void closed.then(() => this.#closing.get(key) === closed && this.#closing.delete(key));
    }
  }

  async reopenLogs(): Promise<void> {
    await Promise.all([...this.proxies, ...[...this.#retiring.values()].map(({ runner }) => runner)].map((runner) => runner.reopenLogs()));
  }

  async close(graceMs: number): Promise<void> {
    const all = [...this.#wanted.values(), ...[...this.#retiring.values()].map(({ runner }) => runner)];
    this.#wanted.clear();
    this.#retiring.clear();
    await Promise.all([...all.map((runner) => runner.close(graceMs)), ...this.#closing.values()]);
  }

  #start(key: string, identity: ProxyIdentity): ProxyRunner<P> {
    const { startEngine, acknowledged, ended } = this.#options;
    const before = this.#closing.get(key);
    return new ProxyRunner<P>({
      key,
      identity,
      cache: this.#cache,
      // One that is just ending still has its ports.
      start: async () => {
        await before;
        return startEngine(key, identity);
      },
      acknowledged,
      ended: (error) => ended(identity, error),
    });
  }
}

/** The turn that every proxy has taken over, or a later one; of none at all, undefined. */
export function settledTurn<P extends TurnPublication>(proxies: readonly FleetProxy<P>[]): P['turn'] | undefined {
  let oldest: P['turn'] | undefined;
  for (const { settled } of proxies) {
    if (!settled) return undefined;
    const { turn } = settled.publication;
    if (!oldest || turn.number < oldest.number) oldest = turn;
  }
  return oldest;
}
