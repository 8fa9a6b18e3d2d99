/**
 * Which streams of a connection there have been. The client numbers them, with odd numbers that grow (RFC 9113 §5.1.1); those of servers have even ones, and no
 * server opens any here.
 */
import { MAX_WINDOW } from '../../../http/h2/protocol.ts';

/** Resets that are remembered: as many as streams may run at a time by default. */
const KEPT = 1024;
/** The highest number (31 bits). */
const HIGHEST = MAX_WINDOW;

export class StreamNumbers {
  /** The highest so far. */
  #last = -1;
  readonly #resets = new Set<number>();

  /** There is a number for another stream of ours. */
  get hasMore(): boolean {
    return this.#last < HIGHEST - 2;
  }

  /** Of a new stream of ours. */
  next(): number {
    this.#last += 2;
    return this.#last;
  }

  /** Whether a client may open a stream of this number; it has then. */
  open(id: number): boolean {
    if (id % 2 === 0 || id <= this.#last) return false;
    this.#last = id;
    return true;
  }

  /** Nobody has opened it yet. */
  isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.#last;
  }

  /** We have reset it: what the peer sent on it before it heard of that is no error, and is dropped (RFC 9113 §5.4.2). */
  reset(id: number): void {
    if (this.#resets.size >= KEPT) this.#resets.delete(this.#resets.values().next().value!);
    this.#resets.add(id);
  }

  /** We have reset it lately. For streams that were reset long ago, frames on them are an error. */
  wasReset(id: number): boolean {
    return this.#resets.has(id);
  }
}
