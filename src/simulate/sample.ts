/** Sample requests for a route's match, and how two matches relate. Pure. */
import { toJsonString } from '@bufbuild/protobuf';
import { portStart } from '../http/authority.ts';
import { HeaderMap } from '../http/header-map.ts';
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
  type QueryParameterMatcher,
  QueryParameterMatcherSchema,
  type RouteMatch,
} from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { HttpRequest } from './call.ts';

/** Stands for what no configuration names. */
export const OTHER = 'zz-other';
/** A port that hardly anybody declares (tcpmux, RFC 1078). */
const OTHER_PORT = 1;
const METHODS = ['GET', 'POST', 'PUT', 'DELETE'];

/**
 * Requests for `authority` that the match takes, likelier ones first. An earlier route may take them instead: the caller has to try them.
 * `neighbours` are the matches of the same virtual host. Headers and ports that keep a request from them are tried, too.
 */
export function* sampleRequests(authority: string, match: RouteMatch, neighbours: readonly RouteMatch[]): Generator<HttpRequest> {
  const wanted = sampleHeaders(match, authority);
  if (!wanted) return;
  const excluding = neighbours.flatMap(({ headers }) => headers.filter(({ invertMatch, name }) => invertMatch && !name.startsWith(':')));
  const query = match.queryParameters.map(({ name, queryParameterMatchSpecifier: specifier }) => {
    const value = specifier.case === 'stringMatch' ? sampleString(specifier.value.matchPattern) : OTHER;
    return value === undefined ? undefined : `${name}=${value}`;
  });
  if (query.includes(undefined)) return;
  for (const sent of authoritiesBeside(wanted.authority, neighbours)) {
    for (const path of samplePaths(match)) {
      for (const method of wanted.methods) {
        for (const more of excluding.length > 0 ? [[], excluding] : [[]]) {
          const headers = wanted.headers.clone();
          for (const matcher of more) {
            const value = sampleHeader(matcher);
            if (value !== undefined && headers.get(matcher.name) === undefined && !wanted.absent.has(matcher.name))
              headers.append(matcher.name, value);
          }
          const target = query.length > 0 ? `${path}?${query.join('&')}` : path;
          yield { method, authority: sent, path: target, headers, version: '1.1' };
        }
      }
    }
  }
}

/** The authority, and with a port that neighbours which look at it do not take. */
function authoritiesBeside(authority: string, neighbours: readonly RouteMatch[]): readonly string[] {
  const isAsked = neighbours.some(({ headers }) => headers.some(({ name }) => name === ':authority'));
  return isAsked && portStart(authority) < 0 ? [authority, `${authority}:${OTHER_PORT}`] : [authority];
}

/** Whether `wide` takes every request that `narrow` takes. False where their form does not show it. */
export function covers(wide: RouteMatch, narrow: RouteMatch): boolean {
  if (!ignoresCase(wide) && ignoresCase(narrow)) return false;
  if (wide.runtimeFraction || wide.grpc || wide.tlsContext || wide.dynamicMetadata.length > 0) return false;
  const headers = new Set(narrow.headers.map(headerText));
  const query = new Set(narrow.queryParameters.map(queryText));
  return (
    pathCovers(wide.pathSpecifier, narrow.pathSpecifier) &&
    wide.headers.every((matcher) => headers.has(headerText(matcher))) &&
    wide.queryParameters.every((matcher) => query.has(queryText(matcher)))
  );
}

/** Whether no request is taken by both. False where their form does not show it. `paths` says whether both see the same path. */
export function disjoint(a: RouteMatch, b: RouteMatch, paths: boolean): boolean {
  const values = new Map(a.headers.flatMap((matcher) => exactValue(matcher)));
  if (b.headers.flatMap((matcher) => exactValue(matcher)).some(([name, value]) => (values.get(name) ?? value) !== value)) return true;
  if (ignoresCase(a) || ignoresCase(b)) return false;
  return paths && (pathsDisjoint(a.pathSpecifier, b.pathSpecifier) || pathsDisjoint(b.pathSpecifier, a.pathSpecifier));
}

/** Concerns paths alone. */
function ignoresCase({ caseSensitive }: RouteMatch): boolean {
  return caseSensitive === false;
}

function exactValue({ name, invertMatch, headerMatchSpecifier: specifier }: HeaderMatcher): [string, string][] {
  if (invertMatch || specifier.case !== 'stringMatch' || specifier.value.matchPattern.case !== 'exact' || specifier.value.ignoreCase)
    return [];
  // A header may be repeated; a method can't.
  return name === ':method' ? [[name, specifier.value.matchPattern.value]] : [];
}

function pathsDisjoint(a: RouteMatch['pathSpecifier'], b: RouteMatch['pathSpecifier']): boolean {
  if (a.case === 'path') {
    return (
      (b.case === 'path' && a.value !== b.value) ||
      ((b.case === 'prefix' || b.case === 'pathSeparatedPrefix') && !a.value.startsWith(b.value))
    );
  }
  const isPrefix = a.case === 'prefix' || a.case === 'pathSeparatedPrefix';
  return (
    isPrefix && (b.case === 'prefix' || b.case === 'pathSeparatedPrefix') && !a.value.startsWith(b.value) && !b.value.startsWith(a.value)
  );
}

const headerText = (matcher: HeaderMatcher) => toJsonString(HeaderMatcherSchema, matcher);
const queryText = (matcher: QueryParameterMatcher) => toJsonString(QueryParameterMatcherSchema, matcher);

