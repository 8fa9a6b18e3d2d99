import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ownCacheFolder } from '../bin/compile-cache.js';

const USER = process.geteuid!();

function home(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-home-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('compiled code is kept in a folder for its owner alone', (t) => {
  const folder = ownCacheFolder({}, home(t), USER)!;
  assert.match(folder, /\.cache\/sallyport\/compile$/);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const cache = home(t);
  assert.equal(ownCacheFolder({ XDG_CACHE_HOME: cache }, '/nowhere', USER), join(cache, 'sallyport/compile'));
});

test('nothing is kept where others may write', (t) => {
  for (const part of ['', '.cache', '.cache/sallyport', '.cache/sallyport/compile']) {
    const at = home(t);
    mkdirSync(join(at, '.cache/sallyport/compile'), { recursive: true, mode: 0o700 });
    chmodSync(join(at, part), 0o777);
    assert.equal(ownCacheFolder({}, at, USER), undefined, part);
  }
});

test('nothing is kept in a folder of somebody else, or behind a link', (t) => {
  const at = home(t);
  assert.equal(ownCacheFolder({}, at, USER + 1), undefined);
  assert.ok(!existsSync(join(at, '.cache')), 'nothing is made in it either');
  mkdirSync(join(at, 'elsewhere'));
  symlinkSync(join(at, 'elsewhere'), join(at, '.cache'));
  assert.equal(ownCacheFolder({}, at, USER), undefined);
});

test('a home that is missing or relative does no harm', () => {
  assert.equal(ownCacheFolder({}, '/nowhere/at/all', USER), undefined);
  assert.equal(ownCacheFolder({}, 'relative', USER), undefined);
});

test('the program does not run what stands in the shared temporary folder', {
  skip: USER !== 0 && 'only root can give files away',
}, (t) => {
  const at = home(t);
  const shared = join(at, 'tmp');
  mkdirSync(join(shared, 'node-compile-cache'), { recursive: true });
  chownSync(join(shared, 'node-compile-cache'), 65_534, 65_534);
  const program = fileURLToPath(new URL('../bin/sallyport.js', import.meta.url));
  const { NODE_COMPILE_CACHE: _, XDG_CACHE_HOME: __, ...env } = process.env;
  execFileSync(process.execPath, [program, '--version'], { env: { ...env, HOME: at, TMPDIR: shared } });
  const opened = execFileSync('find', [shared, '-type', 'f'], { encoding: 'utf8' });
  assert.equal(opened, '', 'nothing was kept there');
  assert.ok(existsSync(join(at, '.cache/sallyport/compile')), 'it is kept in the home');
});
