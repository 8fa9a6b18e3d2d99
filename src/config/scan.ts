import { type Dirent, promises as fs, type Stats } from 'node:fs';
import { dirname, extname, join, resolve, sep } from 'node:path';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { irregularity } from '../lib/regular-file.ts';
import { isPassing } from './passing.ts';

const EXTENSIONS: ReadonlySet<string> = new Set(['.yaml', '.yml', '.json']);

/** Whether a file in a folder is one of configuration. */
export function isConfigurationFile(name: string): boolean {
  return EXTENSIONS.has(extname(name).toLowerCase());
}

/** The path that stands for standard input. */
export const STDIN = '-';

interface Unreadable {
  readonly path: string;
  readonly reason: string;
  /** The reason passes without anybody touching the path. */
  readonly passes: boolean;
}

export interface Scan {
  /** Files to read, in the order of the paths given and, within a folder, of their names. */
  readonly files: readonly string[];
  /** Folders that tell of changes: those scanned, those of files named alone, and those that links lead to. */
  readonly folders: ReadonlySet<string>;
  readonly unreadable: readonly Unreadable[];
  /** There are more entries than were asked for, and the rest was not looked at. */
  readonly cut: boolean;
}

/** For folders that hold much else than configuration. */
export interface ScanLimits {
  /** How many entries of folders are looked at. */
  readonly entries: number;
  /** Names of folders that are left out. */
  readonly ignored: ReadonlySet<string>;
}

const NO_LIMITS: ScanLimits = { entries: Number.POSITIVE_INFINITY, ignored: new Set() };

/**
 * Finds the files under paths: a file is taken whatever its name, a folder gives its .yaml, .yml and .json files, recursively. Names that
 * begin with a dot are left out, so editors' swap files and mounted ConfigMaps' internals are too. Links are followed as long as they stay under the
 * paths: who may write to a folder of configuration must not choose which files are read, as findings print lines of them.
 * @throws SallyportError `path-not-found` if `strict` and a path does not exist.
 */
export async function scan(paths: readonly string[], strict: boolean, limits = NO_LIMITS): Promise<Scan> {
  const files = new Map<string, string>();
  const folders = new Set<string>();
  const unreadable: Unreadable[] = [];
  const visited = new Set<string>();
  let entries = 0;
  const roots = (await Promise.all(paths.map((path) => fs.realpath(path).catch(() => [])))).flat();

  const addFile = async (path: string) => {
    const key = resolve(path);
    if (!files.has(key)) files.set(key, path);
    folders.add(dirname(key));
    const real = await fs.realpath(path).catch(() => key);
    if (real !== key) folders.add(dirname(real));
  };

  const addFolder = async (path: string) => {
    try {
      const real = await fs.realpath(path);
      if (visited.has(real)) return;
      visited.add(real);
      folders.add(resolve(path));
      const found = await fs.readdir(path, { withFileTypes: true });
      for (const entry of found.sort(byName))
        if (!entry.name.startsWith('.') && !limits.ignored.has(entry.name) && entries++ < limits.entries)
          await addEntry(join(path, entry.name), entry);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') unreadable.push({ path, reason: messageOf(error), passes: isPassing(error) });
    }
  };

  const addEntry = async (path: string, entry: Dirent) => {
    // What is neither a file nor a folder would be waited for without end, and is not passed over in silence.
    const irregular = (at: string, stats: Dirent | Stats) => {
      const what = irregularity(at, stats);
      if (what !== undefined) unreadable.push({ path: at, reason: `it is ${what}`, passes: false });
    };
    const wanted = isConfigurationFile(entry.name);
    if (entry.isDirectory()) await addFolder(path);
    else if (entry.isFile() && wanted) await addFile(path);
    else if (entry.isSymbolicLink()) {
      const target = await fs.stat(path).catch(() => undefined);
      const real = await fs.realpath(path).catch(() => path);
      if (target && (wanted || target.isDirectory()) && !roots.some((root) => isUnder(real, root))) {
        const reason = `the link leads out of the given paths, to ${real}: give that path too if it belongs to the configuration`;
        unreadable.push({ path, reason, passes: false });
      } else if (target?.isDirectory()) await addFolder(path);
      else if (wanted && target?.isFile()) await addFile(path);
      else if (wanted && !target) unreadable.push({ path, reason: 'the link leads nowhere', passes: false });
      else if (wanted && target) irregular(path, target);
    } else if (wanted) irregular(path, entry);
  };

  for (const path of paths) {
    if (path === STDIN) {
      files.set(STDIN, STDIN);
      continue;
    }
    try {
      const stats = await fs.stat(path);
      if (stats.isDirectory()) await addFolder(path);
      else await addFile(path);
    } catch (error) {
      const missing = codeOf(error) === 'ENOENT';
      if (missing && strict) throw new SallyportError('path-not-found', `there is no file or folder ${path}`, { cause: error });
      // A file that was replaced by renaming is missing for a moment: its folder tells when it is back.
      folders.add(dirname(resolve(path)));
      if (!missing) unreadable.push({ path, reason: messageOf(error), passes: isPassing(error) });
    }
  }
  return { files: [...files.values()], folders, unreadable, cut: entries > limits.entries };
}

/** Whether a path is `root` or lies in it. Both are absolute. */
export function isUnder(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

/** By code points, so that the order is that of every machine. */
function byName(a: Dirent, b: Dirent): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
