/** envoy.type.matcher.v3.StringMatcher, compiled. */
import { SallyportError } from '../../lib/errors.ts';
import type { StringMatcher } from '../gen/envoy/type/matcher/v3/string_pb.js';
import { compileRegex } from './regex.ts';

export type StringPredicate = (value: string) => boolean;

/** Throws `xds-invalid` for a bad regex or a matcher without pattern, `xds-unsupported` for a custom one. */
export function compileStringMatcher(matcher: StringMatcher): StringPredicate {
  const { matchPattern, ignoreCase } = matcher;
  switch (matchPattern.case) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return comparison(matchPattern.case, matchPattern.value, ignoreCase);
    case 'safeRegex':
      // ignore_case has no effect on a regex, as in Envoy; (?i) does it.
      return compileRegex(matchPattern.value);
    case 'custom':
      throw new SallyportError('xds-unsupported', `string matcher: the extension "${matchPattern.value.name}" is not supported`);
    default:
      throw new SallyportError('xds-invalid', 'string matcher without a pattern');
  }
}

/** A comparison with a literal; with `ignoreCase` ASCII letters of either case are equal. */
export function comparison(kind: 'exact' | 'prefix' | 'suffix' | 'contains', literal: string, ignoreCase: boolean): StringPredicate {
  if (ignoreCase) {
    const plain = comparison(kind, lowerAscii(literal), false);
    return (value) => plain(lowerAscii(value));
  }
  switch (kind) {
    case 'exact':
      return (value) => value === literal;
    case 'prefix':
      return (value) => value.startsWith(literal);
    case 'suffix':
      return (value) => value.endsWith(literal);
    case 'contains':
      return (value) => value.includes(literal);
  }
}

/** Letters beyond ASCII keep their case: in headers and paths they are bytes without a meaning. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
