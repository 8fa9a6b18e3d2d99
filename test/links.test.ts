/** Links between the documents lead to files, and in the npm package too. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

test('every link of a document that is in the package leads to a file that is in it', () => {
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
  const packed = (path: string) => path === 'README.md' || files.some((one) => path === one || path.startsWith(`${one}/`));
  const documents = globSync('{*.md,docs/**/*.md,examples/**/*.md}', { cwd: ROOT }).filter(packed);
  assert.ok(documents.includes('README.md'));
  const dead = documents.flatMap((document) =>
    [...readFileSync(join(ROOT, document), 'utf8').matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)/g)].flatMap(([, target]) => {
      const path = relative(ROOT, join(ROOT, dirname(document), target!));
      return existsSync(join(ROOT, path)) && packed(path) ? [] : [`${document}: ${target}`];
    }),
  );
  assert.deepEqual(dead, []);
});