function pathCovers(wide: RouteMatch['pathSpecifier'], narrow: RouteMatch['pathSpecifier']): boolean {
  if (wide.case === 'prefix' && wide.value === '/') return narrow.case !== 'connectMatcher';
  if (wide.case === 'safeRegex' || narrow.case === 'safeRegex') {
    return wide.case === 'safeRegex' && narrow.case === 'safeRegex' && wide.value.regex === narrow.value.regex;
  }
  if (wide.case === 'prefix')
    return (
      (narrow.case === 'prefix' || narrow.case === 'path' || narrow.case === 'pathSeparatedPrefix') && narrow.value.startsWith(wide.value)
    );
  if (wide.case === 'pathSeparatedPrefix') {
    const { value } = wide;
    return (
      (narrow.case === 'path' || narrow.case === 'pathSeparatedPrefix') && (narrow.value === value || narrow.value.startsWith(`${value}/`))
    );
  }
  return wide.case === 'path' && narrow.case === 'path' && wide.value === narrow.value;
}

function samplePaths(match: RouteMatch): string[] {
  const paths = pathsOf(match);
  return ignoresCase(match) ? [...new Set([...paths, ...paths.flatMap((path) => [path.toUpperCase(), path.toLowerCase()])])] : paths;
}

function pathsOf({ pathSpecifier }: RouteMatch): string[] {
  switch (pathSpecifier.case) {
    case 'prefix': {
      const { value } = pathSpecifier;
      return [value, `${value}${OTHER}`, `${value}/${OTHER}`, `${value}${OTHER}/${OTHER}`];
    }
    case 'path':
      return [pathSpecifier.value];
    case 'pathSeparatedPrefix':
      return [pathSpecifier.value, `${pathSpecifier.value}/${OTHER}`];
    case 'safeRegex':
      return sampleRegex(pathSpecifier.value.regex).filter((path) => path.startsWith('/'));
    default:
      return [];
  }
}

interface WantedHeaders {
  readonly headers: HeaderMap;
  readonly methods: readonly string[];
  readonly authority: string;
  /** Headers that must not be there. */
  readonly absent: ReadonlySet<string>;
}

/** What the matchers ask for; undefined if one of them has no known sample. */
function sampleHeaders({ headers: matchers }: RouteMatch, host: string): WantedHeaders | undefined {
  const headers = new HeaderMap();
  const absent = new Set<string>();
  let methods: readonly string[] = METHODS;
  let authority = host;
  for (const matcher of matchers) {
    const value = sampleHeader(matcher);
    if (matcher.invertMatch) {
      if (matcher.name === ':method') methods = methods.filter((method) => method !== value);
      else if (matcher.name.startsWith(':')) return undefined;
      else absent.add(matcher.name);
      continue;
    }
    // An expression for the authority may take the host as it is.
    if (value === undefined && matcher.name === ':authority') continue;
    if (value === undefined) return undefined;
    if (matcher.name === ':method') methods = [value];
    else if (matcher.name === ':authority') authority = startsOpen(matcher) ? `${host}${value.replace(OTHER, '')}` : value;
    else if (matcher.name === ':scheme') continue;
    else if (matcher.name.startsWith(':')) return undefined;
    else headers.set(matcher.name, value);
  }
  return { headers, methods, authority, absent };
}

/** Whether anything may stand before what the matcher asks for. */
function startsOpen({ headerMatchSpecifier: specifier }: HeaderMatcher): boolean {
  if (specifier.case !== 'stringMatch') return specifier.case === 'suffixMatch';
  const { matchPattern } = specifier.value;
  return matchPattern.case === 'suffix' || (matchPattern.case === 'safeRegex' && /^\.[*+]/.test(matchPattern.value.regex));
}

function sampleHeader({ headerMatchSpecifier: specifier }: HeaderMatcher): string | undefined {
  switch (specifier.case) {
    case undefined:
    case 'presentMatch':
      return OTHER;
    case 'exactMatch':
    case 'prefixMatch':
    case 'suffixMatch':
    case 'containsMatch':
      return specifier.value;
    case 'safeRegexMatch':
      return sampleRegex(specifier.value.regex)[0];
    case 'rangeMatch':
      return String(specifier.value.start);
    case 'stringMatch':
      return sampleString(specifier.value.matchPattern);
    default:
      return undefined;
  }
}

type StringPattern = Extract<HeaderMatcher['headerMatchSpecifier'], { case: 'stringMatch' }>['value']['matchPattern'];

function sampleString(pattern: StringPattern): string | undefined {
  switch (pattern.case) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return pattern.value;
    case 'safeRegex':
      return sampleRegex(pattern.value.regex)[0];
    default:
      return undefined;
  }
}

/** Texts that a simple expression probably matches; the caller has to try them. Empty for expressions that are not simple. */
function sampleRegex(regex: string): string[] {
  const alternatives = /^\^?\(?([\w/.*+-]+(?:\|[\w/.*+-]+)+)\)?\$?$/.exec(regex)?.[1]?.split('|') ?? [regex];
  return alternatives.flatMap((alternative) =>
    ['', OTHER].flatMap((filler) => {
      const sample = alternative
        .replace(/^\^|\$$/g, '')
        .replace(/\.\*/g, filler)
        .replace(/\.\+/g, OTHER)
        .replace(/\[\^[^\]]*\][+*]?/g, OTHER)
        .replace(/\\d[+*]?|\[0-9\][+*]?/g, '7')
        .replace(/\\w[+*]?|\[[^\]]*\][+*]?/g, 'a')
        .replace(/\\([./-])/g, '$1');
      return /[\\[\](){}|?*+^$]/.test(sample) ? [] : [sample];
    }),
  );
}
