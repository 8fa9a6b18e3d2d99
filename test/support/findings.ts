/** Tests of findings in pairs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGES } from '../../src/analysis/messages.ts';
import { codesOf, findingsOf } from '../../src/analysis/testing.ts';

/** A configuration that has a finding, and one that is right and as near as may be. */
export interface Pair {
  readonly wrong: string;
  readonly right: string;
  readonly hints?: true;
}

/** A test for each name, which begins with a code: it is found in the wrong configuration and not in the right one. */
export function testPairs(pairs: Readonly<Record<string, Pair>>): void {
  for (const [name, { wrong, right, hints }] of Object.entries(pairs)) {
    const code = name.split(' ')[0]! as keyof typeof MESSAGES;
    test(`${name} (${MESSAGES[code].name})`, () => {
      const codes = codesOf(wrong, hints && { hints });
      assert.ok(codes.includes(code), `expected ${code} among ${codes.join(', ')}`);
      const near = findingsOf(right, hints && { hints }).filter((finding) => finding.code === code || finding.code === 'IST0001');
      assert.deepEqual(near, [], 'on a right configuration');
    });
  }
}
