/** What runs outside while a contained command does is this program's own code, some of which is loaded only then: the command may be able to write to it. */

import { statSync } from 'node:fs';
import { getCompileCacheDir, registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { SallyportError } from '../../lib/errors.ts';

/**
 * From now on a module whose file was changed after this process began is not loaded. The time of a change (ctime) is the kernel's to write.
 * What loads it rejects with `code-changed`.
 */
export function refuseChangedModules(): void {
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (url.startsWith('file:')) check(fileURLToPath(url));
      return loaded;
    },
  });
}

function check(file: string): void {
  if (statSync(file).ctimeMs < performance.timeOrigin) return;
  throw new SallyportError(
    'code-changed',
    `${file} was changed while a contained command ran, and is part of what contains it: it is not run. Install Sallyport where the command cannot write (npm install -g), and look at what changed.`,
  );
}

/** Compiled code is kept where this user may write, and runs as it is found. */
export function compiledCodeFolders(): readonly string[] {
  const folder = getCompileCacheDir();
  return folder === undefined ? [] : [folder];
}
