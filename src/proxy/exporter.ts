/** Sends what is noted of traffic (spans, entries of access logs) to a service, in batches. What it does not take in time is dropped, and counted: traffic never waits for it. */
import type { SideAnswer, SideCall } from '../http/ext-authz/side-call.ts';
import type { Counter } from './stats/registry.ts';

export interface ExporterOptions<Item> {
  readonly callOf: (items: readonly Item[]) => SideCall;
  /** Undefined: there was no answer. */
  readonly isTaken: (answer: SideAnswer | undefined) => boolean;
  readonly ask: (call: SideCall, done: (answer: SideAnswer | undefined) => void) => void;
  readonly sent: Counter;
  readonly dropped: Counter;
}

/** Items of one message. */
const BATCH = 100;
/** Items that wait, those on the way included. */
const MOST = 2048;
/** From an item to the message that it goes with, ms. */
const DELAY_MS = 1000;
/** Times that a message is sent. */
const TRIES = 3;

export class Exporter<Item> {
  readonly #options: ExporterOptions<Item>;
  #waiting: Item[] = [];
  /** What is on its way. */
  #batch: readonly Item[] = [];
  #timer: NodeJS.Timeout | undefined;
  #heard = () => {};

  constructor(options: ExporterOptions<Item>) {
    this.#options = options;
  }

  add(item: Item): void {
    if (this.#waiting.length + this.#batch.length >= MOST) {
      this.#options.dropped.value++;
      return;
    }
    this.#waiting.push(item);
    if (this.#batch.length > 0) return;
    if (this.#waiting.length >= BATCH) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), DELAY_MS).unref();
  }

  /** Sends what waits, unless something is on its way. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#batch.length > 0 || this.#waiting.length === 0) return;
    this.#batch = this.#waiting.splice(0, BATCH);
    this.#send(1);
  }

  /** Resolves when all that waits has been sent or dropped. */
  async drained(): Promise<void> {
    while (this.#waiting.length + this.#batch.length > 0) {
      this.flush();
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  #send(time: number): void {
    const { callOf, isTaken, ask, sent, dropped } = this.#options;
    const batch = this.#batch;
    ask(callOf(batch), (answer) => {
      if (!isTaken(answer) && time < TRIES) {
        setTimeout(() => this.#send(time + 1), DELAY_MS * time).unref();
        return;
      }
      (isTaken(answer) ? sent : dropped).value += batch.length;
      this.#batch = [];
      this.#heard();
      if (this.#waiting.length >= BATCH) this.flush();
      else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.flush(), DELAY_MS).unref();
    });
  }
}
