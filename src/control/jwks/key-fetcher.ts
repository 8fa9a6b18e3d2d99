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
  readonly first: PromiseWithResolvers<void>;
  /** Whether what is published asks for it: only then others are told of a change. */
  wanted: boolean;
  /** How many inputs wait for the first attempt. */
  awaited: number;
}

export class KeyFetcher {
  readonly #options: Required<KeyFetcherOptions>;
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(options: KeyFetcherOptions) {
    this.#options = { fetch: fetchKeySet, now: Date.now, ...options };
  }

  /**
   * Begins to fetch those of the sources that are not known yet. Resolves when each of them has answered or failed once, which takes its timeout at most;
   * undefined if all have.
   */
  expect(sources: readonly KeySource[]): Promise<unknown> | undefined {
    const open = sources.map((source) => this.#entry(source)).filter(({ fetched }) => fetched === undefined);
    if (open.length === 0) return undefined;
    for (const entry of open) entry.awaited++;
    return Promise.all(open.map(({ first }) => first.promise)).finally(() => {
      for (const entry of open) entry.awaited--;
    });
  }

  /** What is there of these sources; from now on they are fetched, and others only as long as somebody awaits them. */
  want(sources: readonly KeySource[]): KeySets {
    const wanted = sources.map((source) => this.#entry(source));
    const ids = new Set(sources.map(({ id }) => id));
    for (const [id, entry] of this.#entries) {
      entry.wanted = ids.has(id);
      if (entry.wanted || entry.awaited > 0) continue;
      clearTimeout(entry.timer);
      this.#entries.delete(id);
    }
    return new Map(wanted.flatMap(({ source, fetched }) => (fetched ? [[source.id, fetched] as const] : [])));
  }

  /** Nobody waits any longer. */
  close(): void {
    this.#closed = true;
    for (const { timer, first } of this.#entries.values()) {
      clearTimeout(timer);
      first.resolve();
    }
  }

  #entry(source: KeySource): Entry {
    const known = this.#entries.get(source.id);
    if (known) {
      known.source = source;
      return known;
    }
    const entry: Entry = {
      source,
      fetched: undefined,
      failures: 0,
      cameAt: 0,
      timer: undefined,
      first: Promise.withResolvers(),
      wanted: false,
      awaited: 0,
    };
    this.#entries.set(source.id, entry);
    void this.#attempt(entry).finally(entry.first.resolve);
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
    if (entry.wanted && !same(before, entry.fetched)) changed();
  }
}

function same(one: FetchedKeys | undefined, other: FetchedKeys | undefined): boolean {
  if (!one || !other) return one === other;
  return 'jwks' in one ? 'jwks' in other && one.jwks === other.jwks : !('jwks' in other);
}
