/**
 * The calls of the last while, numbered, for consoles that come later or come again. Watched from the first console on, and until none was there for some time:
 * while nobody watches, traffic pays nothing. What was refused or failed is kept apart, so that what went well does not wash it out.
 */
import type { Flow } from '../flows/flow.ts';
import type { FlowHub } from '../flows/hub.ts';
import { namespaceIn } from './sight.ts';

const MOST_ALLOWED = 4_000;
const MOST_WRONG = 2_000;
/** Calls are passed on together, so often, ms. */
const BATCH_MS = 200;
/** Calls from before anybody watched, as far as proxies remember them. */
const MOST_BEFORE = MOST_ALLOWED + MOST_WRONG;
const LINGER_MS = 10 * 60 * 1000;

export class Recorded {
  /** Counts the ends of calls, from 1 on; 0 for a beginning, which is not kept. */
  readonly number: number;
  readonly flow: Flow;
  #text: string | undefined;

  constructor(number: number, flow: Flow) {
    this.number = number;
    this.flow = flow;
  }

  /** As JSON, made when it is first asked for: of very many calls not all are told. */
  get text(): string {
    this.#text ??= JSON.stringify(this.flow);
    return this.#text;
  }
}

/** The newest calls; where there are too many those go that a namespace has more of than others, so that none washes out another's. */
class Kept {
  readonly #most: number;
  readonly #byNamespace = new Map<string, Recorded[]>();
  #count = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get all(): readonly Recorded[] {
    return [...this.#byNamespace.values()].flat();
  }

  add(call: Recorded): void {
    const namespace = namespaceIn(call.flow.proxy);
    const list = this.#byNamespace.get(namespace);
    if (list) list.push(call);
    else this.#byNamespace.set(namespace, [call]);
    // A quarter at a time, as taking the first of a long list away moves all others.
    if (++this.#count > this.#most * 1.25) this.#forget();
  }

  #forget(): void {
    const lists = [...this.#byNamespace].sort(([, one], [, other]) => one.length - other.length);
    let left = this.#most;
    for (const [i, [namespace, list]] of lists.entries()) {
      const part = Math.min(list.length, Math.floor(left / (lists.length - i)));
      left -= part;
      if (part > 0) list.splice(0, list.length - part);
      else this.#byNamespace.delete(namespace);
    }
    this.#count = this.#most - left;
  }
}

export interface RecordReader {
  take(calls: readonly Recorded[]): void;
  /** So many of this proxy's were lost on the way here. */
  dropped(count: number, proxy: string): void;
  /** Nothing comes any more. */
  ended(): void;
}

export class FlowRecord {
  readonly #hub: FlowHub;
  readonly #lingerMs: number;
  readonly #readers = new Set<RecordReader>();
  readonly #allowed = new Kept(MOST_ALLOWED);
  readonly #wrong = new Kept(MOST_WRONG);
  #batch: Recorded[] = [];
  #timer: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #watching: Promise<() => void> | undefined;
  #last = 0;

  constructor(hub: FlowHub, { lingerMs = LINGER_MS }: { readonly lingerMs?: number } = {}) {
    this.#hub = hub;
    this.#lingerMs = lingerMs;
  }

  /** Number of the newest end. */
  get last(): number {
    return this.#last;
  }

  /** From now on calls go to the reader. What is returned ends it. */
  read(reader: RecordReader): () => void {
    clearTimeout(this.#linger);
    this.#readers.add(reader);
    this.#watching ??= this.#hub.watch(
      {
        filter: () => true,
        sparing: true,
        take: (flow) => this.#take(flow),
        dropped: (count, proxy) => {
          for (const each of this.#readers) each.dropped(count, proxy);
        },
        ended: () => {
          this.#flush();
          for (const each of this.#readers) each.ended();
        },
      },
      // Whoever asks who was refused asks after it has happened.
      this.#last === 0 ? MOST_BEFORE : 0,
    );
    return () => {
      this.#readers.delete(reader);
      if (this.#readers.size === 0) this.#linger = setTimeout(() => this.close(), this.#lingerMs).unref();
    };
  }

  /** The kept ends after that number, oldest first, and how many came after it that are no longer kept. Batches that readers still wait for are in it. */
  after(number: number): { readonly calls: readonly Recorded[]; readonly lost: number } {
    this.#flush();
    const calls = [...this.#allowed.all, ...this.#wrong.all].filter((call) => call.number > number).sort((a, b) => a.number - b.number);
    return { calls, lost: Math.max(0, this.#last - number - calls.length) };
  }

  /** Watches no longer; what is kept stays. */
  close(): void {
    clearTimeout(this.#linger);
    clearTimeout(this.#timer);
    void this.#watching?.then((end) => end());
    this.#watching = undefined;
  }

  #take(flow: Flow): void {
    const number = flow.kind === 'end' ? ++this.#last : 0;
    const recorded = new Recorded(number, flow);
    if (number > 0) (flow.verdict === 'allowed' ? this.#allowed : this.#wrong).add(recorded);
    this.#batch.push(recorded);
    if (this.#batch.length === 1) this.#timer = setTimeout(() => this.#flush(), BATCH_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    // Of a call that is over by now, only that is told.
    const over = new Set(batch.flatMap(({ number, flow }) => (number > 0 ? [flow.id] : [])));
    const calls = batch.filter(({ number, flow }) => number > 0 || !over.has(flow.id));
    for (const reader of this.#readers) reader.take(calls);
  }
}
