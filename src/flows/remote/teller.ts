/** Tells a controller of this process's calls while it asks for them, and no more of them than it asks for. Knows nothing of gRPC. */
import { Bucket } from '../bucket.ts';
import type { Flow } from '../flow.ts';
import type { FlowHub } from '../hub.ts';
import { askedIn, MOST_TOLD, toldBytes } from './messages.ts';

/** Calls are told together, so often, ms. */
const BATCH_MS = 200;
/** What the controller has not taken, bytes: calls that come then are left out, and counted. */
const MOST_UNTAKEN = 512 * 1024;
/** Of one message, characters: half of what is taken, as some have several bytes. */
const MOST_CHARACTERS = 256 * 1024;
/** Calls of which the beginning was told, and not the end. */
const MOST_OPEN = 10_000;

export interface TellerOptions {
  readonly hub: FlowHub;
  /** @param taken there is room for as much again */
  readonly send: (message: Uint8Array, taken: () => void) => void;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

export class FlowTeller {
  readonly #options: TellerOptions;
  #watching: Promise<() => void> | undefined;
  #well: Bucket;
  #wrong: Bucket;
  #waiting: Flow[] = [];
  #dropped = 0;
  #untaken = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Ids of calls whose beginning was told. */
  readonly #open = new Set<string>();

  constructor(options: TellerOptions) {
    this.#options = options;
    [this.#well, this.#wrong] = this.#buckets(0);
  }

  /** Says that somebody is here. */
  begin(): void {
    this.#send([], 0);
  }

  /** What the controller asks. Throws for what is no question. */
  asked(bytes: Uint8Array): void {
    const { watch, recent } = askedIn(bytes);
    if (watch === 0) this.#stop();
    else if (watch !== undefined) this.#watch(watch);
    if (recent !== undefined) void this.#tellRecent(Math.min(recent, MOST_TOLD));
  }

  close(): void {
    this.#stop();
  }

  #buckets(aSecond: number): [Bucket, Bucket] {
    const now = this.#options.now();
    const rate = { aSecond, atOnce: 2 * aSecond };
    return [new Bucket(rate, now), new Bucket(rate, now)];
  }

  #watch(aSecond: number): void {
    [this.#well, this.#wrong] = this.#buckets(aSecond);
    this.#watching ??= this.#options.hub.watch({
      filter: () => true,
      sparing: true,
      take: (flow) => this.#take(flow),
      dropped: (count) => this.#drop(count),
      ended: () => this.#flush(),
    });
  }

  #stop(): void {
    void this.#watching?.then((end) => end());
    this.#watching = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
    this.#dropped = 0;
    this.#open.clear();
  }

  #take(flow: Flow): void {
    if (!this.#watching) return;
    if (this.#mayTell(flow)) this.#waiting.push(flow);
    else if (flow.kind === 'end') this.#dropped++;
    this.#schedule();
  }

  #drop(count: number): void {
    this.#dropped += count;
    this.#schedule();
  }

  #mayTell({ kind, id, verdict }: Flow): boolean {
    const now = this.#options.now();
    if (kind === 'end') return this.#open.delete(id) || (verdict === 'allowed' ? this.#well : this.#wrong).takes(now);
    if (this.#open.size >= MOST_OPEN || !this.#well.takes(now)) return false;
    this.#open.add(id);
    return true;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), BATCH_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Of a call that is over by now, only that is told.
    const over = new Set(this.#waiting.flatMap(({ kind, id }) => (kind === 'end' ? [id] : [])));
    const flows = this.#waiting.filter(({ kind, id }) => kind === 'end' || !over.has(id));
    this.#waiting = [];
    for (const part of partsOf(flows.map(writtenOf))) {
      if (this.#untaken <= MOST_UNTAKEN)
        this.#send(
          part.map(({ text }) => text),
          this.#dropped,
        );
      else this.#dropped += part.filter(({ flow }) => flow.kind === 'end').length;
    }
    if (this.#dropped > 0 && this.#untaken <= MOST_UNTAKEN) this.#send([], this.#dropped);
  }

  /** The newest, and what was refused or failed before what went well. */
  async #tellRecent(most: number): Promise<void> {
    const flows = (await this.#options.hub.recent()).map(writtenOf);
    const isWrong = ({ flow: { verdict } }: Written) => verdict !== 'allowed';
    const byUse = [...flows.filter((one) => !isWrong(one)), ...flows.filter(isWrong)].reverse();
    const [chosen = []] = partsOf(byUse.slice(0, most));
    const told = new Set(chosen);
    this.#send(
      flows.filter((one) => told.has(one)).map(({ text }) => text),
      0,
      true,
    );
  }

  #send(flows: readonly string[], dropped: number, recent = false): void {
    const message = toldBytes(flows, dropped, recent);
    if (!recent) this.#dropped -= dropped;
    this.#untaken += message.length;
    this.#options.send(message, () => {
      this.#untaken -= message.length;
    });
  }
}

interface Written {
  readonly flow: Flow;
  readonly text: string;
}

function writtenOf(flow: Flow): Written {
  return { flow, text: JSON.stringify(flow) };
}

/** As many messages as it takes. */
function partsOf(flows: readonly Written[]): Written[][] {
  const parts: Written[][] = [];
  let characters = 0;
  for (const written of flows) {
    const last = parts.at(-1);
    characters += written.text.length;
    if (last && last.length < MOST_TOLD && characters <= MOST_CHARACTERS) last.push(written);
    else {
      parts.push([written]);
      characters = written.text.length;
    }
  }
  return parts;
}
