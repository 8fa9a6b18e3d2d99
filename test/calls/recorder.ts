/** Makes calls, and puts together what each did: the client's result, the proxies' log lines, and what the servers saw. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Call, Observation } from './cases.ts';
import type { CallResult } from './client.ts';
import type { Hit } from './echo.ts';
import { type LogLine, observation } from './observe.ts';

/** After the last event of a call, wait so long for one that should not be. */
const QUIET_MS = 60;
/** Between the starts of concurrent calls. */
const STAGGER_MS = 30;
/** How long what is expected after a call's answer may take to arrive. */
const SETTLE_MS = 3000;

export class Recorder {
  readonly #make: (call: Call) => Promise<CallResult>;
  #lines: LogLine[] = [];
  #hits: Hit[] = [];
  #wake: () => void = () => {};

  /** @param make a call, once */
  constructor(make: (call: Call) => Promise<CallResult>) {
    this.#make = make;
  }

  /** A proxy has written it. */
  logged(line: LogLine): void {
    this.#lines.push(line);
    this.#wake();
  }

  /** A server has seen it. */
  hit(hit: Hit): void {
    this.#hits.push(hit);
    this.#wake();
  }

  /** Makes a call and returns what it did. Waits for as many log lines and hits as the record has, then for a moment in which nothing happens. */
  async perform(call: Call): Promise<Observation> {
    this.#lines = [];
    this.#hits = [];
    // In a call @RUN@ is a word of its own in every run, @REPEAT:c:n@ is n times c.
    const word = `r${process.hrtime.bigint()}`;
    const text = JSON.stringify(call)
      .replaceAll('@RUN@', word)
      .replace(/@REPEAT:(.):(\d+)@/g, (_, char: string, n: string) => char.repeat(Number(n)));
    const asked = JSON.parse(text) as Call;
    const results = await this.#callAll(asked);
    await this.#settled(call);
    return JSON.parse(JSON.stringify(observation(asked, results, this.#lines, this.#hits)).replaceAll(word, '@RUN@')) as Observation;
  }

  async #callAll(call: Call): Promise<CallResult[]> {
    const left = Array.from({ length: call.repeat ?? 1 }, (_, index) => index);
    const results: CallResult[] = [];
    const workers = Array.from({ length: call.concurrent ?? 1 }, async (_, worker) => {
      // At the very same moment all of them would wait for one connection; the record's clients started one after the other.
      await delay(worker * STAGGER_MS);
      for (let index = left.shift(); index !== undefined; index = left.shift()) results[index] = await this.#make(call);
    });
    await Promise.all(workers);
    return results;
  }

  async #settled(call: Call): Promise<void> {
    const expect = call.expect ?? {};
    const total = (counts: unknown) => Object.values((counts ?? {}) as Record<string, number>).reduce((sum, each) => sum + each, 0);
    const wanted = {
      lines: 'counts' in expect ? total(expect.hop_counts) : ((expect.hops as unknown[] | undefined)?.length ?? 0),
      hits: 'counts' in expect ? total(expect.upstream_counts) : ((expect.upstream as unknown[] | undefined)?.length ?? 0),
    };
    const end = performance.now() + SETTLE_MS + (call.settle ?? 0) * 1000;
    for (;;) {
      const complete = this.#lines.length >= wanted.lines && this.#hits.length >= wanted.hits;
      const ms = complete ? QUIET_MS : end - performance.now();
      if (ms <= 0) return;
      if (!(await this.#event(ms))) return;
    }
  }

  /** True if something was logged or seen within `ms`. */
  #event(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
