import { type FSWatcher, promises as fs, watch as watchFolder } from 'node:fs';
import type { DecodeOptions } from '../api/documents.ts';
import { type CoalesceOptions, Coalescer } from './coalesce.ts';
import { broken, readDecoded, readStream } from './read.ts';
import { type Scan, STDIN, scan } from './scan.ts';
import type { Snapshot } from './snapshot.ts';
import { Store } from './store.ts';

export interface FileOptions extends DecodeOptions {
  /** What `-` reads. */
  readonly stdin?: AsyncIterable<Uint8Array | string>;
  /** 100 ms of quiet, 10 s at most. */
  readonly coalesce?: CoalesceOptions;
}

export interface FileSource {
  /** The newest snapshot. */
  readonly snapshot: Snapshot;
  /** Follows the files: `onSnapshot` gets a new snapshot after each change. Once only. */
  watch(onSnapshot: (snapshot: Snapshot) => void): void;
  /** Looks at the files now, watched or not, and returns what they say. */
  reload(): Promise<Snapshot>;
  /** Ends watching. */
  close(): void;
}

const COALESCE: CoalesceOptions = { quiet: 100, most: 10_000 };

/** How often files are looked at where the system gives no notice of changes, in milliseconds. */
const POLL = 1000;

/**
 * Reads files and folders, `-` being standard input. What is wrong with files or objects are findings of the snapshot.
 * @throws SallyportError `path-not-found` if a path does not exist.
 */
export async function openFiles(paths: readonly string[], options: FileOptions = {}): Promise<FileSource> {
  const files = new Files(paths, options);
  await files.load(true);
  return files;
}

class Files implements FileSource {
  snapshot: Snapshot;
  readonly #paths: readonly string[];
  readonly #options: FileOptions;
  readonly #store = new Store();
  /** What each file looked like when it was read: a change shows without reading. */
  readonly #marks = new Map<string, string>();
  readonly #watchers = new Map<string, FSWatcher>();
  #folders: ReadonlySet<string> = new Set();
  #coalescer: Coalescer | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(paths: readonly string[], options: FileOptions) {
    this.#paths = paths;
    this.#options = options;
    this.snapshot = this.#store.snapshot();
  }

  /** Reads what changed since the last time. True if anything did. */
  async load(first: boolean): Promise<boolean> {
    const found = await scan(this.#paths, first);
    this.#folders = found.folders;
    let changed = false;
    const present = new Set<string>();
    for (const file of found.files) {
      present.add(file);
      const mark = await markOf(file);
      if (this.#marks.get(file) === mark) continue;
      changed = true;
      this.#marks.set(file, mark);
      const decoded =
        file === STDIN
          ? await readStream(this.#options.stdin ?? process.stdin, 'stdin', this.#options)
          : await readDecoded(file, this.#options);
      this.#store.set(file, decoded);
    }
    for (const { path, reason } of found.unreadable) {
      present.add(path);
      if (this.#marks.get(path) === reason) continue;
      changed = true;
      this.#marks.set(path, reason);
      this.#store.set(path, broken('SP0002', path, `can't be read: ${reason}`));
    }
    for (const file of this.#marks.keys()) {
      if (present.has(file) || isWithin(file, found)) continue;
      changed = true;
      this.#marks.delete(file);
      this.#store.delete(file);
    }
    if (changed || first) this.snapshot = this.#store.snapshot(this.#order(found));
    return changed;
  }

  watch(onSnapshot: (snapshot: Snapshot) => void): void {
    if (this.#coalescer) throw new TypeError('the files are being watched already');
    const reload = async () => {
      const changed = await this.load(false);
      this.#follow();
      if (changed && this.#coalescer) onSnapshot(this.snapshot);
    };
    this.#coalescer = new Coalescer(reload, this.#options.coalesce ?? COALESCE);
    this.#follow();
    // What changed between the first load and now.
    this.#coalescer.signal();
  }

  async reload(): Promise<Snapshot> {
    await this.load(false);
    return this.snapshot;
  }

  close(): void {
    this.#coalescer?.close();
    this.#coalescer = undefined;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    clearInterval(this.#poll);
  }

  /** Watches the folders of the last scan. Folders rather than files: an editor replaces a file by renaming another over it. */
  #follow(): void {
    const coalescer = this.#coalescer;
    if (!coalescer) return;
    for (const [folder, watcher] of this.#watchers) {
      if (this.#folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of this.#folders) {
      if (this.#watchers.has(folder)) continue;
      try {
        const watcher = watchFolder(folder, () => coalescer.signal());
        watcher.on('error', () => {
          watcher.close();
          this.#watchers.delete(folder);
          coalescer.signal();
        });
        this.#watchers.set(folder, watcher);
      } catch {
        // No more watches to be had, or a file system without them.
        this.#poll ??= setInterval(() => coalescer.signal(), POLL).unref();
      }
    }
  }

  /** Files that can't be seen just now keep their place behind those that can. */
  #order(found: Scan): string[] {
    const order = new Set<string>(found.files);
    for (const file of this.#store.files()) order.add(file);
    return [...order];
  }
}

/** Whether a file is hidden by a folder that can't be read, rather than gone. */
function isWithin(file: string, { unreadable }: Scan): boolean {
  return unreadable.some(({ path }) => file.startsWith(`${path}/`));
}

async function markOf(file: string): Promise<string> {
  if (file === STDIN) return STDIN;
  try {
    const { mtimeNs, ctimeNs, size, ino } = await fs.stat(file, { bigint: true });
    return `${mtimeNs}/${ctimeNs}/${size}/${ino}`;
  } catch {
    return 'unreadable';
  }
}
