/** The token buckets of local rate limits, in memory that the threads of a proxy share: a limit holds for the proxy, however its connections fall to threads. */
import type { TokenBucket } from '../http/filters/filter.ts';

/** Limits of one proxy. More are refused: their requests get no tokens. */
const BUCKETS = 4096;
const BYTES = 8;
/** Microseconds, which a bucket of more tokens never takes to be full: what is kept of it would not fit. */
const LONGEST_FILL = Number.MAX_SAFE_INTEGER;

export function tokenMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(2 * BUCKETS * BYTES);
}

export class SharedTokens {
  readonly #keys: BigInt64Array;
  /** Of each bucket the time, in microseconds of the machine's steady clock, at which it was or would have been empty: it fills from then on. */
  readonly #emptied: BigInt64Array;
  readonly #now: () => bigint;

  /** `now`: microseconds of a clock that all threads share and that only goes on. */
  constructor(memory: SharedArrayBuffer, now: () => bigint = () => process.hrtime.bigint() / 1000n) {
    this.#keys = new BigInt64Array(memory, 0, BUCKETS);
    this.#emptied = new BigInt64Array(memory, BUCKETS * BYTES, BUCKETS);
    this.#now = now;
  }

  /** Whether there was a token. */
  take({ key, most, perToken }: TokenBucket): boolean {
    const slot = this.#slotOf(key);
    if (slot === undefined) return false;
    const microseconds = perToken * 1000;
    const capacity = Math.min(most, LONGEST_FILL / microseconds);
    for (;;) {
      const before = Atomics.load(this.#emptied, slot);
      const now = this.#now();
      // A new bucket is full.
      const tokens = before === 0n ? capacity : Math.min(capacity, Number(now - before) / microseconds);
      if (tokens < 1) return false;
      const after = now - BigInt(Math.ceil((tokens - 1) * microseconds));
      if (Atomics.compareExchange(this.#emptied, slot, before, after) === before) return true;
    }
  }

  #slotOf(key: bigint): number | undefined {
    const first = Number(BigInt.asUintN(32, key)) % BUCKETS;
    for (let i = 0; i < BUCKETS; i++) {
      const slot = (first + i) % BUCKETS;
      const there = Atomics.load(this.#keys, slot);
      if (there === key) return slot;
      if (there !== 0n) continue;
      const taken = Atomics.compareExchange(this.#keys, slot, 0n, key);
      if (taken === 0n || taken === key) return slot;
    }
    return undefined;
  }
}
