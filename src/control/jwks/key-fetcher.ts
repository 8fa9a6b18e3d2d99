/** Keeps the key sets that rules name by address: fetched when a source is first asked for, again every 20 minutes, and after a failure soon. */
import { messageOf } from '../../lib/errors.ts';
import type { FetchedKeys, KeySets, KeySource } from '../../translate/authorization/key-sources.ts';
import { fetchKeySet } from './key-set.ts';

/** As Istio's. */
const REFRESH_MS = 20 * 60_000;
/** After a failure; doubled with each that follows, up to the most. */
const RETRY_MS = 1_000;
const MOST_RETRY_MS = 5 * 60_000;
/** Keys that could not be fetched again for so long are trusted no more, as Istio's. */
const MOST_AGE_MS = 7 * 24 * 60 * 60_000;

export interface KeyFetcherOptions {
  /** Other keys, or none any more: what was translated with those before is out of date. */
  readonly changed: () => void;
  /** Keys that are in force could not be fetched again. */
  readonly failed: (error: unknown) => void;
  readonly fetch?: (source: KeySource) => Promise<string>;
  /** ms since the epoch */
  readonly now?: () => number;
}

interface Entry {
  source: KeySource;
  fetched: FetchedKeys | undefined;
  /** Failures since the last success. */
  failures: number;
  /** When the keys came, ms since the epoch. */
  cameAt: number;
  timer: NodeJS.Timeout | undefined;
  /** Settles when the first attempt has. */
  readonly first: Promise<void>;
}

export class KeyFetcher {
  readonly #options: Required<KeyFetcherOptions>;
  #entries = new Map<string, Entry>();
  #closed = false;

  constructor(options: KeyFetcherOptions) {
    this.#options = { fetch: fetchKeySet, now: Date.now, ...options };
  }

  /** What is there of these sources; from now on they are fetched and others are not. */
  want(sources: readonly KeySource[]): KeySets {
    const before = this.#entries;
    this.#entries = new Map();
    for (const source of sources) {
      const known = before.get(source.id);
      before.delete(source.id);
      if (known) known.source = source;
      this.#entries.set(source.id, known ?? this.#begin(source));
    }
    for (const { timer } of before.values()) clearTimeout(timer);
    return new Map([...this.#entries].flatMap(([id, { fetched }]) => (fetched ? [[id, fetched] as const] : [])));
  }

  /** Resolves when each source that is wanted has answered or failed once; undefined if all have. */
  get pending(): Promise<unknown> | undefined {
    const firsts = [...this.#entries.values()].flatMap(({ fetched, first }) => (fetched ? [] : [first]));
    return firsts.length > 0 ? Promise.all(firsts) : undefined;
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#entries.values()) clearTimeout(timer);
  }

  #begin(source: KeySource): Entry {
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry: Entry = { source, fetched: undefined, failures: 0, cameAt: 0, timer: undefined, first: promise };
    void this.#attempt(entry).finally(resolve);
    return entry;
  }

  async #attempt(entry: Entry): Promise<void> {
    const { fetch, now, failed, changed } = this.#options;
    const before = entry.fetched;
    let wait = REFRESH_MS;
    try {
      entry.fetched = { jwks: await fetch(entry.source) };
      entry.cameAt = now();
      entry.failures = 0;
    } catch (error) {
      wait = Math.min(RETRY_MS * 2 ** entry.failures++, MOST_RETRY_MS);
      const tooOld = now() - entry.cameAt > MOST_AGE_MS;
      // The first reason stays: what follows is most often the same in other words.
      if (!before || ('jwks' in before && tooOld)) entry.fetched = { problem: messageOf(error) };
      else if ('jwks' in before && entry.failures === 1) failed(error);
    }
    if (this.#closed || this.#entries.get(entry.source.id) !== entry) return;
    entry.timer = setTimeout(() => void this.#attempt(entry), wait).unref();
    if (!same(before, entry.fetched)) changed();
  }
}

function same(one: FetchedKeys | undefined, other: FetchedKeys | undefined): boolean {
  if (!one || !other) return one === other;
  return 'jwks' in one ? 'jwks' in other && one.jwks === other.jwks : !('jwks' in other);
}
