import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { compiled, scriptOf } from '../bin/compiled.js';

const ROOT = join(import.meta.dirname, '..');
const BUILD = join(ROOT, 'dist/proxy.cjs');

test('a file runs with the code that was compiled of it, and with no other', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-compiled-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'one.cjs');
  writeFileSync(file, "exports.answer = () => require('node:path').sep;");
  assert.equal(compiled(file), undefined, 'there is no compiled code');
  writeFileSync(`${file}.cache`, scriptOf(file).createCachedData());
  assert.equal((compiled(file) as { answer(): string }).answer(), '/');
  writeFileSync(file, "exports.answer = () => 'something else';");
  assert.equal(compiled(file), undefined);
  // Another text: V8 remembers those that it has had.
  writeFileSync(file, "exports.answer = () => 'and something else';");
  writeFileSync(`${file}.cache`, 'no code at all');
  assert.equal(compiled(file), undefined);
});

const built = existsSync(BUILD);
if (!built && process.env.CI) throw new Error('needed in CI: npm run build');

test('a start of the build takes its compiled code', { skip: built ? false : 'there is no build: npm run build' }, () => {
  const url = pathToFileURL(join(ROOT, 'bin/compiled.js')).href;
  const script = `import { compiled } from ${JSON.stringify(url)}; console.log(typeof compiled(${JSON.stringify(BUILD)})?.main);`;
  const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, ...env } = process.env;
  assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', env }).trim(), 'function');
});
