/** How a command prints what a question is answered. */

import { type Paint, paintFor, plain } from './colours.ts';
import { print } from './print.ts';

/** Writes an answer to stdout: as JSON, or as the text that `render` makes of it, in colours on a terminal. */
export function writeAnswer<T>(answer: T, output: 'text' | 'json', render: (answer: T, paint: Paint) => string): void {
  const text =
    output === 'json'
      ? `${JSON.stringify(answer, undefined, 2)}\n`
      : render(answer, process.stdout.isTTY ? paintFor(process.stdout) : plain);
  print(text);
}
