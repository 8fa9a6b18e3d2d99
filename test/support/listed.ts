/** Known differences: a listed one passes as long as it is there, so that a green run reads green, and fails once it is gone. */
import assert from 'node:assert/strict';

/** Checks, or, where a reason is given why that does not hold yet, that it does not. */
export function checkUnlessListed(reason: string | undefined, check: () => void): void {
  if (reason === undefined) check();
  else assert.throws(check, assert.AssertionError, `this is listed as a difference, but agrees now: take it off the list (${reason})`);
}

/** The name of a test, with the reason why what it says does not hold yet. */
export function listedName(name: string, reason: string | undefined): string {
  return reason === undefined ? name : `${name} (differs, as listed: ${reason})`;
}
