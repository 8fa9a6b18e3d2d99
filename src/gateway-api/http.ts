/** Rules of HTTPRoutes and GRPCRoutes as `http` rules of a VirtualService. */
import type { GRPCRouteMatch, GRPCRouteRule } from '../api/gateway-api/grpc-route.ts';
import type { HTTPRouteMatch, HTTPRouteRule } from '../api/gateway-api/http-route.ts';
import type { ResourceOf } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { weightedDestinations } from './backends.ts';
import { filterFields, headerOperations, type RouteFilter } from './filters.ts';
import type { Context } from './model.ts';

export type HttpRoute = ResourceOf<'HTTPRoute' | 'GRPCRoute'>;

/** A rule with at most one match, so that rules of several routes can be put in the API's order. */
export interface DerivedRule {
  readonly route: HttpRoute;
  readonly rule: number;
  /** Which of the rule's matches; undefined if it has none. */
  readonly match: number | undefined;
  /** As a VirtualService's document has it. */
  readonly raw: { readonly match?: readonly [RawMatch] };
}

interface RawString {
  readonly exact?: string;
  readonly prefix?: string;
  readonly regex?: string;
}

interface RawMatch {
  readonly uri?: RawString;
  readonly method?: RawString;
  readonly headers?: Readonly<Record<string, RawString>>;
  readonly queryParams?: Readonly<Record<string, RawString>>;
  readonly port?: number;
}

/** @param port to which the rules are confined, where the parent's reference names one */
export function derivedRules(context: Context, route: HttpRoute, port: number | undefined): DerivedRule[] {
  return route.spec.rules.flatMap((rule: HTTPRouteRule | GRPCRouteRule, index) => {
    const matches = matchesOf(route, rule);
    return matches.map((match, at): DerivedRule => {
      const confined = port === undefined ? match : { ...match, port };
      const raw = { ...ruleFields(context, route, rule, index, match), ...(confined && { match: [confined] as const }) };
      return { route, rule: index, match: rule.matches.length === 0 ? undefined : at, raw };
    });
  });
}

/** An HTTPRoute's rule without a match has the prefix `/`, by the API's default; of a GRPCRoute it takes everything. */
function matchesOf(route: HttpRoute, rule: HTTPRouteRule | GRPCRouteRule): readonly (RawMatch | undefined)[] {
  if (rule.matches.length === 0) return [isGrpc(route) ? undefined : { uri: { prefix: '/' } }];
  return rule.matches.map((match) => (isGrpc(route) ? grpcMatch(match as GRPCRouteMatch) : httpMatch(match as HTTPRouteMatch)));
}

function isGrpc({ kind }: HttpRoute): boolean {
  return kind === 'GRPCRoute';
}

function ruleFields(
  context: Context,
  route: HttpRoute,
  rule: HTTPRouteRule | GRPCRouteRule,
  index: number,
  match: RawMatch | undefined,
): object {
  const { namespace, name } = route.metadata;
  const path = ['spec', 'rules', index];
  const named = { name: `${namespace}.${name}.${index}` };
  const filters = filterFields(context, route, rule.filters, [...path, 'filters'], match?.uri?.prefix ?? '/');
  if (!filters) return { ...named, directResponse: { status: 500 } };
  const fields = { ...named, ...filters, ...limitsOf(rule) };
  if (filters.redirect) return fields;
  const targets = weightedDestinations<(typeof rule.backendRefs)[number]>(context, route, rule.backendRefs, [...path, 'backendRefs']);
  // Somebody must answer: without a backend that takes requests it is the gateway.
  if (targets.length === 0) return { ...fields, mirrors: [], directResponse: { status: 500 } };
  const destinations = targets.map(({ ref, destination, weight }) => {
    const headers = backendHeaders(context, route, ref.filters, [
      ...path,
      'backendRefs',
      rule.backendRefs.indexOf(ref as never),
      'filters',
    ]);
    return { destination, ...(targets.length > 1 && { weight }), ...(headers && { headers }) };
  });
  return { ...fields, route: destinations };
}

/** 0: none. Istio takes the backend's timeout for the request's where no retries are asked for. */
function limitsOf(rule: HTTPRouteRule | GRPCRouteRule): object {
  const { timeouts, retry } = 'timeouts' in rule || 'retry' in rule ? rule : {};
  const text = (ms: number | undefined) => (ms ? `${ms}ms` : undefined);
  const [request, backendRequest] = [text(timeouts?.request), text(timeouts?.backendRequest)];
  const timeout = retry ? request : (backendRequest ?? request);
  return { ...(timeout && { timeout }), ...(retry && { retries: retriesOf(retry, backendRequest) }) };
}

