/** What runs outside while a contained command does is this program's own code, some of which is loaded only then: the command may be able to write to it. */

import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire, getCompileCacheDir, registerHooks } from 'node:module';
import { constants } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SallyportError } from '../../lib/errors.ts';

interface Code {
  /** What the folder is in the file system: another one in its place is another. */
  readonly identity: string;
  /** What may not have changed for a file of it to be loaded. */
  readonly unchanged: (file: string) => readonly string[];
}

/** By folder, without links. */
type Codes = ReadonlyMap<string, Code>;

/**
 * From now on a module is not loaded if it, or a folder in which it was looked for, was changed after this process began, or it is not of Sallyport's own code
 * or that of its packages. The time of a change (ctime) is the kernel's to write; what takes the place of another gets it, too. What loads it rejects with
 * `code-changed`.
 */
export function refuseChangedModules(): void {
  const codes = ownCodes();
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (url.startsWith('file:')) check(fileURLToPath(url), codes);
      return loaded;
    },
  });
  const { dlopen } = process;
  process.dlopen = (module: object, file: string, flags = constants.dlopen.RTLD_LAZY) => {
    check(file, codes);
    dlopen(module, file, flags);
  };
}

function check(file: string, codes: Codes): void {
  const path = realpathSync(file);
  const [folder, code] = [...codes].find(([each]) => path.startsWith(each + sep)) ?? [];
  const isOld = (each: string) => statSync(each).ctimeMs < performance.timeOrigin;
  if (folder && code && code.identity === identityOf(folder) && [path, ...code.unchanged(path)].every(isOld)) return;
  throw new SallyportError(
    'code-changed',
    `${file} was changed while a contained command ran, and is part of what contains it: it is not run. Install Sallyport where the command cannot write (npm install -g), and look at what changed.`,
  );
}

function identityOf(folder: string): string {
  const { dev, ino } = statSync(folder, { bigint: true });
  return `${dev} ${ino}`;
}

/** Sallyport's, and those of the packages that it is made with: what these load, and by which links, is theirs to say, so that nothing in them may change. */
function ownCodes(): Codes {
  const own = ownFolder();
  const found = new Map<string, Code>([[own, { identity: identityOf(own), unchanged: (file) => foldersTo(own, file) }]]);
  const add = (folder: string) => {
    const real = realpathSync(folder);
    if (found.has(real)) return;
    found.set(real, { identity: identityOf(real), unchanged: () => [real, join(real, PACKAGE), ...foldersIn(real)] });
    addNeeded(real);
  };
  const addNeeded = (folder: string, isSource = false) => {
    for (const name of neededBy(folder, isSource)) {
      const places = createRequire(join(folder, PACKAGE)).resolve.paths(name) ?? [];
      const place = places.map((each) => join(each, name)).find((each) => existsSync(join(each, PACKAGE)));
      if (place !== undefined) add(place);
    }
  };
  addNeeded(dirname(own), import.meta.url.endsWith('.ts'));
  return found;
}

const PACKAGE = 'package.json';

/** That of the build or of the sources: beside the file that says what the package needs. */
function ownFolder(): string {
  let folder = import.meta.dirname;
  while (dirname(folder) !== sep && !existsSync(join(dirname(folder), PACKAGE))) folder = dirname(folder);
  return dirname(folder) === sep ? import.meta.dirname : folder;
}

/** The sources load what is bundled with the build. */
function neededBy(folder: string, isSource: boolean): readonly string[] {
  const file = join(folder, PACKAGE);
  if (!existsSync(file)) return [];
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(readFileSync(file, 'utf8')) as Readonly<
    Record<string, object | undefined>
  >;
  return Object.keys({ ...dependencies, ...optionalDependencies, ...(isSource ? devDependencies : {}) });
}

function foldersTo(folder: string, file: string): readonly string[] {
  const above = dirname(file);
  return above === folder ? [folder] : [...foldersTo(folder, above), above];
}

function foldersIn(folder: string): readonly string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
}

/** Compiled code is kept where this user may write, and runs as it is found. */
export function compiledCodeFolders(): readonly string[] {
  const folder = getCompileCacheDir();
  return folder === undefined ? [] : [folder];
}
