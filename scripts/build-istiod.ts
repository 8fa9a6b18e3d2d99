/** Istio's control plane (pilot-discovery) for tests: the one that ISTIOD names, else built from Go's module proxy into a cache outside the tree. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isExecutable } from '../src/engine/envoy/find.ts';

/** The commit of which the call table was recorded. */
const VERSION = 'v0.0.0-20260827124520-eed52ebb66ad';
/** As in go.mod. */
export const ISTIO = `istio.io/istio ${VERSION}`;

const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sallyport', `istiod-${VERSION}`);
const binary = join(folder, 'pilot-discovery');

/** Path of one that is there already, or undefined. */
export function findIstiod(): string | undefined {
  return [process.env.ISTIOD, binary].find((path) => path && isExecutable(path));
}

/** Builds it where there is none: seconds to two minutes beside a built pilot-agent, with which it shares most, and several without. Throws with Go's own words. */
export function buildIstiod(): string {
  const found = findIstiod();
  if (found !== undefined) return found;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'go.mod'), `module istiod\n\ngo 1.26.0\n\nrequire ${ISTIO}\n`);
  // By -mod=mod Go finds what the program needs, and nothing that only tests of its dependencies need.
  const build = ['go', 'build', '-trimpath', '-ldflags', '-s -w', '-o', binary, 'istio.io/istio/pilot/cmd/pilot-discovery'];
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' };
  execFileSync('nice', build, { cwd: folder, stdio: ['ignore', 2, 2], env });
  return binary;
}

if (import.meta.main) console.log(buildIstiod());
