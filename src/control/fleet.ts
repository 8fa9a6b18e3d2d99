/** The proxies of this process: those that are wanted, and those that go when nobody needs them any more. */
import type { Engine, Refusal } from '../engine/contract.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { type Acknowledgement, type Publication, SetCache } from '../xds/cache.ts';
import { ProxyRunner } from './proxy-runner.ts';

/** A publication that says which turn of the loop it belongs to; turns count from 1. */
export interface TurnPublication extends Publication {
  readonly turn: { readonly number: number };
}

export interface FleetOptions<P extends TurnPublication> {
  readonly startEngine: (key: string, identity: ProxyIdentity) => Promise<Engine>;
  /** Time for running requests of a proxy that is no longer wanted, ms. */
  readonly graceMs: number;
  readonly acknowledged: (answer: Acknowledgement<P, Refusal>) => void;
  readonly ended: (proxy: ProxyIdentity, error: Error) => void;
}

export class Fleet<P extends TurnPublication> {
  readonly #options: FleetOptions<P>;
  readonly #cache = new SetCache<P, Refusal>();
  readonly #wanted = new Map<string, ProxyRunner<P>>();
  /** No longer wanted since a turn; they serve until every other proxy has taken that turn over, and so sends nothing there any more. */
  readonly #retiring = new Map<string, { readonly runner: ProxyRunner<P>; readonly since: number }>();
  readonly #closing = new Map<string, Promise<void>>();

  constructor(options: FleetOptions<P>) {
    this.#options = options;
  }

  /** The wanted ones, in the order in which they were wanted first. */
  get runners(): readonly ProxyRunner<P>[] {
    return [...this.#wanted.values()];
  }

  /** The publications of a turn, one for each proxy that is wanted from now on. Those of a key that stays keep their engine. */
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

  /** The turn that every wanted proxy has taken over, or a later one; of none at all, undefined. */
  settledTurn(): P['turn'] | undefined {
    let oldest: P['turn'] | undefined;
    for (const { settled } of this.#wanted.values()) {
      if (!settled) return undefined;
      const { turn } = settled.publication;
      if (!oldest || turn.number < oldest.number) oldest = turn;
    }
    return oldest;
  }

  /** Ends those that were not wanted any more by this turn. */
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
    await Promise.all([...this.runners, ...[...this.#retiring.values()].map(({ runner }) => runner)].map((runner) => runner.reopenLogs()));
  }

  /** Drains and ends every proxy. */
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
