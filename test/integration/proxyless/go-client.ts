/** The client of Go, built from `go/main.go` into a cache outside the tree. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const SOURCE = readFileSync(join(import.meta.dirname, 'go/main.go'), 'utf8');
const MODULE = 'module proxyless\n\ngo 1.26.0\n\nrequire google.golang.org/grpc v1.82.0\n';

/** Path of its binary: half a minute, where nothing of it was ever built. Throws with Go's own words. */
export function builtGoClient(): string {
  const id = createHash('sha256').update(SOURCE).update(MODULE).digest('hex').slice(0, 12);
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sallyport', `proxyless-go-${id}`);
  const binary = join(folder, 'client');
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'main.go'), SOURCE);
  writeFileSync(join(folder, 'go.mod'), MODULE);
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' };
  execFileSync('go', ['build', '-o', binary, '.'], { cwd: folder, stdio: ['ignore', 2, 2], env });
  return binary;
}

if (import.meta.main) console.log(builtGoClient());
