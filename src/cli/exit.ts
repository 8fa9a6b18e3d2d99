/** How commands end. */
import { codeOf, messageOf } from '../lib/errors.ts';

export const EXIT = {
  fine: 0,
  /** Findings of level Error, or a check that failed. */
  findings: 1,
  usage: 2,
  couldNotRun: 3,
} as const;

/** The exit code for what a command threw, and the line that says it. */
export function describeFailure(error: unknown): { readonly code: number; readonly text: string } {
  const code = codeOf(error) === 'usage' ? EXIT.usage : EXIT.couldNotRun;
  return { code, text: `sallyport: ${messageOf(error)}` };
}
