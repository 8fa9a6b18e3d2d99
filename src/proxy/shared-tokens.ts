/** The token buckets of local rate limits, in memory that the threads of a proxy share: a limit holds for the proxy, however its connections fall to threads. */
import type { TokenBucket } from '../http/filters/filter.ts';

/** Of one proxy, that are not full. A full one is like none, and leaves its place to others; where there is no place, requests get no tokens. */
const BUCKETS = 4096;
const BYTES = 8;
/** Microseconds, which a bucket of more tokens never takes to be full: what is kept of it would not fit. */
const LONGEST_FILL = Number.MAX_SAFE_INTEGER;
/** In place of a time: the bucket has not been asked yet, and is full. */
const NEW = 0n;
/** In place of a time: the bucket is full, as it would be a microsecond after the clock began. */
const FULL = 1n;
/** In place of a time: the place is being given to another bucket. */
const MOVING = -1n;
/** Other threads take a few instructions for what is waited for. */
const MOST_TRIES = 100_000;
/** Microseconds after which whoever gave out places has died over it. */
const LONGEST_GIVING = 1_000_000n;

export function tokenMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((3 * BUCKETS + 1) * BYTES);
}

export class SharedTokens {
  /** Zero: nobody has had the place. */
  readonly #keys: BigInt64Array;
  /** Of each bucket the time, in microseconds of the machine's steady clock, at which it was or would have been empty: it fills from then on. */
  readonly #emptied: BigInt64Array;
  /** Of each bucket, the microseconds that it takes from empty to full. */
  readonly #fills: BigInt64Array;
  /** Since when a thread gives out a place; zero: none does. */
  readonly #giving: BigInt64Array;
  /** The keys as two words each, the lower one first: a look that costs little, before one that counts. */
  readonly #keyWords: Int32Array;
  readonly #now: () => bigint;

  /** `now`: microseconds of a clock that all threads share and that only goes on. */
  constructor(memory: SharedArrayBuffer, now: () => bigint = () => process.hrtime.bigint() / 1000n) {
    this.#keys = new BigInt64Array(memory, 0, BUCKETS);
    this.#emptied = new BigInt64Array(memory, BUCKETS * BYTES, BUCKETS);
    this.#fills = new BigInt64Array(memory, 2 * BUCKETS * BYTES, BUCKETS);
    this.#giving = new BigInt64Array(memory, 3 * BUCKETS * BYTES, 1);
    this.#keyWords = new Int32Array(memory, 0, 2 * BUCKETS);
    this.#now = now;
  }

  /** Whether there were so many tokens, which are gone then. */
  take({ key, most, perToken }: TokenBucket, wanted = 1): boolean {
    const microseconds = perToken * 1000;
    const capacity = Math.min(most, LONGEST_FILL / microseconds);
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const slot = this.#find(key) ?? this.#give(key, BigInt(Math.ceil(capacity * microseconds)));
      if (slot === undefined) return false;
      const before = Atomics.load(this.#emptied, slot);
      // Another bucket may have got the place since it was found: then its time is another as well, at the latest when it is changed.
      if (before === MOVING || Atomics.load(this.#keys, slot) !== key) continue;
      const now = this.#now();
      const tokens = before === NEW ? capacity : Math.min(capacity, Number(now - before) / microseconds);
      if (tokens < wanted) return false;
      const after = now - BigInt(Math.ceil((tokens - wanted) * microseconds));
      if (Atomics.compareExchange(this.#emptied, slot, before, after) === before) return true;
    }
    return false;
  }

  /** The bucket is full from now on, so that another may have its place. */
  fill({ key }: TokenBucket): void {
    const slot = this.#find(key);
    if (slot === undefined) return;
    const before = Atomics.load(this.#emptied, slot);
    if (before === NEW || before === MOVING || Atomics.load(this.#keys, slot) !== key) return;
    Atomics.compareExchange(this.#emptied, slot, before, FULL);
  }

  /** Where the bucket is; undefined where it has no place. */
  #find(key: bigint): number | undefined {
    const first = firstSlot(key);
    const low = Number(BigInt.asIntN(32, key));
    const words = this.#keyWords;
    for (let i = 0; i < BUCKETS; i++) {
      const slot = (first + i) % BUCKETS;
      const word = words[2 * slot]!;
      if (word === low && Atomics.load(this.#keys, slot) === key) return slot;
      if (word === 0 && Atomics.load(this.#keys, slot) === 0n) return undefined;
    }
    return undefined;
  }

  /** One thread at a time gives a place to a bucket that had none; undefined where there is no place. */
  #give(key: bigint, fill: bigint): number | undefined {
    if (!this.#begin()) return undefined;
    try {
      return this.#find(key) ?? this.#place(key, fill);
    } finally {
      Atomics.store(this.#giving, 0, 0n);
    }
  }

  #begin(): boolean {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const since = Atomics.load(this.#giving, 0);
      const now = this.#now();
      if (since !== 0n && now - since < LONGEST_GIVING) continue;
      if (Atomics.compareExchange(this.#giving, 0, since, now) === since) return true;
    }
    return false;
  }

  /** A place that nobody has had, or that of a bucket which was asked once and has filled since. */
  #place(key: bigint, fill: bigint): number | undefined {
    const first = firstSlot(key);
    const now = this.#now();
    for (let i = 0; i < BUCKETS; i++) {
      const slot = (first + i) % BUCKETS;
      if (Atomics.load(this.#keys, slot) !== 0n && !this.#leaves(slot, now)) continue;
      Atomics.store(this.#fills, slot, fill);
      Atomics.store(this.#keys, slot, key);
      Atomics.store(this.#emptied, slot, NEW);
      return slot;
    }
    return undefined;
  }

  #leaves(slot: number, now: bigint): boolean {
    const emptied = Atomics.load(this.#emptied, slot);
    if (emptied === NEW || (emptied !== MOVING && now - emptied < Atomics.load(this.#fills, slot))) return false;
    return Atomics.compareExchange(this.#emptied, slot, emptied, MOVING) === emptied;
  }
}

function firstSlot(key: bigint): number {
  return Number(BigInt.asUintN(32, key)) % BUCKETS;
}
