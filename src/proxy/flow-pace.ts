/** Which calls are told to those who need not know of all (a console): making flows of very many would cost the traffic a good part of what it does itself. */

/** Of a thread, calls a second, and as many as may come at once after a pause. */
const MOST_A_SECOND = 200;
const MOST_AT_ONCE = 1_000;

class Bucket {
  #left = MOST_AT_ONCE;
  #filled: number;

  /** @param now ms */
  constructor(now: number) {
    this.#filled = now;
  }

  takes(now: number): boolean {
    this.#left = Math.min(MOST_AT_ONCE, this.#left + ((now - this.#filled) * MOST_A_SECOND) / 1000);
    this.#filled = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

/** Calls that may have gone wrong have room of their own: however many go well, those are told. */
export class FlowPace {
  readonly #leftOut: (count: number) => void;
  readonly #well: Bucket;
  readonly #wrong: Bucket;

  /** @param leftOut told of each call that is not told of */
  constructor(now: number, leftOut: (count: number) => void) {
    this.#leftOut = leftOut;
    this.#well = new Bucket(now);
    this.#wrong = new Bucket(now);
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