const RETRY_ON = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled'];

/** As Istio has it: on failures to reach the backend, and on the codes. */
function retriesOf({ attempts = 2, codes, backoff }: NonNullable<HTTPRouteRule['retry']>, perTryTimeout: string | undefined): object {
  return {
    attempts,
    ...(attempts > 0 && { retryOn: [...RETRY_ON, ...codes].join() }),
    ...(perTryTimeout && { perTryTimeout }),
    ...(backoff !== undefined && { backoff: `${backoff}ms` }),
  };
}

function backendHeaders(
  context: Context,
  route: HttpRoute,
  filters: readonly RouteFilter[],
  path: readonly PathStep[],
): object | undefined {
  let headers: { request?: object; response?: object } | undefined;
  filters.forEach((filter, index) => {
    if (filter.requestHeaderModifier) headers = { ...headers, request: headerOperations(filter.requestHeaderModifier) };
    else if (filter.responseHeaderModifier) headers = { ...headers, response: headerOperations(filter.responseHeaderModifier) };
    else {
      const message = `${filter.type} is not done for a single backend, here it has no effect: let it stand with the rule’s filters.`;
      context.report('SP0014', route, [...path, index], message);
    }
  });
  return headers;
}

function httpMatch({ path, headers, queryParams, method }: HTTPRouteMatch): RawMatch {
  return {
    uri: pathOf(path),
    ...(method && { method: { exact: method } }),
    ...(headers.length > 0 && { headers: valuesOf(headers, (name) => name.toLowerCase()) }),
    ...(queryParams.length > 0 && { queryParams: valuesOf(queryParams, (name) => name) }),
  };
}

function pathOf({ type, value }: HTTPRouteMatch['path']): RawString {
  if (type === 'Exact') return { exact: value };
  if (type === 'RegularExpression') return { regex: value };
  return { prefix: value === '/' ? value : value.replace(/\/+$/, '') };
}

type ValueMatch = HTTPRouteMatch['headers'][number];

/** Of several matches of one name the first counts. */
function valuesOf(list: readonly ValueMatch[], key: (name: string) => string): Record<string, RawString> {
  const values: Record<string, RawString> = {};
  for (const { type, name, value } of list) values[key(name)] ??= type === 'Exact' ? { exact: value } : { regex: value };
  return values;
}

function grpcMatch({ method, headers }: GRPCRouteMatch): RawMatch {
  return {
    ...(method && { uri: methodPath(method) }),
    ...(headers.length > 0 && { headers: valuesOf(headers, (name) => name.toLowerCase()) }),
  };
}

/** gRPC calls `/service/method`. */
function methodPath({ type, service, method }: NonNullable<GRPCRouteMatch['method']>): RawString {
  const anything = '[^/]+';
  if (type === 'RegularExpression') return { regex: `/${service ?? anything}/${method ?? anything}` };
  if (service !== undefined && method !== undefined) return { exact: `/${service}/${method}` };
  return service === undefined ? { regex: `/${anything}/${method}` } : { prefix: `/${service}` };
}

/**
 * The API's order: exact paths before prefixes before regular expressions, longer before shorter, then those with a method, more headers, more query
 * parameters. What is equal in all that keeps its order: by age, then as written.
 */
export function inOrder(rules: readonly DerivedRule[]): DerivedRule[] {
  return [...rules].sort((a, b) => compare(a.raw.match?.[0], b.raw.match?.[0]));
}

function compare(a: RawMatch | undefined, b: RawMatch | undefined): number {
  if (!a || !b) return Number(a === undefined) - Number(b === undefined);
  const keys = [rank, length, (match: RawMatch) => Number(match.method !== undefined), count('headers'), count('queryParams')];
  for (const key of keys) if (key(a) !== key(b)) return key(b) - key(a);
  return 0;
}

function rank({ uri }: RawMatch): number {
  if (uri?.exact !== undefined) return 3;
  if (uri?.prefix !== undefined) return 2;
  return uri?.regex !== undefined ? 1 : 0;
}

function length({ uri }: RawMatch): number {
  return (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '').length;
}

function count(field: 'headers' | 'queryParams') {
  return (match: RawMatch) => Object.keys(match[field] ?? {}).length;
}
