/** How many may pass: so many a second, and as many more at once after a pause (a token bucket). */
export interface Rate {
  readonly aSecond: number;
  readonly atOnce: number;
}

export class Bucket {
  readonly #rate: Rate;
  #left: number;
  #filled: number;

  /** @param now ms, monotonic */
  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#left = rate.atOnce;
    this.#filled = now;
  }

  /** @param now ms, monotonic; a time before the last one counts as that */
  takes(now: number): boolean {
    if (now > this.#filled) this.#fill(now);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  #fill(now: number): void {
    const { aSecond, atOnce } = this.#rate;
    this.#left = Math.min(atOnce, this.#left + ((now - this.#filled) * aSecond) / 1000);
    this.#filled = now;
  }
}
