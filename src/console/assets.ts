/** The pages' files: those of the build and no others, read once. */
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SallyportError } from '../lib/errors.ts';
import { PACKAGE_ROOT } from '../lib/package-root.ts';

export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=UTF-8',
  '.js': 'text/javascript; charset=UTF-8',
  '.css': 'text/css; charset=UTF-8',
  '.svg': 'image/svg+xml',
};

/** By their names in the address, `/` for the page. Throws `console-not-built`. */
export function readAssets(folder = fileURLToPath(new URL('dist/ui', PACKAGE_ROOT))): ReadonlyMap<string, Asset> {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    throw new SallyportError('console-not-built', `the console's pages are not in ${folder}: run npm run build`, { cause });
  }
  const assets = new Map<string, Asset>();
  for (const name of names) {
    const type = TYPES[extname(name)];
    if (type !== undefined) assets.set(name === 'index.html' ? '/' : `/${name}`, { type, bytes: readFileSync(join(folder, name)) });
  }
  return assets;
}
