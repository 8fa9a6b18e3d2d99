/** The path matchers of a route. Each sees the path without query and fragment. */
import { SallyportError } from '../../lib/errors.ts';
import type { RouteMatch } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { compileRegex } from '../../xds/match/regex.ts';
import { comparison } from '../../xds/match/string.ts';

export interface PathMatcher {
  /** `any` holds for every request with a path; `connect` for CONNECT alone. */
  readonly kind: 'any' | 'connect' | 'other';
  /** `path` has no query. */
  test(path: string): boolean;
  /** How much of a matching path a prefix rewrite replaces. */
  matchedLength(path: string): number;
}

/** `path` up to `?` or `#`. */
export function withoutQuery(path: string): string {
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i);
    if (c === 63 || c === 35) return path.slice(0, i);
  }
  return path;
}

/** Throws `xds-invalid` for a bad regex or no path matcher at all, `xds-unsupported` for path templates. */
export function compilePath(match: RouteMatch): PathMatcher {
  const { pathSpecifier } = match;
  const ignoreCase = match.caseSensitive === false;
  switch (pathSpecifier.case) {
    case 'prefix': {
      const prefix = pathSpecifier.value;
      const matchedLength = () => prefix.length;
      if (prefix === '/' || prefix === '') return { kind: 'any', test: (path) => path.startsWith(prefix), matchedLength };
      return { kind: 'other', test: comparison('prefix', prefix, ignoreCase), matchedLength };
    }
    case 'path':
      return { kind: 'other', test: comparison('exact', pathSpecifier.value, ignoreCase), matchedLength: (path) => path.length };
    case 'pathSeparatedPrefix': {
      const prefix = pathSpecifier.value;
      const test = comparison('prefix', prefix, ignoreCase);
      return {
        kind: 'other',
        test: (path) => test(path) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 47),
        matchedLength: () => prefix.length,
      };
    }
    case 'safeRegex':
      return { kind: 'other', test: compileRegex(pathSpecifier.value), matchedLength: (path) => path.length };
    case 'connectMatcher':
      return { kind: 'connect', test: () => true, matchedLength: (path) => path.length };
    case 'pathMatchPolicy':
      throw new SallyportError('xds-unsupported', `route match: the path matcher "${pathSpecifier.value.name}" is not supported`);
    default:
      throw new SallyportError('xds-invalid', 'route match without a path matcher');
  }
}
