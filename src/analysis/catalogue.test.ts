import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { DECODING_CODES } from '../api/codes.ts';
import { catalogueMarkdown } from './catalogue.ts';
import { MESSAGES } from './messages.ts';

const source = new URL('..', import.meta.url).pathname;
const page = new URL('../../docs/findings/README.md', import.meta.url);
const CATALOGUES = ['api/codes.ts', 'analysis/messages.ts'];

/** Codes that stand as literals in the sources, outside the catalogues and tests. */
const reported = new Set<string>();
for (const file of globSync('**/*.ts', { cwd: source })) {
  if (file.startsWith('xds/gen/') || file.endsWith('.test.ts') || CATALOGUES.includes(file)) continue;
  for (const [, code] of readFileSync(`${source}/${file}`, 'utf8').matchAll(/'((?:SP|IST)\d{4})'/g)) reported.add(code!);
}

test('every code that is reported is in the catalogue, and the catalogue holds no other', () => {
  const known = new Set(Object.keys({ ...DECODING_CODES, ...MESSAGES }));
  assert.deepEqual(
    [...reported].filter((code) => !known.has(code)),
    [],
  );
  assert.deepEqual(
    [...known].filter((code) => !reported.has(code)),
    [],
  );
});

test('docs/findings is what the catalogue says (UPDATE_DOCS=1 writes it)', () => {
  const text = catalogueMarkdown();
  if (process.env.UPDATE_DOCS) writeFileSync(page, text);
  assert.equal(readFileSync(page, 'utf8'), text);
});
