/** `http` rules of a VirtualService as rules of an HTTPRoute. */

import type { PathStep } from '../api/resource.ts';
import type { Headers, HttpMatchRequest, HttpRoute, StringMatch } from '../api/virtual-service.ts';
import type { BackendOf } from './backends.ts';
import { isHostname, type Problems } from './model.ts';

interface Where {
  readonly problems: Problems;
  readonly path: readonly PathStep[];
  readonly backendOf: BackendOf;
  /** Whether every listener has the usual port of its protocol, which no redirect states. */
  readonly usualPorts: boolean;
}

/** @param matches those of the rule's matches that concern the parent; empty for a rule that takes everything */
export function convertRule(rule: HttpRoute, matches: readonly IndexedMatch[], where: Where): object {
  const { problems, path } = where;
  for (const [field, reason] of UNKNOWN) if (rule[field]) problems.add([...path, field], reason);
  const filters = [
    ...headerFilters(rule.headers, [...path, 'headers'], problems),
    ...mirrorFilters(rule, where),
    ...redirectFilter(rule, where),
    ...rewriteFilter(rule, matches, where),
    ...corsFilter(rule, where),
  ];
  const single = rule.route.length === 1;
  const backendRefs = rule.route
    .map((target, index) => ({ target, index }))
    .filter(({ target }) => single || target.weight > 0)
    .map(({ target, index }) => {
      const at = [...path, 'route', index];
      const own = headerFilters(target.headers, [...at, 'headers'], problems);
      const backend = where.backendOf(target.destination, [...at, 'destination'], problems);
      return { ...backend, ...(!single && { weight: target.weight }), ...(own.length > 0 && { filters: own }) };
    });
  if (rule.route.length === 0 && !rule.redirect && !rule.directResponse && !rule.delegate) problems.add(path, 'the rule has no route');
  return {
    ...(matches.length > 0 && { matches: matches.map(({ match, index }) => convertMatch(match, [...path, 'match', index], problems)) }),
    ...(filters.length > 0 && { filters }),
    ...(backendRefs.length > 0 && { backendRefs }),
    ...(rule.timeout !== undefined && { timeouts: { request: durationText(rule.timeout) } }),
  };
}

export interface IndexedMatch {
  readonly match: HttpMatchRequest;
  readonly index: number;
}

const UNKNOWN = [
  ['directResponse', 'an HTTPRoute can’t answer by itself'],
  ['delegate', 'an HTTPRoute has no delegates'],
  ['retries', 'the standard HTTPRoute has no retries'],
  ['fault', 'an HTTPRoute has no faults'],
] as const satisfies readonly (readonly [keyof HttpRoute, string])[];

