/** The lists that a source follows, each with what is to be said of it while it can't be followed. */
import { messageOf } from '../../lib/errors.ts';
import type { Finding } from '../../lib/finding.ts';
import type { ApiClient } from './client.ts';
import type { ClusterObjects, Listing } from './cluster-objects.ts';
import { isStatus } from './errors.ts';
import { type ListedPath, type ReflectorTimes, reflect } from './reflector.ts';

/** A list that is to be followed. */
export interface Wanted extends ListedPath {
  /** As messages name it, e.g. `virtualservices.networking.istio.io`. */
  readonly name: string;
  readonly listing: Listing;
  /** What it means that this user may not read it. */
  forbidden(said: string): readonly Finding[];
}

interface State {
  readonly wanted: Wanted;
  readonly abort: AbortController;
  /** Resolves once it has been read, or may not be; rejects with why it can't be read the first time. */
  readonly ready: Promise<void>;
  /** Whether it was ever read to its end. */
  read: boolean;
  /** Since when it is not kept up with, ms since the epoch, and why. */
  lost: { readonly since: number; readonly why: string } | undefined;
}

/** What can't be followed just now. */
export interface Lost {
  readonly name: string;
  readonly since: number;
  readonly why: string;
}

export class FollowedLists {
  readonly #client: ApiClient;
  readonly #objects: ClusterObjects;
  readonly #changed: () => void;
  readonly #times: ReflectorTimes;
  readonly #states = new Map<string, State>();

  /** @param changed called whenever something came, was lost or is followed again */
  constructor(client: ApiClient, objects: ClusterObjects, changed: () => void, times: ReflectorTimes) {
    this.#client = client;
    this.#objects = objects;
    this.#changed = changed;
    this.#times = times;
  }

  has(name: string): boolean {
    return this.#states.has(name);
  }

  names(): readonly string[] {
    return [...this.#states.keys()];
  }

  /** Those that were read and are not kept up with. */
  lost(): readonly Lost[] {
    return [...this.#states.values()].flatMap(({ wanted: { name }, read, lost }) => (read && lost ? [{ name, ...lost }] : []));
  }

  /** Begins to follow it; resolves once it has been read, or may not be. Rejects if it can't be read for another reason; it is tried again then. */
  follow(wanted: Wanted, read = false): Promise<void> {
    const known = this.#states.get(wanted.name);
    if (known) return known.ready;
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const abort = new AbortController();
    const state: State = { wanted, abort, ready, read, lost: undefined };
    this.#states.set(wanted.name, state);
    // Whoever does not wait for it hears of it from `lost`, or from the finding.
    ready.catch(() => undefined);
    const { listing, name } = wanted;
    const told = {
      object: (value: Record<string, unknown>) => listing.object(value),
      restarted: () => listing.restarted(),
      complete: () => {
        listing.complete();
        state.read = true;
        this.#changed();
      },
      changed: (value: Record<string, unknown>) => {
        listing.changed(value);
        this.#changed();
      },
      deleted: (value: Record<string, unknown>) => {
        listing.deleted(value);
        this.#changed();
      },
      failed: (error: unknown) => {
        state.lost ??= { since: Date.now(), why: messageOf(error) };
        const forbidden = isStatus(error, 403);
        if (forbidden && !state.read) this.#objects.report(name, wanted.forbidden(messageOf(error)));
        this.#changed();
        if (forbidden) resolve();
        else reject(error);
      },
      following: () => {
        if (state.lost) this.#changed();
        state.lost = undefined;
        this.#objects.report(name, []);
        resolve();
      },
    };
    void reflect(this.#client, wanted, told, abort.signal, this.#times);
    return ready;
  }

  /** Follows it no more. */
  drop(name: string, forget: boolean): void {
    const state = this.#states.get(name);
    if (!state) return;
    state.abort.abort();
    this.#states.delete(name);
    this.#objects.report(name, []);
    if (!forget) return;
    state.wanted.listing.restarted();
    state.wanted.listing.complete();
    this.#changed();
  }

  /** Reads all of them anew. Rejects if one can't be read. */
  async restart(): Promise<void> {
    const all = [...this.#states.values()];
    for (const { abort } of all) abort.abort();
    this.#states.clear();
    await Promise.all(all.map(({ wanted, read }) => this.follow(wanted, read)));
  }

  close(): void {
    for (const { abort } of this.#states.values()) abort.abort();
    this.#states.clear();
  }
}
