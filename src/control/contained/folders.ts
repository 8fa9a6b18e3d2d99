/** Folders as the file system has them. */
import { realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';

/** Without links, as far as it is there. */
export function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** The first of the paths that is the folder, or is in it. All without links. */
export function sharedWith(folder: string, paths: readonly string[]): string | undefined {
  return paths.find((path) => path === folder || path.startsWith(folder === sep ? sep : folder + sep));
}
