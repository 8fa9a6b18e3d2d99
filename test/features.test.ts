import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { featuresPage, staleEntries } from '../scripts/features.ts';

const PAGE = new URL('../docs/features.md', import.meta.url);

test('docs/features.md lists the fields that the schemas have (UPDATE_DOCS=1 writes it)', () => {
  if (process.env.UPDATE_DOCS) writeFileSync(PAGE, featuresPage());
  assert.equal(readFileSync(PAGE, 'utf8'), featuresPage());
});

test('what is said not to work exists', () => {
  assert.deepEqual(staleEntries(), []);
});
