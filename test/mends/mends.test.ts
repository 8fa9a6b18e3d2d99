/**
 * For every finding whose message names a change: the change is made, the finding is gone, nothing worse has come, and the call does what was promised.
 * Every code of the catalogue has a case here, or a written reason why its message names no change.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGES } from '../../src/analysis/messages.ts';
import { EGRESS_MENDS } from './egress.ts';
import { GATEWAY_MENDS } from './gateways.ts';
import { type Mend, testMends } from './mend.ts';
import { PENDING } from './pending.ts';
import { REFERENCE_MENDS } from './references.ts';
import { TLS_MENDS } from './tls.ts';
import { WITHOUT_MEND } from './without-mend.ts';

const MENDS: readonly Mend[] = [...EGRESS_MENDS, ...GATEWAY_MENDS, ...REFERENCE_MENDS, ...TLS_MENDS];

testMends(MENDS);

test('every code has a mend or a reason to have none, and not both', () => {
  const mended = new Set<string>(MENDS.map(({ code }) => code));
  const codes = Object.keys(MESSAGES);
  assert.deepEqual(
    codes.filter((code) => !mended.has(code) && !(code in WITHOUT_MEND) && !PENDING.has(code)),
    [],
    'neither',
  );
  assert.deepEqual(
    Object.keys(WITHOUT_MEND).filter((code) => mended.has(code) || !codes.includes(code)),
    [],
    'both, or not in the catalogue',
  );
});
