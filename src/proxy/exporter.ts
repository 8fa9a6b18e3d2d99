/** Sends what is noted of traffic (spans, entries of access logs) to a service, in batches. What it does not take in time is dropped, and counted: traffic never waits for it. */
import type { SideAnswer, SideCall } from '../http/side-call.ts';
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
/** Characters of one message, where it has more than one item: services take messages of up to 4 MiB, and what a client makes long must cost no other its entry. */
const BATCH_LENGTH = 512 * 1024;
/** Items that wait, those on the way included, and their characters. */
const MOST = 2048;
const MOST_LENGTH = 16 * 1024 * 1024;
/** From an item to the message that it goes with, ms. */
const DELAY_MS = 1000;
/** Times that a message is sent. */
const TRIES = 3;

interface Waiting<Item> {
  readonly item: Item;
  readonly length: number;
}

export class Exporter<Item extends object> {
  readonly #options: ExporterOptions<Item>;
  readonly #waiting: Waiting<Item>[] = [];
  /** What is on its way. */
  #batch: readonly Waiting<Item>[] = [];
  /** Of both. */
  #length = 0;
  #timer: NodeJS.Timeout | undefined;
  #heard = () => {};

  constructor(options: ExporterOptions<Item>) {
    this.#options = options;
  }

  add(item: Item): void {
    const length = lengthOf(item);
    if (this.#waiting.length + this.#batch.length >= MOST || this.#length + length > MOST_LENGTH) {
      this.#options.dropped.value++;
      return;
    }
    this.#waiting.push({ item, length });
    this.#length += length;
    if (this.#batch.length > 0) return;
    if (this.#fillsMessage) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), DELAY_MS).unref();
  }

  /** Sends what waits, unless something is on its way. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#batch.length > 0 || this.#waiting.length === 0) return;
    this.#batch = this.#waiting.splice(0, this.#nextCount());
    this.#send(1);
  }

  /** What waits, while nothing is on its way. */
  get #fillsMessage(): boolean {
    return this.#waiting.length >= BATCH || this.#length >= BATCH_LENGTH;
  }

  #nextCount(): number {
    let length = 0;
    const end = this.#waiting.slice(0, BATCH).findIndex((each, i) => {
      length += each.length;
      return i > 0 && length > BATCH_LENGTH;
    });
    return end < 0 ? BATCH : end;
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
    ask(callOf(batch.map(({ item }) => item)), (answer) => {
      if (!isTaken(answer) && time < TRIES) {
        setTimeout(() => this.#send(time + 1), DELAY_MS * time).unref();
        return;
      }
      (isTaken(answer) ? sent : dropped).value += batch.length;
      this.#batch = [];
      for (const { length } of batch) this.#length -= length;
      this.#heard();
      if (this.#fillsMessage) this.flush();
      else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.flush(), DELAY_MS).unref();
    });
  }
}

/** Characters of the texts of a message, and bytes of its bytes: next to what a client has chosen the rest is short. */
function lengthOf(value: unknown): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum: number, each) => sum + lengthOf(each), 0);
}
