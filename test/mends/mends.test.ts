/**
 * For every finding whose message names a change: the change is made, the finding is gone, nothing worse has come, and the call does what was promised.
 * Every code of the catalogue has a case here, or a written reason why its message names no change.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGES } from '../../src/analysis/messages.ts';
import { DECODING_CODES } from '../../src/api/codes.ts';
import { CONFLICT_MENDS } from './conflicts.ts';
import { DECODING_MENDS } from './decoding.ts';
import { EGRESS_MENDS } from './egress.ts';
import { GATEWAY_MENDS } from './gateways.ts';
import { HANDOVER_MENDS } from './handover.ts';
import { INSTALLATION_MENDS } from './installation.ts';
import { MATCH_MENDS } from './matches.ts';
import { type Mend, testMends } from './mend.ts';
import { POLICY_MENDS } from './policies.ts';
import { REFERENCE_MENDS } from './references.ts';
import { REPORT_MENDS } from './reports.ts';
import { RUNNING_MENDS } from './running.ts';
import { TLS_MENDS } from './tls.ts';
import { WITHOUT_MEND } from './without-mend.ts';
import { WORKLOAD_MENDS } from './workloads.ts';

const MENDS: readonly Mend[] = [
  ...EGRESS_MENDS,
  ...GATEWAY_MENDS,
  ...HANDOVER_MENDS,
  ...CONFLICT_MENDS,
  ...REFERENCE_MENDS,
  ...WORKLOAD_MENDS,
  ...INSTALLATION_MENDS,
  ...POLICY_MENDS,
  ...DECODING_MENDS,
  ...RUNNING_MENDS,
  ...TLS_MENDS,
  ...REPORT_MENDS,
  ...MATCH_MENDS,
];

testMends(MENDS);

test('every code has a mend or a reason to have none, and not both', () => {
  const mended = new Set<string>(MENDS.map(({ code }) => code));
  const codes = Object.keys({ ...DECODING_CODES, ...MESSAGES });
  assert.deepEqual(
    codes.filter((code) => !mended.has(code) && !(code in WITHOUT_MEND)),
    [],
    'neither',
  );
  assert.deepEqual(
    Object.keys(WITHOUT_MEND).filter((code) => mended.has(code) || !codes.includes(code)),
    [],
    'both, or not in the catalogue',
  );
});
