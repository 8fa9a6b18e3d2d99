import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Decoded, DecodeOptions } from '../api/documents.ts';
import { decodeBytes, type FileGuard, type FileRead, presentMark, readMarked, readStream, tooLarge, unreadable } from './read.ts';
import { type Scan, STDIN, scan } from './scan.ts';
import type { Snapshot } from './snapshot.ts';
import { Store } from './store.ts';

export interface FileOptions extends DecodeOptions {
  /** What `-` reads. */
  readonly stdin?: AsyncIterable<Uint8Array | string>;
  /** A file that is gone is looked for again after this: whoever replaces it may have removed the old one first. 100 ms if not said. */
  readonly absence?: () => Promise<unknown>;
  /** What time it is for objects that end, ms since the epoch. */
  readonly now?: () => number;
  /** Of files that are read only from whom they may come. */
  readonly guards?: ReadonlyMap<string, FileGuard> | undefined;
  /** The paths that are read again, where not all are: what the others held first stays. */
  readonly followed?: readonly string[] | undefined;
}

/** What a load found. */
export interface FilesLoaded {
  readonly changed: boolean;
  /** Folders that tell of changes. */
  readonly folders: ReadonlySet<string>;
  /** Something could not be read for a reason that passes by itself. */
  readonly incomplete: boolean;
}

const ABSENCE_MS = 100;

const SAME = { changed: false, incomplete: false };
const CHANGED = { changed: true, incomplete: false };

/** What is known of a file: that its content is in the store. */
interface Seen {
  readonly mark: string;
  /** Of the content; empty where there is none. */
  readonly digest: string;
  /** The file was changed so shortly before that its mark may not show another change. */
  readonly fresh: boolean;
}

/** Clocks of file systems go in steps; in none that is in use with nanoseconds are these longer, in ms. */
const CLOCK_STEP = 50;

/**
 * Reads files and folders once, `-` being standard input. What is wrong with files or objects are findings of the snapshot.
 * @throws SallyportError `path-not-found` if a path does not exist.
 */
export async function openFiles(paths: readonly string[], options: FileOptions = {}): Promise<Files> {
  const files = new Files(paths, options);
  await files.load();
  return files;
}

/** What files and folders hold, read again as they change. One load at a time: whoever calls sees to that. */
export class Files {
  /** Of the last load. */
  snapshot: Snapshot;
  readonly #paths: readonly string[];
  readonly #options: FileOptions;
  readonly #store: Store;
  readonly #seen = new Map<string, Seen>();
  /** Files that are not read again, in their order. */
  #settled: readonly string[] = [];
  #first = true;

  constructor(paths: readonly string[], options: FileOptions = {}) {
    this.#paths = paths;
    this.#options = options;
    this.#store = new Store(false, options.now);
    this.snapshot = this.#store.snapshot();
  }

  /**
   * Reads what changed since the last time. What breaks or cannot be read leaves what it held in force.
   * @throws SallyportError `path-not-found` if a path does not exist the first time.
   */
  async load(): Promise<FilesLoaded> {
    const paths = this.#first ? this.#paths : (this.#options.followed ?? this.#paths);
    let found = await scan(paths, this.#first);
    if (this.#gone(found).length > 0) {
      await (this.#options.absence ?? (() => delay(ABSENCE_MS)))();
      found = await scan(paths, this.#first);
    }
    let changed = this.#first || this.#store.isOver();
    let incomplete = false;
    for (const file of found.files) {
      const looked = await this.#look(file);
      changed ||= looked.changed;
      incomplete ||= looked.incomplete;
    }
    for (const { path, reason, passes } of found.unreadable) {
      changed = this.#takeProblem(path, reason) || changed;
      incomplete ||= passes;
    }
    for (const file of this.#gone(found)) {
      changed = true;
      this.#seen.delete(file);
      this.#store.delete(file);
    }
    if (this.#first && this.#options.followed) this.#settled = settledOf(found, this.#options.followed);
    this.#first = false;
    if (changed) this.snapshot = this.#store.snapshot(this.#order(found));
    return { changed, folders: found.folders, incomplete };
  }

  async #look(file: string): Promise<Omit<FilesLoaded, 'folders'>> {
    const seen = this.#seen.get(file);
    if (file === STDIN) {
      if (seen) return SAME;
      const { stdin = process.stdin } = this.#options;
      this.#take(file, { mark: STDIN, digest: '', fresh: false }, await readStream(stdin, 'stdin', this.#options));
      return CHANGED;
    }
    if (seen && !seen.fresh && seen.mark === (await presentMark(file))) return SAME;
    const read = await readMarked(file, this.#options.guards?.get(file));
    switch (read.kind) {
      case 'content': {
        const now = { mark: read.mark, digest: digestOf(read.bytes), fresh: isFresh(read.mark) };
        if (seen?.digest === now.digest) {
          this.#seen.set(file, now);
          return SAME;
        }
        this.#take(file, now, decodeBytes(read.bytes, file, { ...this.#options, before: this.#store.decoded(file) }));
        return CHANGED;
      }
      case 'too-large':
        this.#take(file, { mark: read.mark, digest: '', fresh: false }, tooLarge(file, read.size));
        return CHANGED;
      default:
        return { changed: this.#takeProblem(file, reasonOf(read)), incomplete: read.kind !== 'unreadable' };
    }
  }

  /** The mark is kept with the content that it is of, and never without. */
  #take(file: string, seen: Seen, decoded: Decoded): void {
    this.#seen.set(file, seen);
    this.#store.set(file, decoded);
  }

  /** True if this is news. What has no content has no mark, so that it is read again the next time. */
  #takeProblem(path: string, reason: string): boolean {
    const digest = `problem: ${reason}`;
    const news = this.#seen.get(path)?.digest !== digest;
    if (news) this.#take(path, { mark: '', digest, fresh: true }, unreadable(path, reason));
    return news;
  }

  /** Files that were there and are not, rather than hidden by a folder that can't be read. */
  #gone({ files, unreadable: hidden }: Scan): string[] {
    const present = new Set([...files, ...this.#settled, ...hidden.map(({ path }) => path)]);
    return [...this.#seen.keys()].filter((file) => !present.has(file) && !hidden.some(({ path }) => file.startsWith(`${path}/`)));
  }

  /** Files that can't be seen just now keep their place behind those that can. */
  #order(found: Scan): string[] {
    return [...new Set([...this.#settled, ...found.files, ...this.#store.files()])];
  }
}

function settledOf({ files, unreadable: hidden }: Scan, followed: readonly string[]): string[] {
  const again = new Set(followed.map((path) => resolve(path)));
  return [...files, ...hidden.map(({ path }) => path)].filter((path) => !again.has(resolve(path)));
}

function reasonOf(read: Exclude<FileRead, { readonly kind: 'content' | 'too-large' }>): string {
  return read.kind === 'missing' ? 'it is gone' : read.reason;
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64');
}

/** @param mark begins with the time of the last change, in ns */
function isFresh(mark: string): boolean {
  const changed = Number.parseInt(mark.split('/')[1] ?? '', 10) / 1e6;
  return Math.abs(Date.now() - changed) < CLOCK_STEP;
}
