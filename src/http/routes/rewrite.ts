/** Path and host rewriting of routes. */
import { SallyportError } from '../../lib/errors.ts';
import type { RouteAction as RouteActionConfig } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { RegexMatchAndSubstitute } from '../../xds/gen/envoy/type/matcher/v3/regex_pb.js';
import { compileSubstitution } from '../../xds/match/regex.ts';
import type { HostRewrite } from './model.ts';
import { type PathMatcher, withoutQuery } from './path.ts';

/** The new path, query kept, for `prefix_rewrite` or `regex_rewrite`; undefined where neither is set. */
export function compilePathRewrite(
  matcher: PathMatcher,
  prefixRewrite: string,
  regexRewrite: RegexMatchAndSubstitute | undefined,
): ((path: string) => string) | undefined {
  if (prefixRewrite !== '' && regexRewrite)
    throw new SallyportError('xds-invalid', 'route: prefix_rewrite and regex_rewrite exclude one another');
  if (prefixRewrite !== '') return (path) => prefixRewrite + path.slice(matcher.matchedLength(withoutQuery(path)));
  if (!regexRewrite) return undefined;
  const substitute = compileSubstitution(regexRewrite);
  return (path) => {
    const bare = withoutQuery(path);
    return substitute(bare) + path.slice(bare.length);
  };
}

export function compileHostRewrite(config: RouteActionConfig): HostRewrite | undefined {
  const { hostRewriteSpecifier: rewrite } = config;
  switch (rewrite.case) {
    case 'hostRewriteLiteral': {
      const { value } = rewrite;
      return value === '' ? undefined : { kind: 'value', rewrite: () => value };
    }
    case 'autoHostRewrite':
      return rewrite.value.value ? { kind: 'auto' } : undefined;
    case 'hostRewriteHeader': {
      const name = rewrite.value.toLowerCase();
      return { kind: 'value', rewrite: ({ headers }) => headers.get(name) || undefined };
    }
    case 'hostRewritePathRegex': {
      const substitute = compileSubstitution(rewrite.value);
      return { kind: 'value', rewrite: ({ path }) => substitute(withoutQuery(path)) || undefined };
    }
    default:
      return undefined;
  }
}
