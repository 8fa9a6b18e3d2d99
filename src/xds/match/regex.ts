/** The regular expressions of matchers and rewrites, compiled once a pattern. */
import type { RE2JS } from 're2js';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { compileRe2 } from '../../lib/regex.ts';
import type { RegexMatchAndSubstitute, RegexMatcher } from '../gen/envoy/type/matcher/v3/regex_pb.js';

/** Compiled patterns by their text; the least recently compiled goes first once there are too many. */
const CACHE_LIMIT = 4096;
const cache = new Map<string, RE2JS>();

function compile(pattern: string): RE2JS {
  let compiled = cache.get(pattern);
  if (compiled) return compiled;
  try {
    compiled = compileRe2(pattern);
  } catch (error) {
    throw new SallyportError('xds-invalid', `"${pattern}" is no RE2 regular expression: ${messageOf(error)}`, { cause: error });
  }
  if (cache.size >= CACHE_LIMIT) cache.delete(cache.keys().next().value!);
  cache.set(pattern, compiled);
  return compiled;
}

/** True if the whole of a value matches. Throws `xds-invalid` for a pattern that RE2 refuses. */
export function compileRegex(matcher: RegexMatcher | undefined): (value: string) => boolean {
  const compiled = compile(matcher?.regex ?? '');
  return (value) => compiled.testExact(value);
}

/** Replaces every match; the substitution refers to groups as RE2 does, `\0` to `\9`, and `\\` is a backslash. */
export function compileSubstitution(rewrite: RegexMatchAndSubstitute): (value: string) => string {
  const compiled = compile(rewrite.pattern?.regex ?? '');
  const parts = parseSubstitution(rewrite.substitution, compiled.groupCount());
  return (value) =>
    compiled
      .matcher(value)
      .replaceAll((...groups: unknown[]) => parts.map((part) => (typeof part === 'string' ? part : String(groups[part] ?? ''))).join(''));
}

function parseSubstitution(text: string, groups: number): (string | number)[] {
  const parts: (string | number)[] = [];
  let literal = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\') {
      literal += text[i];
      continue;
    }
    const next = text[++i];
    if (next === '\\') literal += '\\';
    else if (next !== undefined && next >= '0' && next <= '9') {
      if (Number(next) > groups)
        throw new SallyportError('xds-invalid', `the substitution "${text}" names group ${next}, the pattern has ${groups}`);
      if (literal) parts.push(literal);
      literal = '';
      parts.push(Number(next));
    } else
      throw new SallyportError(
        'xds-invalid',
        `the substitution "${text}" has a backslash that is followed by neither a digit nor a backslash`,
      );
  }
  if (literal) parts.push(literal);
  return parts;
}