/** The API writes a duration as whole numbers of its units. */
function durationText(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

type RawMatch = Readonly<Record<string, unknown>>;

function convertMatch(match: HttpMatchRequest, path: readonly PathStep[], problems: Problems): RawMatch {
  if (match.ignoreUriCase) problems.add([...path, 'ignoreUriCase'], 'an HTTPRoute minds the case of paths');
  for (const field of ['scheme', 'authority', 'statPrefix', 'sourceNamespace'] as const)
    if (match[field] && !(field === 'sourceNamespace' && match.gateways.length > 0))
      problems.add([...path, field], `an HTTPRoute matches no ${field}`);
  if (Object.keys(match.sourceLabels).length > 0 && match.gateways.length === 0)
    problems.add([...path, 'sourceLabels'], 'an HTTPRoute holds for all workloads that see it');
  if (Object.keys(match.withoutHeaders).length > 0)
    problems.add([...path, 'withoutHeaders'], 'an HTTPRoute can’t ask that a header is missing');
  const method = methodOf(match.method, [...path, 'method'], problems);
  const headers = valuesOf(match.headers, [...path, 'headers'], problems);
  const queryParams = valuesOf(match.queryParams, [...path, 'queryParams'], problems);
  return {
    path: match.uri ? pathOf(match.uri) : { type: 'PathPrefix', value: '/' },
    ...(method && { method }),
    ...(headers.length > 0 && { headers }),
    ...(queryParams.length > 0 && { queryParams }),
  };
}

const quoted = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A VirtualService's prefix is one of characters, a PathPrefix one of segments: only `/` is the same. */
function pathOf({ exact, prefix, regex }: StringMatch): { type: string; value: string } {
  if (exact !== undefined) return { type: 'Exact', value: exact };
  if (regex !== undefined) return { type: 'RegularExpression', value: regex };
  return prefix === '/' || !prefix ? { type: 'PathPrefix', value: '/' } : { type: 'RegularExpression', value: `${quoted(prefix)}.*` };
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

function methodOf(method: StringMatch | undefined, path: readonly PathStep[], problems: Problems): string | undefined {
  if (!method) return undefined;
  if (method.exact !== undefined && METHODS.has(method.exact)) return method.exact;
  problems.add(path, 'an HTTPRoute matches one of HTTP’s own methods, exactly');
  return undefined;
}

function valuesOf(map: Readonly<Record<string, StringMatch>>, path: readonly PathStep[], problems: Problems): object[] {
  return Object.entries(map).map(([name, { exact, prefix, regex }]) => {
    if (!/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(name)) problems.add([...path, name], `"${name}" is no name that an HTTPRoute matches`);
    if (exact === '') problems.add([...path, name], 'an HTTPRoute matches no empty value');
    if (exact !== undefined) return { type: 'Exact', name, value: exact };
    return { type: 'RegularExpression', name, value: regex ?? `${quoted(prefix ?? '')}.*` };
  });
}

function headerFilters(headers: Headers | undefined, path: readonly PathStep[], problems: Problems): object[] {
  return (['request', 'response'] as const).flatMap((side): object[] => {
    const operations = headers?.[side];
    if (!operations) return [];
    const list = (field: 'set' | 'add') =>
      Object.entries(operations[field]).map(([name, value]) => {
        const at = [...path, side, field, name];
        if (name.toLowerCase() === 'host' || name.startsWith(':')) problems.add(at, 'a header filter leaves the Host alone');
        else if (value === '') problems.add(at, 'a header filter sets no empty value');
        return { name, value };
      });
    const [set, add] = [list('set'), list('add')];
    const { remove } = operations;
    if (set.length + add.length + remove.length === 0) return [];
    const modifier = { ...(set.length > 0 && { set }), ...(add.length > 0 && { add }), ...(remove.length > 0 && { remove: [...remove] }) };
    return side === 'request'
      ? [{ type: 'RequestHeaderModifier', requestHeaderModifier: modifier }]
      : [{ type: 'ResponseHeaderModifier', responseHeaderModifier: modifier }];
  });
}

function mirrorFilters(rule: HttpRoute, { problems, path, backendOf }: Where): object[] {
  const mirrors = rule.mirrors.map((mirror, index) => ({ ...mirror, path: [...path, 'mirrors', index, 'destination'] }));
  if (rule.mirror) mirrors.unshift({ destination: rule.mirror, percentage: rule.mirrorPercentage, path: [...path, 'mirror'] });
  return mirrors
    .filter(({ percentage }) => percentage === undefined || percentage.value > 0)
    .map(({ destination, percentage, path: at }) => {
      const backendRef = backendOf(destination, at, problems);
      return { type: 'RequestMirror', requestMirror: { backendRef, ...(percentage && shareOf(percentage.value)) } };
    });
}

/** In percent where it is a whole number, else in millionths, as finely as Envoy counts. */
function shareOf(value: number): object {
  return Number.isInteger(value) ? { percent: value } : { fraction: { numerator: Math.round(value * 10_000), denominator: 1_000_000 } };
}

function redirectFilter({ redirect }: HttpRoute, { problems, path, usualPorts }: Where): object[] {
  if (!redirect) return [];
  const at = (field: string) => [...path, 'redirect', field];
  const { scheme, authority, port, uri, prefixRewrite, derivePort, redirectCode } = redirect;
  if (prefixRewrite) problems.add(at('prefixRewrite'), 'a prefix is one of segments in an HTTPRoute');
  if (authority && (!isHostname(authority) || authority.startsWith('*')))
    problems.add(at('authority'), `"${authority}" is no hostname: a redirect takes no port here`);
  if (![301, 302, 303, 307, 308].includes(redirectCode)) problems.add(at('redirectCode'), 'a redirect has 301, 302, 303, 307 or 308');
  const kept = derivePort ?? (port ? undefined : 'FROM_PROTOCOL_DEFAULT');
  if (kept && !(usualPorts && !scheme) && kept !== (scheme ? 'FROM_PROTOCOL_DEFAULT' : 'FROM_REQUEST_PORT'))
    problems.add(
      [...path, 'redirect'],
      scheme ? 'with a scheme the port is that scheme’s' : 'without a scheme or port an HTTPRoute keeps the listener’s port: name a port',
    );
  const requestRedirect = {
    statusCode: redirectCode,
    ...(scheme && { scheme }),
    ...(authority && { hostname: authority }),
    ...(port && { port }),
    ...(uri && { path: { type: 'ReplaceFullPath', replaceFullPath: uri } }),
  };
  return [{ type: 'RequestRedirect', requestRedirect }];
}

function rewriteFilter({ rewrite }: HttpRoute, matches: readonly IndexedMatch[], { problems, path }: Where): object[] {
  if (!rewrite) return [];
  const at = (field: string) => [...path, 'rewrite', field];
  const { authority, uri, uriRegexRewrite } = rewrite;
  if (authority && (!isHostname(authority) || authority.startsWith('*')))
    problems.add(at('authority'), `"${authority}" is no hostname: a rewrite takes no port here`);
  let full: string | undefined;
  if (uriRegexRewrite) {
    if (['/.*', '.*', '^/.*', '^.*'].includes(uriRegexRewrite.match) && !uriRegexRewrite.rewrite.includes('\\'))
      full = uriRegexRewrite.rewrite;
    else problems.add(at('uriRegexRewrite'), 'an HTTPRoute rewrites no path by a regular expression');
  } else if (uri) {
    // Of an exact match the prefix that is replaced is the whole path.
    if (matches.length > 0 && matches.every(({ match }) => match.uri?.exact !== undefined)) full = uri;
    else problems.add(at('uri'), 'a VirtualService replaces a prefix of characters, an HTTPRoute one of segments');
  }
  if (!authority && full === undefined) return [];
  const urlRewrite = {
    ...(authority && { hostname: authority }),
    ...(full !== undefined && { path: { type: 'ReplaceFullPath', replaceFullPath: full } }),
  };
  return [{ type: 'URLRewrite', urlRewrite }];
}

function corsFilter({ corsPolicy: policy }: HttpRoute, { problems, path }: Where): object[] {
  if (!policy) return [];
  const at = (field: string) => [...path, 'corsPolicy', field];
  if (policy.maxAge === undefined || policy.maxAge % 1000 !== 0)
    problems.add(at('maxAge'), 'an HTTPRoute always states maxAge, in whole seconds');
  if (policy.unmatchedPreflights !== 'UNSPECIFIED')
    problems.add(at('unmatchedPreflights'), 'an HTTPRoute does not say what becomes of other preflights');
  policy.allowOrigins.forEach(({ exact }, index) => {
    if (exact === undefined || exact === '*') problems.add([...at('allowOrigins'), index], 'an HTTPRoute names origins exactly');
  });
  const cors = {
    allowOrigins: policy.allowOrigins.map(({ exact }) => exact),
    ...(policy.allowMethods.length > 0 && { allowMethods: [...policy.allowMethods] }),
    ...(policy.allowHeaders.length > 0 && { allowHeaders: [...policy.allowHeaders] }),
    ...(policy.exposeHeaders.length > 0 && { exposeHeaders: [...policy.exposeHeaders] }),
    maxAge: (policy.maxAge ?? 0) / 1000,
    ...(policy.allowCredentials && { allowCredentials: true }),
  };
  return [{ type: 'CORS', cors }];
}
