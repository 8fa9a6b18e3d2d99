import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readRegularText } from './regular-file.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-file-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('a file is read, through links too', (t) => {
  const path = folder(t);
  writeFileSync(join(path, 'a'), 'text');
  symlinkSync(join(path, 'a'), join(path, 'b'));
  assert.equal(readRegularText(join(path, 'a')), 'text');
  assert.equal(readRegularText(join(path, 'b')), 'text');
});

test('what never ends, or waits for a writer, is an error at once', (t) => {
  const path = folder(t);
  execFileSync('mkfifo', [join(path, 'fifo')]);
  symlinkSync('/dev/zero', join(path, 'zero'));
  assert.throws(() => readRegularText(join(path, 'fifo')), { code: 'not-a-file', message: /named pipe/ });
  assert.throws(() => readRegularText(join(path, 'zero')), { code: 'not-a-file', message: /device/ });
  assert.throws(() => readRegularText('/dev/zero'), { code: 'not-a-file' });
  assert.throws(() => readRegularText(path), { code: 'not-a-file', message: /folder/ });
  assert.throws(() => readRegularText(join(path, 'none')), { code: 'ENOENT' });
});
