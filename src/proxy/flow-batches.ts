/** Flows on their way from a worker to the main thread: many to a message, and no more than the main thread takes, which may be busy for seconds. */
import type { ProxyFlow } from '../flows/flow.ts';

/** So many may be under way or waiting; what comes beyond is left out and counted. */
export const MOST_UNTAKEN = 8192;

/** ms. */
const PATIENT_MS = 100;

export class FlowBatches {
  readonly #send: (flows: readonly ProxyFlow[], dropped: number) => void;
  #waiting: ProxyFlow[] = [];
  #underWay = 0;
  #dropped = 0;
  #telling: NodeJS.Timeout | undefined;
  /** Whoever reads has time: messages between threads cost more than what is in them. */
  isPatient = false;

  constructor(send: (flows: readonly ProxyFlow[], dropped: number) => void) {
    this.#send = send;
  }

  readonly add = (flow: ProxyFlow): void => {
    if (this.#underWay + this.#waiting.length >= MOST_UNTAKEN) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(flow);
    if (this.#waiting.length > 1) return;
    if (this.isPatient) this.#flushAfter(PATIENT_MS);
    else setImmediate(() => this.flush());
  };

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
    if (this.#dropped > 0 && this.#waiting.length === 0 && !this.isPatient) this.flush();
  }

  /** Sends what waits. */
  flush(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    if (this.#waiting.length === 0 && this.#dropped === 0) return;
    const flows = this.isPatient ? withoutOver(this.#waiting) : this.#waiting;
    const dropped = this.#dropped;
    this.#waiting = [];
    this.#dropped = 0;
    this.#underWay += flows.length;
    this.#send(flows, dropped);
  }
}

/** Of calls that are over by now only the end. */
function withoutOver(flows: readonly ProxyFlow[]): readonly ProxyFlow[] {
  const over = new Set(flows.flatMap(({ kind, id }) => (kind === 'end' ? [id] : [])));
  return flows.filter(({ kind, id }) => kind === 'end' || !over.has(id));
}
