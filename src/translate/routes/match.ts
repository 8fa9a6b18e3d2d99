/** The match conditions of a VirtualService's `http` rule as Envoy's. */
import { create } from '@bufbuild/protobuf';
import type { HttpMatchRequest, StringMatch } from '../../api/virtual-service.ts';
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
  type QueryParameterMatcher,
  QueryParameterMatcherSchema,
  type Route,
  type RouteMatch,
  RouteMatchSchema,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type MetadataMatcher, MetadataMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.js';
import { type StringMatcher, StringMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/string_pb.js';
import { JWT_FILTER, PAYLOAD } from '../authorization/claims.ts';

/** Undefined for a match that asks for nothing but presence. */
export function stringMatcher(match: StringMatch): StringMatcher | undefined {
  if (match.exact !== undefined) return create(StringMatcherSchema, { matchPattern: { case: 'exact', value: match.exact } });
  if (match.prefix !== undefined) return create(StringMatcherSchema, { matchPattern: { case: 'prefix', value: match.prefix } });
  // Any value: Istio has it so where a header must be missing.
  if (match.regex === undefined || match.regex === '*') return undefined;
  return create(StringMatcherSchema, { matchPattern: { case: 'safeRegex', value: { regex: match.regex } } });
}

/** @param segments whether a prefix ends at a slash, as the Kubernetes Gateway API has it */
export function routeMatch(match: HttpMatchRequest | undefined, segments = false): RouteMatch {
  const message = create(RouteMatchSchema, { pathSpecifier: { case: 'prefix', value: '/' } });
  if (!match) return message;
  if (match.uri) message.pathSpecifier = pathSpecifier(match.uri, segments);
  message.caseSensitive = !match.ignoreUriCase;
  message.headers = [...headerMatchers(match), ...pseudoHeaderMatchers(match)];
  message.dynamicMetadata = claimMatchers(match);
  message.queryParameters = sorted(match.queryParams).map(([name, value]) => queryMatcher(name, value));
  return message;
}

function pathSpecifier(uri: StringMatch, segments: boolean): RouteMatch['pathSpecifier'] {
  if (uri.exact !== undefined) return { case: 'path', value: uri.exact };
  if (uri.regex !== undefined) {
    return {
      case: 'safeRegex',
      value: { $typeName: 'envoy.type.matcher.v3.RegexMatcher', regex: uri.regex, engineType: { case: undefined } },
    };
  }
  const { prefix = '/' } = uri;
  return { case: segments && prefix !== '/' ? 'pathSeparatedPrefix' : 'prefix', value: prefix };
}

/** By name, so that the outcome does not depend on the order in the file; a name in both lists is in the result twice. */
function headerMatchers(match: HttpMatchRequest): HeaderMatcher[] {
  const wanted = sorted(match.headers).filter(([name]) => !isClaim(name));
  const unwanted = sorted(match.withoutHeaders).filter(([name]) => !isClaim(name));
  return [
    ...wanted.map(([name, value]) => headerMatcher(name, value)),
    ...unwanted.map(([name, value]) => {
      const matcher = headerMatcher(name, value);
      matcher.invertMatch = true;
      // A header that is missing differs from every value; "present" can't be combined with it.
      matcher.treatMissingHeaderAsEmpty = stringMatcher(value) !== undefined;
      return matcher;
    }),
  ].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function pseudoHeaderMatchers(match: HttpMatchRequest): HeaderMatcher[] {
  const matchers: HeaderMatcher[] = [];
  if (match.method) matchers.push(headerMatcher(':method', match.method));
  if (match.authority) matchers.push(headerMatcher(':authority', match.authority));
  if (match.scheme) matchers.push(headerMatcher(':scheme', match.scheme));
  return matchers;
}

function headerMatcher(name: string, match: StringMatch): HeaderMatcher {
  const value = stringMatcher(match);
  return create(HeaderMatcherSchema, {
    name,
    headerMatchSpecifier: value ? { case: 'stringMatch', value } : { case: 'presentMatch', value: true },
  });
}

function queryMatcher(name: string, match: StringMatch): QueryParameterMatcher {
  const value = stringMatcher(match);
  return create(QueryParameterMatcherSchema, {
    name,
    queryParameterMatchSpecifier: value ? { case: 'stringMatch', value } : { case: 'presentMatch', value: true },
  });
}

const CLAIMS = '@request.auth.claims';

function isClaim(name: string): boolean {
  return name.startsWith(`${CLAIMS}.`) || name.startsWith(`${CLAIMS}[`);
}

/** `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`: claims of the JWT that the gateway has verified. */
function claimMatchers(match: HttpMatchRequest): MetadataMatcher[] {
  const claims = (from: Readonly<Record<string, StringMatch>>, invert: boolean) =>
    sorted(from).flatMap(([name, value]) => (isClaim(name) ? [claimMatcher(name, value, invert)] : []));
  return [...claims(match.headers, false), ...claims(match.withoutHeaders, true)];
}

function claimMatcher(name: string, match: StringMatch, invert: boolean): MetadataMatcher {
  const rest = name.slice(CLAIMS.length);
  const names = rest.startsWith('.') ? rest.slice(1).split('.') : [...rest.matchAll(/\[([^\]]*)\]/g)].map(([, claim]) => claim!);
  const value = stringMatcher(match);
  const one = value ? ({ case: 'stringMatch', value } as const) : ({ case: 'presentMatch', value: true } as const);
  return create(MetadataMatcherSchema, {
    filter: JWT_FILTER,
    path: [PAYLOAD, ...names].map((key) => ({ segment: { case: 'key' as const, value: key } })),
    value: {
      matchPattern: {
        case: 'orMatch',
        value: {
          valueMatchers: [
            { matchPattern: one },
            { matchPattern: { case: 'listMatch', value: { matchPattern: { case: 'oneOf', value: { matchPattern: one } } } } },
          ],
        },
      },
    },
    invert,
  });
}

/** A route that takes every request: whatever stands behind it is never reached. */
export function isCatchAll(route: Route): boolean {
  const match = route.match;
  if (!match || match.headers.length > 0 || match.queryParameters.length > 0 || match.dynamicMetadata.length > 0) return false;
  const path = match.pathSpecifier;
  return (path.case === 'prefix' && path.value === '/') || (path.case === 'safeRegex' && path.value.regex === '.*');
}

function sorted<T>(map: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}
