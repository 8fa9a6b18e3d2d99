import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPrivateFolder } from './private-folder.ts';

test('the folder is for its user alone, and what somebody else has put in its place is not used', (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'sallyport-private-'));
  t.after(() => rmSync(parent, { recursive: true }));
  const folder = join(parent, 'own');
  assert.equal(openPrivateFolder(folder), folder);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(openPrivateFolder(folder), folder, 'it is there already');
  const refused = (path: string, uid?: number) => assert.throws(() => openPrivateFolder(path, uid), { code: 'folder-unusable' }, path);
  refused(folder, process.getuid!() + 1);
  chmodSync(folder, 0o750);
  refused(folder);
  symlinkSync(parent, join(parent, 'link'));
  refused(join(parent, 'link'));
  writeFileSync(join(parent, 'file'), '');
  refused(join(parent, 'file'));
  refused(join(parent, 'none', 'own'));
});
