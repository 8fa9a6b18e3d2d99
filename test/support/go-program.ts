/** Programs in Go that tests run beside ours, built into a cache outside the tree. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Path of the binary. Throws with Go's own words.
 * @param name of its module and its folder
 * @param source of its one file
 * @param needs module and version, as in go.mod
 */
export function builtGoProgram(name: string, source: string, needs: string): string {
  const module = `module ${name}\n\ngo 1.26.0\n\nrequire ${needs}\n`;
  const id = createHash('sha256').update(source).update(module).digest('hex').slice(0, 12);
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sallyport', `${name}-go-${id}`);
  const binary = join(folder, name);
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'main.go'), source);
  writeFileSync(join(folder, 'go.mod'), module);
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' };
  execFileSync('go', ['build', '-trimpath', '-o', binary, '.'], { cwd: folder, stdio: ['ignore', 2, 2], env });
  return binary;
}
