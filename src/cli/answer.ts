/** How a command prints what a question is answered. */

import type { Finding } from '../lib/finding.ts';
import { productVersion } from '../lib/version.ts';
import { type Paint, paintFor, plain } from './colours.ts';
import { type Describe, githubCommands, markdown, sarif } from './finding-formats.ts';
import { print } from './print.ts';

/** Forms of an answer that is reviewed: those of findings, too. */
export const REVIEW_OUTPUTS = ['text', 'json', 'sarif', 'github', 'markdown'] as const;
export type ReviewOutput = (typeof REVIEW_OUTPUTS)[number];

/** What an answer finds, and what its codes mean. */
export interface Review {
  readonly findings: readonly Finding[];
  readonly describe: Describe;
}

/** The same for an answer that is reviewed where changes are. */
export function writeReview<T>(
  answer: T,
  output: ReviewOutput,
  render: (answer: T, paint: Paint) => string,
  review: (answer: T) => Review,
): void {
  if (output === 'text' || output === 'json') {
    writeAnswer(answer, output, render);
    return;
  }
  const { findings, describe } = review(answer);
  if (output === 'sarif') print(sarif(findings, productVersion(), describe));
  else print(output === 'github' ? githubCommands(findings) : markdown(findings));
}

/** Writes an answer to stdout: as JSON, or as the text that `render` makes of it, in colours on a terminal. */
export function writeAnswer<T>(answer: T, output: 'text' | 'json', render: (answer: T, paint: Paint) => string): void {
  const text =
    output === 'json'
      ? `${JSON.stringify(answer, undefined, 2)}\n`
      : render(answer, process.stdout.isTTY ? paintFor(process.stdout) : plain);
  print(text);
}
