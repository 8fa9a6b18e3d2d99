/** The pages' files: those of the build and no others, read once. */
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SallyportError } from '../lib/errors.ts';
import { PACKAGE_ROOT } from '../lib/package-root.ts';
import { table } from '../lib/table.ts';

export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
}

const TYPES = table<string>({
  '.html': 'text/html; charset=UTF-8',
  '.js': 'text/javascript; charset=UTF-8',
  '.css': 'text/css; charset=UTF-8',
  '.svg': 'image/svg+xml',
});

/** Finds a page by its path in the address, `/` for the first. Files are read when they are first asked for. Throws `console-not-built`. */
export function openAssets(folder = fileURLToPath(new URL('dist/ui', PACKAGE_ROOT))): (path: string) => Asset | undefined {
  const names = new Map(namesIn(folder).map((name) => [name === 'index.html' ? '/' : `/${name}`, name]));
  const read = new Map<string, Asset>();
  return (path) => {
    const name = names.get(path);
    const type = name === undefined ? undefined : TYPES[extname(name)];
    if (name === undefined || type === undefined) return undefined;
    const asset = read.get(name) ?? { type, bytes: readFileSync(join(folder, name)) };
    read.set(name, asset);
    return asset;
  };
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    throw new SallyportError('console-not-built', `the console's pages are not in ${folder}: run npm run build`, { cause });
  }
}
