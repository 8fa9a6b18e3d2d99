/** Takes entries as they come and has them written, those of one turn together; what cannot be written waits, within a bound, and is tried again. */
import { messageOf } from '../lib/errors.ts';
import { canonical, type Entry } from './chain/line.ts';
import type { Head } from './chain/verify.ts';
import { type ChainWriter, textOf } from './writer.ts';

export type OnFailure = 'refuse' | 'go-on';

export interface LogOptions {
  readonly onFailure: OnFailure;
  readonly signEveryMs: number;
  /** Now, in ms since the epoch. */
  readonly date: () => number;
  /** By a clock that nobody sets, ms: for how long something has lasted. */
  readonly now: () => number;
  /** It cannot write, or can again (undefined). Called before anything else happens. */
  readonly failing: (reason: string | undefined) => void;
  /** So many entries of a seat have been taken off its hands. */
  readonly changed: () => void;
}

/** So many characters wait; what comes beyond is counted and lost. */
const MOST_WAITING = 64 * 1024 * 1024;
/** Entries of one write. */
const MOST_AT_ONCE = 10_000;
const AGAIN_MS = 1000;

/** What is known of the audit. */
export interface LogState {
  readonly head: Head;
  readonly segment: number;
  /** Why it cannot write; undefined: it can. */
  readonly failing: string | undefined;
  readonly failures: number;
  readonly lost: number;
}

interface Waiting {
  readonly entries: readonly string[];
  /** Called once they are acknowledged, or lost. */
  readonly taken: () => void;
}

export class AuditLog {
  readonly #writer: ChainWriter;
  readonly #options: LogOptions;
  #waiting: Waiting[] = [];
  #size = 0;
  #running: Promise<void> | undefined;
  #failing: { readonly since: number; readonly reason: string } | undefined;
  #failures = 0;
  #lost = 0;
  /** Lost in the failure that lasts. */
  #losing = 0;
  #signedAt: number;
  readonly #tick: NodeJS.Timeout;
  #closing = false;

  constructor(writer: ChainWriter, options: LogOptions) {
    this.#writer = writer;
    this.#options = options;
    this.#signedAt = options.now();
    this.#tick = setInterval(() => this.#wake(), Math.min(options.signEveryMs, AGAIN_MS));
  }

  get state(): LogState {
    const { head, segment } = this.#writer;
    return { head, segment, failing: this.#failing?.reason, failures: this.#failures, lost: this.#lost };
  }

  /** @param entries in canonical form */
  add(entries: readonly string[], taken: () => void = () => undefined): void {
    const size = entries.reduce((sum, entry) => sum + entry.length, 0);
    if (this.#size + size > MOST_WAITING) {
      this.lose(entries.length);
      taken();
      return;
    }
    this.#waiting.push({ entries, taken });
    this.#size += size;
    this.#wake();
  }

  tell(entry: Entry): void {
    this.add([canonical(entry)]);
  }

  /** So many could not even be given. */
  lose(count: number): void {
    this.#lost += count;
    this.#losing += count;
    this.#wake();
  }

  /** Writes what waits, once more if it fails, and the signature that ends the chain. Resolves with why it could not. */
  async close(): Promise<string | undefined> {
    this.#closing = true;
    clearInterval(this.#tick);
    await this.#running;
    if (await this.#attempt()) await this.#attempt(() => this.#writer.sign(true));
    this.#writer.close();
    return this.#failing?.reason;
  }

  #wake(): void {
    if (this.#running || this.#closing) return;
    if (this.#failing && this.#options.now() - this.#failedAt < AGAIN_MS) return;
    this.#running = new Promise((resolve) => setImmediate(resolve))
      .then(() => this.#attempt())
      .then((well) => {
        this.#running = undefined;
        if (well && this.#waiting.length > 0) this.#wake();
      });
  }

  #failedAt = 0;

  /** Does what there is to do. False if it failed. */
  async #attempt(last: () => Promise<void> = async () => undefined): Promise<boolean> {
    try {
      this.#writeFailure();
      while (this.#waiting.length > 0) {
        this.#writeSome();
        await this.#writer.rotate();
      }
      await this.#signIfDue();
      await last();
    } catch (error) {
      this.#fail(messageOf(error));
      return false;
    }
    if (this.#failing) {
      this.#failing = undefined;
      this.#options.failing(undefined);
    }
    this.#options.changed();
    return true;
  }

  /** What was not written, and why, stands in the chain before what comes after it. */
  #writeFailure(): void {
    const failing = this.#failing;
    if (!failing && this.#losing === 0) return;
    const now = textOf(this.#options.date());
    this.#writer.append([
      canonical({
        kind: 'failure',
        lost: this.#losing,
        onFailure: this.#options.onFailure,
        reason: failing?.reason ?? 'more came than can wait',
        since: failing ? textOf(failing.since) : now,
        time: now,
      }),
    ]);
    this.#losing = 0;
  }

  #writeSome(): void {
    let count = 0;
    let some = 0;
    for (const { entries } of this.#waiting) {
      if (some > 0 && count + entries.length > MOST_AT_ONCE) break;
      count += entries.length;
      some++;
    }
    const entries = this.#waiting.slice(0, some).flatMap((one) => one.entries);
    this.#writer.append(entries);
    const done = this.#waiting.splice(0, some);
    this.#size -= entries.reduce((sum, entry) => sum + entry.length, 0);
    for (const { taken } of done) taken();
  }

  async #signIfDue(): Promise<void> {
    const now = this.#options.now();
    if (this.#writer.unsigned === 0 || now - this.#signedAt < this.#options.signEveryMs) return;
    await this.#writer.sign();
    this.#signedAt = now;
  }

  #fail(reason: string): void {
    this.#failures++;
    this.#failedAt = this.#options.now();
    if (this.#failing) return;
    this.#failing = { since: this.#options.date(), reason };
    this.#options.failing(reason);
  }
}
