/** Merges the rules of a delegate VirtualService into the rule of the root that names it, as Istio does. */
import type { HttpMatchRequest, HttpRoute, StringMatch } from '../api/index.ts';

/** The delegate's rules narrowed by the root's match; a rule that contradicts it in every way is left out. */
export function mergeDelegate(root: HttpRoute, delegate: readonly HttpRoute[]): readonly HttpRoute[] {
  return delegate.flatMap((rule) => mergedRule(root, rule) ?? []);
}

/** Undefined if the rule contradicts the root's match in every way. */
export function mergedRule(root: HttpRoute, rule: HttpRoute): HttpRoute | undefined {
  const match = mergeMatches(root.match, rule.match);
  return match && mergeRule(root, rule, match);
}

function mergeRule(root: HttpRoute, rule: HttpRoute, match: readonly HttpMatchRequest[]): HttpRoute {
  const { delegate: _, ...inherited } = root;
  const stated = Object.fromEntries(
    Object.entries(rule).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0)),
  );
  const name = [root.name, rule.name].filter(Boolean).join('-');
  return { ...inherited, ...stated, match, ...(name ? { name } : {}) };
}

/** Undefined if one of the delegate's matches contradicts all of the root's: then the rule as a whole does not count. */
function mergeMatches(root: readonly HttpMatchRequest[], delegate: readonly HttpMatchRequest[]): readonly HttpMatchRequest[] | undefined {
  if (root.length === 0) return delegate;
  if (delegate.length === 0) return root;
  const merged = delegate.map((inner) => root.filter((outer) => !conflict(outer, inner)).map((outer) => mergeMatch(outer, inner)));
  return merged.every((matches) => matches.length > 0) ? merged.flat() : undefined;
}

function mergeMatch(root: HttpMatchRequest, delegate: HttpMatchRequest): HttpMatchRequest {
  const set = Object.fromEntries(Object.entries(delegate).filter(([, value]) => value !== undefined));
  const name = [root.name, delegate.name].filter(Boolean).join('-');
  return {
    ...root,
    ...(set as HttpMatchRequest),
    headers: { ...root.headers, ...delegate.headers },
    withoutHeaders: { ...root.withoutHeaders, ...delegate.withoutHeaders },
    queryParams: { ...root.queryParams, ...delegate.queryParams },
    sourceLabels: { ...root.sourceLabels, ...delegate.sourceLabels },
    gateways: delegate.gateways.length > 0 ? delegate.gateways : root.gateways,
    ...(name ? { name } : {}),
  };
}

function conflict(root: HttpMatchRequest, delegate: HttpMatchRequest): boolean {
  const differ = <T>(a: T | undefined, b: T | undefined) => a !== undefined && b !== undefined && a !== b;
  return (
    stringConflict(root.uri, delegate.uri) ||
    stringConflict(root.scheme, delegate.scheme) ||
    stringConflict(root.method, delegate.method) ||
    stringConflict(root.authority, delegate.authority) ||
    mapConflict(root.headers, delegate.headers) ||
    mapConflict(root.withoutHeaders, delegate.withoutHeaders) ||
    mapConflict(root.queryParams, delegate.queryParams) ||
    differ(root.port, delegate.port) ||
    (root.ignoreUriCase ?? false) !== (delegate.ignoreUriCase ?? false) ||
    Boolean(root.sourceNamespace && root.sourceNamespace !== delegate.sourceNamespace) ||
    Object.entries(root.sourceLabels).some(([key, value]) => differ(value, delegate.sourceLabels[key])) ||
    (root.gateways.length > 0 && delegate.gateways.some((gateway) => !root.gateways.includes(gateway)))
  );
}

/** A delegate may narrow a prefix and repeat an exact value; whatever else both state contradicts. */
function stringConflict(root: StringMatch | undefined, delegate: StringMatch | undefined): boolean {
  if (!root || !delegate) return false;
  if (root.exact !== undefined) return delegate.exact !== root.exact;
  const narrower = delegate.exact ?? delegate.prefix;
  return root.prefix === undefined || narrower === undefined || !narrower.startsWith(root.prefix);
}

function mapConflict(root: Readonly<Record<string, StringMatch>>, delegate: Readonly<Record<string, StringMatch>>): boolean {
  return Object.entries(root).some(([key, match]) => Object.hasOwn(delegate, key) && stringConflict(match, delegate[key]));
}
