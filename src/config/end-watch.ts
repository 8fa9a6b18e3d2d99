/** Says when a moment has come, whatever is done to the clock meanwhile. */

/** Clocks are set, and machines sleep: the moment is looked for so often, ms. */
const LOOK_MS = 1000;

export class EndWatch {
  readonly #now: () => number;
  readonly #come: () => void;
  #timer: NodeJS.Timeout | undefined;
  #until: number | undefined;

  /** @param now ms since the epoch */
  constructor(now: () => number, come: () => void) {
    this.#now = now;
    this.#come = come;
  }

  /** Waits for this moment (ms since the epoch) in place of the one before; Infinity: for none. */
  wait(until: number): void {
    this.close();
    if (until === Number.POSITIVE_INFINITY) return;
    this.#look(until, Math.min(Math.max(0, until - this.#now()), LOOK_MS));
  }

  /** It has come, and nothing could be done about it: says so again later. */
  again(): void {
    if (this.#until !== undefined) this.#look(this.#until, LOOK_MS);
  }

  #look(until: number, afterMs: number): void {
    this.close();
    this.#until = until;
    this.#timer = setTimeout(() => {
      if (this.#now() >= until) this.#come();
      else this.wait(until);
    }, afterMs).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#until = undefined;
  }
}
