/** The package as a user installs it, on a machine whose own Node is older than the one that the product needs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Without the Node that the package brings. */
const PATH = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

function older(): string | undefined {
  try {
    const version = execFileSync('node', ['--version'], { env: { ...process.env, PATH }, encoding: 'utf8' });
    return Number(/^v(\d+)/.exec(version)?.[1]) < 24
      ? undefined
      : `the Node of this machine is ${version.trim()}, as new as the one that is needed`;
  } catch {
    return 'there is no Node on the PATH beside the one that the package brings';
  }
}

// Dependencies come from the registry, so only CI, which has to reach it anyway, installs.
const skip = process.env.CI ? older() : 'installs from the registry: CI does';

test('npm pack, a global install, and the program runs on an older Node', { skip, timeout: 300_000 }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-package-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const env = { ...process.env, PATH, npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false' };
  const run = (file: string, ...args: string[]) =>
    execFileSync(file, args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  // `prepare` has made dist/ already.
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT, env, stdio: 'pipe' });
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  run('npm', 'install', '--global', '--prefix', folder, join(folder, tarball!));
  const program = join(folder, 'bin/sallyport');
  assert.match(run(program, '--version'), /^\d+\.\d+\.\d+/);
  const examples = join(folder, 'lib/node_modules/sallyport/examples');
  assert.ok(existsSync(examples));
  assert.match(run(program, 'explain', '-f', join(examples, 'egress-http'), 'http://www.example.com/'), /Reaches/);
});
