/** Work that makes a part of the cluster what it is to be: done when something has changed, one run after another, and again where it failed. */

/** Who wrote a field, in Kubernetes' words. */
export const FIELD_MANAGER = 'sallyport';

/** Between a change and the run, and so between two runs where somebody else writes otherwise, ms. */
const PAUSE_MS = 500;
const AGAIN_MS = 10_000;

export class Upkeep {
  readonly #run: () => Promise<void>;
  readonly #failed: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  /** The timer is one for what failed. */
  #retries = false;
  #running = false;
  #due = false;
  #closed = false;

  readonly #unfollow: (() => void) | undefined;

  /**
   * @param failed told of each failed run; it is tried again
   * @param follow begins to follow what else may change it, and calls `due` where that does; returns what ends it
   */
  constructor(run: () => Promise<void>, failed: (error: unknown) => void, follow?: (due: () => void) => () => void) {
    this.#run = run;
    this.#failed = failed;
    this.#unfollow = follow?.(() => this.due());
  }

  due(): void {
    this.#due = true;
    // What one object does not let through must not hold up what others are due.
    if (this.#retries) this.#stop();
    this.#after(PAUSE_MS);
  }

  close(): void {
    this.#closed = true;
    this.#unfollow?.();
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #after(ms: number): void {
    if (this.#running || this.#closed || this.#timer) return;
    this.#retries = ms === AGAIN_MS;
    this.#timer = setTimeout(() => void this.#begin(), ms).unref();
  }

  async #begin(): Promise<void> {
    this.#timer = undefined;
    this.#running = true;
    this.#due = false;
    let failed = false;
    try {
      await this.#run();
    } catch (error) {
      if (!this.#closed) this.#failed(error);
      failed = true;
    }
    this.#running = false;
    if (this.#due) this.#after(PAUSE_MS);
    else if (failed) this.#after(AGAIN_MS);
  }
}
