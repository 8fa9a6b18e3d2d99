import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { codeOf } from './errors.ts';
import { readAtOnce } from './read-at-once.ts';

/** Two files that a writer replaces one after the other, each with its version. */
function pair(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-at-once-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  const write = (version: number) => {
    for (const path of [first, second]) {
      writeFileSync(`${path}.new`, String(version));
      renameSync(`${path}.new`, path);
    }
  };
  write(1);
  return { first, second, write };
}

test('files that are replaced while they are read are read again, so that all are of one moment', (t) => {
  const { first, second, write } = pair(t);
  let readings = 0;
  const { value, torn } = readAtOnce((readText) => {
    const one = readText(first);
    if (++readings === 1) write(2);
    return [one, readText(second)];
  });
  assert.deepEqual([value, torn, readings], [['2', '2'], false, 2]);
});

test('a writer that never rests is told of, and a file that is not there is an error', (t) => {
  const { first, second, write } = pair(t);
  let version = 1;
  const { value, torn } = readAtOnce((readText) => {
    const one = readText(first);
    write(++version);
    return [one, readText(second)];
  });
  assert.equal(torn, true);
  assert.notEqual(value[0], value[1]);
  assert.throws(
    () => readAtOnce((readText) => readText(`${first}.gone`)),
    (error) => codeOf(error) === 'file-unreadable',
  );
});
