/** How a command prints what a question is answered. */

import { productVersion } from '../lib/version.ts';
import { type Paint, plain } from '../report/paint.ts';
import { type Review, type ReviewOutput, reviewText } from '../report/review.ts';
import { paintFor } from './colours.ts';
import { print } from './print.ts';

/** Writes an answer that is reviewed where changes are. */
export function writeReview<T>(
  answer: T,
  output: ReviewOutput,
  render: (answer: T, paint: Paint) => string,
  review: (answer: T) => Review,
): void {
  if (output === 'text' || output === 'json') writeAnswer(answer, output, render);
  else print(reviewText(review(answer), output, productVersion()));
}

/** Writes an answer to stdout: as JSON, or as the text that `render` makes of it, in colours on a terminal. */
export function writeAnswer<T>(answer: T, output: 'text' | 'json', render: (answer: T, paint: Paint) => string): void {
  if (output === 'json') printJson(answer);
  else print(render(answer, process.stdout.isTTY ? paintFor(process.stdout) : plain));
}

export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, undefined, 2)}\n`);
}
