/** Regular expressions of users: RE2's syntax and linear time (re2js). */
import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';
import { messageOf } from './errors.ts';

let library: typeof RE2JS | undefined;

/** Throws the library's own error for what RE2 refuses. Loaded when the first expression is met: most configurations have none, and start-up is short. */
export function compileRe2(pattern: string): RE2JS {
  library ??= (createRequire(import.meta.url)('re2js') as typeof import('re2js')).RE2JS;
  return library.compile(pattern);
}

/** What is wrong with a regular expression in RE2's syntax; undefined if nothing is. */
export function regexProblem(pattern: string): string | undefined {
  try {
    compileRe2(pattern);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
