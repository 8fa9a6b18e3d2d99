import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lineReader } from './line-reader.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-lines-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('a line is that of the position, and what cannot be read has none', () => {
  const file = join(folder, 'a.yaml');
  writeFileSync(file, 'one\ntwo\n');
  const readLine = lineReader();
  assert.deepEqual(
    [1, 2, 9].map((line) => readLine({ file, line, column: 1 })),
    ['one', 'two', undefined],
  );
  assert.equal(readLine({ file: join(folder, 'gone.yaml'), line: 1, column: 1 }), undefined);
  assert.equal(readLine({ file: folder, line: 1, column: 1 }), undefined);
});
