/** Calls from before that were asked for: once for all who wait, and nobody for long. */
import type { ProxyFlow } from '../../flows/flow.ts';

/** Whoever is asked may be busy, or gone without a word, ms. */
const PATIENCE_MS = 2_000;

export class Recent<F extends ProxyFlow> {
  readonly #ask: () => void;
  #waiting: PromiseWithResolvers<readonly F[]> | undefined;
  #late: NodeJS.Timeout | undefined;

  constructor(ask: () => void) {
    this.#ask = ask;
  }

  /** None where they do not come in time. */
  asked(): Promise<readonly F[]> {
    if (!this.#waiting) {
      this.#waiting = Promise.withResolvers();
      this.#late = setTimeout(() => this.came([]), PATIENCE_MS).unref();
      this.#ask();
    }
    return this.#waiting.promise;
  }

  /** What nobody waits for is nothing. */
  came(flows: readonly F[]): void {
    clearTimeout(this.#late);
    this.#waiting?.resolve(flows.filter(({ kind }) => kind === 'end'));
    this.#waiting = undefined;
  }
}
