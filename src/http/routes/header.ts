/** envoy.config.route.v3.HeaderMatcher, compiled. */

import { table } from '../../lib/table.ts';
import type { HeaderMatcher } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { compileRegex } from '../../xds/match/regex.ts';
import { comparison, compileStringMatcher, type StringPredicate } from '../../xds/match/string.ts';
import type { HeaderMap } from '../header-map.ts';

/** Where a header matcher looks: pseudo-headers are fields of the request, the rest is in `headers`. */
export interface HeaderSource {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly scheme: string;
  readonly headers: HeaderMap;
}

export type HeaderPredicate = (source: HeaderSource) => boolean;

/** As routes match: of a repeated header each value, and then all of them joined by commas. Throws `xds-invalid` for a bad regex. */
export function compileHeaderMatcher(matcher: HeaderMatcher): HeaderPredicate {
  return compileFor(matcher, 'each or joined');
}

/** As policies (RBAC) match: of a repeated header each value alone, so that nobody gets around one by sending a header twice. Throws as above. */
export function compilePolicyHeader(matcher: HeaderMatcher): HeaderPredicate {
  return compileFor(matcher, 'each');
}

function compileFor(matcher: HeaderMatcher, repeated: 'each' | 'each or joined'): HeaderPredicate {
  const read = headerReader(matcher.name.toLowerCase());
  const { headerMatchSpecifier: specifier, invertMatch, treatMissingHeaderAsEmpty } = matcher;
  if (specifier.case === undefined || specifier.case === 'presentMatch') {
    const expected = (specifier.case === undefined || specifier.value) !== invertMatch;
    return (source) => (treatMissingHeaderAsEmpty || read.first(source) !== undefined) === expected;
  }
  const test = valuePredicate(specifier);
  return (source) => {
    const first = read.first(source);
    if (first === undefined) return treatMissingHeaderAsEmpty ? test('') !== invertMatch : false;
    return matchesAny(test, first, read.all(source), repeated) !== invertMatch;
  };
}

/** All of them hold. */
export function compileHeaderMatchers(matchers: readonly HeaderMatcher[]): HeaderPredicate | undefined {
  if (matchers.length === 0) return undefined;
  const predicates = matchers.map(compileHeaderMatcher);
  if (predicates.length === 1) return predicates[0];
  return (source) => predicates.every((predicate) => predicate(source));
}

/** Of a repeated header, one value that matches is enough. */
function matchesAny(
  test: StringPredicate,
  first: string,
  all: readonly string[] | undefined,
  repeated: 'each' | 'each or joined',
): boolean {
  if (!all || all.length < 2) return test(first);
  return all.some(test) || (repeated === 'each or joined' && test(all.join(',')));
}

type ValueSpecifier = Exclude<HeaderMatcher['headerMatchSpecifier'], { case: undefined } | { case: 'presentMatch' }>;

function valuePredicate(specifier: ValueSpecifier): StringPredicate {
  switch (specifier.case) {
    case 'stringMatch':
      return compileStringMatcher(specifier.value);
    case 'safeRegexMatch':
      return compileRegex(specifier.value);
    case 'rangeMatch': {
      const { start, end } = specifier.value;
      return (value) => /^\s*[+-]?\d{1,19}\s*$/.test(value) && BigInt(value) >= start && BigInt(value) < end;
    }
    case 'exactMatch':
      return comparison('exact', specifier.value, false);
    case 'prefixMatch':
      return comparison('prefix', specifier.value, false);
    case 'suffixMatch':
      return comparison('suffix', specifier.value, false);
    case 'containsMatch':
      return comparison('contains', specifier.value, false);
  }
}

interface HeaderReader {
  first(source: HeaderSource): string | undefined;
  all(source: HeaderSource): readonly string[] | undefined;
}

const single = (read: (source: HeaderSource) => string): HeaderReader => ({
  first: (source) => read(source) || undefined,
  all: () => undefined,
});

const PSEUDO: Readonly<Record<string, HeaderReader>> = table({
  ':method': single((source) => source.method),
  ':path': single((source) => source.path),
  ':scheme': single((source) => source.scheme),
  ':authority': single((source) => source.authority),
  host: single((source) => source.authority),
});

/** Reads a header (lower case) or a pseudo-header; `host` is `:authority`. */
export function headerReader(name: string): HeaderReader {
  return PSEUDO[name] ?? { first: ({ headers }) => headers.get(name), all: ({ headers }) => headers.all(name) };
}
