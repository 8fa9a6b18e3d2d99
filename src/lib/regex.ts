import { createRequire } from 'node:module';
import { messageOf } from './errors.ts';

let compile: ((pattern: string) => unknown) | undefined;

/** What is wrong with a regular expression in RE2's syntax; undefined if nothing is. */
export function regexProblem(pattern: string): string | undefined {
  // Loaded when the first expression is met: most configurations have none, and start-up is short.
  compile ??= (createRequire(import.meta.url)('re2js') as typeof import('re2js')).RE2JS.compile;
  try {
    compile(pattern);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
