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
  #running = false;
  #due = false;
  #closed = false;

  /** @param failed told of each failed run; it is tried again */
  constructor(run: () => Promise<void>, failed: (error: unknown) => void) {
    this.#run = run;
    this.#failed = failed;
  }

  due(): void {
    this.#due = true;
    this.#after(PAUSE_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #after(ms: number): void {
    if (this.#running || this.#closed || this.#timer) return;
    this.#timer = setTimeout(() => void this.#begin(), ms).unref();
  }

  async #begin(): Promise<void> {
    this.#timer = undefined;
    this.#running = true;
    this.#due = false;
    let pause = PAUSE_MS;
    try {
      await this.#run();
    } catch (error) {
      if (!this.#closed) this.#failed(error);
      this.#due = true;
      pause = AGAIN_MS;
    }
    this.#running = false;
    if (this.#due) this.#after(pause);
  }
}
