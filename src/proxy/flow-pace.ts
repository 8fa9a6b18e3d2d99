/** Which calls are told to those who need not know of all (a console): making flows of very many would cost the traffic a good part of what it does itself. */

import { Bucket, type Rate } from '../flows/bucket.ts';

/** Of a thread, calls. */
const RATE: Rate = { aSecond: 200, atOnce: 1_000 };

/** Calls that may have gone wrong have room of their own: however many go well, those are told. */
export class FlowPace {
  readonly #leftOut: (count: number) => void;
  readonly #well: Bucket;
  readonly #wrong: Bucket;

  /** @param leftOut told of each call that is not told of */
  constructor(now: number, leftOut: (count: number) => void) {
    this.#leftOut = leftOut;
    this.#well = new Bucket(RATE, now);
    this.#wrong = new Bucket(RATE, now);
  }

  /** Whether the beginning is told. */
  begins(now: number): boolean {
    return this.#well.takes(now);
  }

  /** Whether the end of a call is told whose beginning was not. */
  ends(now: number, wentWell: boolean): boolean {
    const told = (wentWell ? this.#well : this.#wrong).takes(now);
    if (!told) this.#leftOut(1);
    return told;
  }
}
