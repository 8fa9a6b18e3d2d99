/**
 * Whose turn it is to be written to: of a thousand clients that are to get something large, some at a time, so that it is not in memory a thousand times.
 * A client that does not read has its turn for a short while only, and delays nobody by more.
 */

export interface TurnsOptions {
  /** Turns at one time. */
  readonly most: number;
  /** How long a turn counts, ms. */
  readonly patienceMs: number;
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #waiting: ((end: () => void) => void)[] = [];
  #taken = 0;
  #scheduled = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Calls `begin`, not before this returns, when it is its turn; it gets what ends the turn. */
  wait(begin: (end: () => void) => void): void {
    this.#waiting.push(begin);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#taken >= this.#options.most || this.#waiting.length === 0) return;
    this.#scheduled = true;
    // What comes in one packet (an acknowledgement, and what is asked for on account of it) has been read by then.
    setImmediate(() => {
      this.#scheduled = false;
      for (const begin of this.#waiting.splice(0, this.#options.most - this.#taken)) this.#begin(begin);
      this.#schedule();
    });
  }

  #begin(begin: (end: () => void) => void): void {
    this.#taken += 1;
    let over = false;
    const end = () => {
      if (over) return;
      over = true;
      clearTimeout(late);
      this.#taken -= 1;
      this.#schedule();
    };
    const late = setTimeout(end, this.#options.patienceMs).unref();
    begin(end);
  }
}
