import { type FSWatcher, statSync, watch } from 'node:fs';

/** How often files are looked at where the system gives no notice of changes, in milliseconds. */
const POLL_MS = 1000;

interface Watched {
  readonly watcher: FSWatcher;
  /** Another folder at the same path is not the one that is watched. */
  readonly inode: number;
}

/** Gives notice when something in folders changes. Folders rather than files: an editor replaces a file by renaming another over it. */
export class FolderWatch {
  readonly #notice: () => void;
  readonly #watched = new Map<string, Watched>();
  #poll: NodeJS.Timeout | undefined;

  constructor(notice: () => void) {
    this.#notice = notice;
  }

  /** From now on these folders and no others. Notice is given at once if one of them is new: what it held may have changed before. */
  follow(folders: ReadonlySet<string>): void {
    for (const [folder, { inode }] of this.#watched) if (!folders.has(folder) || inodeOf(folder) !== inode) this.#drop(folder);
    const added = [...folders].filter((folder) => !this.#watched.has(folder) && this.#add(folder));
    const blind = [...folders].some((folder) => !this.#watched.has(folder));
    clearInterval(this.#poll);
    // No more watches to be had, or a file system without them.
    this.#poll = blind ? setInterval(this.#notice, POLL_MS).unref() : undefined;
    if (added.length > 0) this.#notice();
  }

  close(): void {
    for (const folder of [...this.#watched.keys()]) this.#drop(folder);
    clearInterval(this.#poll);
  }

  #add(folder: string): boolean {
    try {
      const watcher = watch(folder, this.#notice);
      watcher.on('error', () => {
        this.#drop(folder);
        this.#notice();
      });
      this.#watched.set(folder, { watcher, inode: inodeOf(folder) });
      return true;
    } catch {
      return false;
    }
  }

  #drop(folder: string): void {
    this.#watched.get(folder)?.watcher.close();
    this.#watched.delete(folder);
  }
}

/** 0 for what is not there. */
function inodeOf(folder: string): number {
  return statSync(folder, { throwIfNoEntry: false })?.ino ?? 0;
}
