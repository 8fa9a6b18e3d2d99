export interface CoalesceOptions {
  /** Milliseconds without another signal after which the action runs. */
  readonly quiet: number;
  /** Milliseconds after the first signal at which it runs even if signals keep coming. */
  readonly most: number;
}

/** Editors write a file in several steps, and a release changes many files. */
export const COALESCE: CoalesceOptions = { quiet: 100, most: 10_000 };

/** Runs an action once for a burst of signals. */
export class Coalescer {
  readonly #action: () => void;
  readonly #options: CoalesceOptions;
  #quiet: NodeJS.Timeout | undefined;
  #most: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(action: () => void, options: CoalesceOptions) {
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
    this.#action();
  }
}
