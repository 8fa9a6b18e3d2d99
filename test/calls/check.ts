/** Holds a call against its record. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Call, Case, Observation } from './cases.ts';
import { compare } from './compare.ts';
import { Differences, type Evaluator } from './differences.ts';
import { withAliases } from './observe.ts';

export const differences = Differences.load();

/** Rejects where it comes out otherwise and is not listed as a difference, or is listed and does not. @param perform makes the call */
export async function check(perform: (call: Call) => Promise<Observation>, evaluator: Evaluator, found: Case, call: Call): Promise<void> {
  const differing = async () => {
    const got = withAliases(await perform(call), found.alias ?? {});
    const against = compare(call, got, false);
    if (process.env.CALLS_VERBOSE && against.length > 0) console.error(`${call.name}: ${JSON.stringify(got)}`);
    return against;
  };
  let lines = await differing();
  // Counts of a random choice: where the record itself is off the mean, a right proxy is outside of the tolerance once in twenty runs, but not three
  // times in a row.
  const random = (call.repeat ?? 1) > 1 && call.tolerance !== 0;
  for (let again = 0; random && again < 2 && lines.length > 0; again++) lines = await differing();
  const reason = differences.reason(evaluator, found.name, call.name);
  if (reason === undefined) assert.deepEqual(lines, []);
  else if (!differences.mayAgree(evaluator, found.name, call.name))
    assert.notDeepEqual(lines, [], `listed in differences.yaml, but agrees with the record: ${reason}`);
  if (call.wait !== undefined) await delay(call.wait * 1000);
}
