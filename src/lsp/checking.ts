/** Findings of the workspace, told as it changes: once nothing has changed for a moment, in slices, and not to the end where something newer has come. */
import { setTimeout as delay } from 'node:timers/promises';
import { createPace } from '../lib/pace.ts';
import type { Configuration } from './configuration.ts';
import { type Shown, shownByFile } from './diagnostics.ts';
import type { TextLines } from './text.ts';
import type { Workspace } from './workspace.ts';

/** After a change it is waited for so many ms whether another follows. */
const QUIET_MS = 200;
/** How long it may keep the thread from answering at a time, in ms. */
const SLICE_MS = 10;

export interface CheckingListener {
  /** What there is to say of a file now. */
  found(file: string, shown: readonly Shown[]): Promise<void>;
  /** A check broke. */
  failed(error: unknown): void;
}

/** What is known of a file by the newest check. */
interface Judged {
  readonly shown: readonly Shown[];
  /** The text that the places are of; undefined where it could not be read. */
  readonly lines: TextLines | undefined;
}

interface Told extends Judged {
  readonly written: string;
}

export class Checking {
  readonly #workspace: Workspace;
  readonly #listener: CheckingListener;
  readonly #pace = createPace(SLICE_MS, () => performance.now());
  #wanted = 0;
  #running = false;
  /** As they were told, by file; with their text, by which a change is noticed. */
  readonly #told = new Map<string, Told>();

  constructor(workspace: Workspace, listener: CheckingListener) {
    this.#workspace = workspace;
    this.#listener = listener;
  }

  /** Returns at once. */
  want(): void {
    this.#wanted++;
    if (!this.#running) void this.#run();
  }

  /** As they were told last. */
  shown(file: string): readonly Shown[] {
    return this.#told.get(file)?.shown ?? [];
  }

  /** The text in which they are at their places. */
  judged(file: string): TextLines | undefined {
    return this.#told.get(file)?.lines;
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let done = 0; done !== this.#wanted; ) {
      const wanted = this.#wanted;
      await delay(QUIET_MS, undefined, { ref: false });
      if (wanted !== this.#wanted) continue;
      try {
        const found = await this.#check(wanted);
        if (!found || !(await this.#publish(found, wanted))) continue;
      } catch (error) {
        this.#listener.failed(error);
      }
      done = wanted;
    }
    this.#running = false;
  }

  /** By file; undefined as soon as something newer has come. */
  async #check(wanted: number): Promise<Map<string, Judged> | undefined> {
    const all = new Map<string, Judged>();
    for (const configuration of this.#workspace.configurations) {
      const found = await this.#findings(configuration, wanted);
      if (!found) return undefined;
      for (const [file, shown] of found) all.set(file, { shown, lines: configuration.lines(file) });
    }
    return all;
  }

  async #findings(configuration: Configuration, wanted: number): Promise<Map<string, Shown[]> | undefined> {
    const steps = configuration.findings(Date.now());
    for (;;) {
      await this.#pace();
      if (wanted !== this.#wanted) return undefined;
      const { done, value } = steps.next();
      if (done) return shownByFile(value, (file) => configuration.lines(file));
    }
  }

  /** Tells what is different from the last time. Resolves with whether it came to the end before something newer. */
  async #publish(found: ReadonlyMap<string, Judged>, wanted: number): Promise<boolean> {
    for (const file of new Set([...found.keys(), ...this.#told.keys()])) {
      const { shown, lines } = found.get(file) ?? { shown: [], lines: undefined };
      const written = JSON.stringify(shown);
      const before = this.#told.get(file)?.written ?? '[]';
      if (shown.length > 0) this.#told.set(file, { shown, lines, written });
      else this.#told.delete(file);
      if (written === before) continue;
      await this.#listener.found(file, shown);
      if (wanted !== this.#wanted) return false;
    }
    return true;
  }
}
