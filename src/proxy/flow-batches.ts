/** Flows on their way from a worker to the main thread: many to a message, and no more than the main thread takes, which may be busy for seconds. */
import type { ProxyFlow } from '../flows/flow.ts';

/** So many may be under way or waiting; what comes beyond is left out and counted. */
export const MOST_UNTAKEN = 8192;

/** Whoever need not know at once is told together, so often, ms: messages between threads cost more than what is in them. */
const PATIENT_MS = 100;

export class FlowBatches {
  readonly #send: (flows: readonly ProxyFlow[], dropped: number) => void;
  #waiting: ProxyFlow[] = [];
  /** By the ids of calls. */
  readonly #unmade = new Map<string, () => ProxyFlow>();
  #underWay = 0;
  #dropped = 0;
  #telling: NodeJS.Timeout | undefined;

  constructor(send: (flows: readonly ProxyFlow[], dropped: number) => void) {
    this.#send = send;
  }

  readonly add = (flow: ProxyFlow): void => {
    if (this.#isFull) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(flow);
    if (this.#waiting.length === 1) setImmediate(() => this.flush());
  };

  /** For whoever has time: made together with others, and of a call that is over by then only the end. */
  readonly later = (id: string, make: () => ProxyFlow): void => {
    // An end takes the place of its beginning, and comes last.
    const known = this.#unmade.delete(id);
    if (!known && this.#isFull) this.#dropped++;
    else this.#unmade.set(id, make);
    this.#flushAfter(PATIENT_MS);
  };

  get #isFull(): boolean {
    return this.#underWay + this.#waiting.length + this.#unmade.size >= MOST_UNTAKEN;
  }

  /** So many were left out on purpose: told with the next flows, or soon. */
  readonly leave = (count: number): void => {
    this.#dropped += count;
    this.#flushAfter(PATIENT_MS);
  };

  #flushAfter(ms: number): void {
    this.#telling ??= setTimeout(() => this.flush(), ms).unref();
  }

  /** The main thread has taken so many. */
  taken(count: number): void {
    this.#underWay -= count;
    if (this.#dropped > 0 && this.#waiting.length === 0 && !this.#telling) this.flush();
  }

  /** Sends what waits. */
  flush(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    if (this.#waiting.length + this.#unmade.size + this.#dropped === 0) return;
    const flows = [...this.#waiting, ...[...this.#unmade.values()].map((make) => make())];
    const dropped = this.#dropped;
    this.#waiting = [];
    this.#unmade.clear();
    this.#dropped = 0;
    this.#underWay += flows.length;
    this.#send(flows, dropped);
  }
}
