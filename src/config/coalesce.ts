export interface CoalesceOptions {
  /** Milliseconds without another signal after which the action runs. */
  readonly quiet: number;
  /** Milliseconds after the first signal at which it runs even if signals keep coming. */
  readonly most: number;
}

/** Runs an action once for a burst of signals, never twice at a time; a signal during a run causes another. */
export class Coalescer {
  readonly #action: () => Promise<void>;
  readonly #options: CoalesceOptions;
  #quiet: NodeJS.Timeout | undefined;
  #most: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;
  #closed = false;

  constructor(action: () => Promise<void>, options: CoalesceOptions) {
    this.#action = action;
    this.#options = options;
  }

  signal(): void {
    if (this.#closed) return;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#run(), this.#options.quiet);
    this.#most ??= setTimeout(() => this.#run(), this.#options.most);
  }

  close(): void {
    this.#closed = true;
    this.#clear();
  }

  #clear(): void {
    clearTimeout(this.#quiet);
    clearTimeout(this.#most);
    this.#quiet = undefined;
    this.#most = undefined;
  }

  #run(): void {
    this.#clear();
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    void this.#action().finally(() => {
      this.#running = false;
      if (!this.#again) return;
      this.#again = false;
      this.signal();
    });
  }
}
