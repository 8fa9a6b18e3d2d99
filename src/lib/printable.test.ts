import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printable } from './printable.ts';

test('what steers a terminal is written out, and everything else stays', () => {
  assert.equal(
    printable('a\u001b[2Jb\u009b1mc\u202ed\re\n\tü 日本 \u{1f600}'),
    'a\\u001b[2Jb\\u009b1mc\\u202ed\\u000de\n\tü 日本 \u{1f600}',
  );
});

test('JSON means the same afterwards', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(JSON.stringify(text));
      assert.equal(JSON.parse(shown), text);
      assert.doesNotMatch(shown, /[\p{Cc}\u202e]/u);
    }),
    { seed: 1 },
  );
});
