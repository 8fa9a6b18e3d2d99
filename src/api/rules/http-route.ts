import { GRPC_STATUSES } from '../../lib/grpc.ts';
import type { CorsPolicy, Headers, HttpFaultInjection, HttpRetry, HttpRoute } from '../virtual-service.ts';
import { type Path, portProblem, type Report, regexFault } from './checks.ts';
import { destinationOf } from './destination.ts';

/** What a route does with a request: exactly one of route, redirect and directResponse, or a delegate that says it. */
export function httpRouteActions(route: HttpRoute, delegate: boolean, path: Path, report: Report): void {
  const error = (field: string, message: string) => report({ path: [...path, field], at: 'key', message });
  const { redirect, directResponse } = route;
  const other = redirect ? 'redirect' : directResponse ? 'directResponse' : undefined;
  if (route.delegate && !delegate) {
    for (const field of ['redirect', 'directResponse'] as const) if (route[field]) error(field, 'must not stand beside delegate');
    if (route.route.length > 0) error('route', 'must not stand beside delegate');
  } else {
    if (route.delegate) error('delegate', 'a delegate cannot delegate again');
    if (redirect && directResponse) error('directResponse', 'must not stand beside redirect');
    if (other) {
      if (route.route.length > 0) error('route', `must not stand beside ${other}`);
      if (route.fault) error('fault', `must not stand beside ${other}`);
      if (route.rewrite) error('rewrite', `must not stand beside ${other}`);
    } else if (route.route.length === 0) report({ path, message: 'needs a route, a redirect or a directResponse' });
  }
  if (redirect) redirectOf(redirect, [...path, 'redirect'], report);
  if (directResponse) directResponseOf(directResponse, [...path, 'directResponse'], report);
  if (route.rewrite) rewriteOf(route.rewrite, [...path, 'rewrite'], report);
  if (route.retries) retriesOf(route.retries, [...path, 'retries'], report);
  if (route.fault) faultOf(route.fault, [...path, 'fault'], report);
  if (route.corsPolicy) corsOf(route.corsPolicy, [...path, 'corsPolicy'], report);
  if (route.headers) headersOf(route.headers, [...path, 'headers'], report);
  if (route.headers) authorityOnce(route, path, report);
  mirrorsOf(route, path, report);
}

function redirectOf(redirect: NonNullable<HttpRoute['redirect']>, path: Path, report: Report): void {
  const { uri, authority, port, derivePort, scheme, prefixRewrite, redirectCode } = redirect;
  if (!uri && !authority && port === undefined && !derivePort && !scheme && !prefixRewrite)
    report({ path, message: 'needs one of uri, authority, scheme, port and derivePort' });
  if (redirectCode !== 0 && (redirectCode < 300 || redirectCode > 399))
    report({ path: [...path, 'redirectCode'], message: `must be from 300 to 399, not ${redirectCode}` });
  if (scheme && scheme !== 'http' && scheme !== 'https')
    report({ path: [...path, 'scheme'], message: `must be http or https, not "${scheme}"` });
  const message = port ? portProblem(port) : undefined;
  if (message) report({ path: [...path, 'port'], message });
}

function directResponseOf(response: NonNullable<HttpRoute['directResponse']>, path: Path, report: Report): void {
  statusOf(response.status, [...path, 'status'], report);
  const { string, bytes } = response.body ?? {};
  const size = string !== undefined ? Buffer.byteLength(string) : ((bytes?.length ?? 0) * 3) / 4;
  if (size > 1024 * 1024) report({ path: [...path, 'body'], message: 'is larger than 1 MiB' });
  else if (size > 100 * 1024)
    report({
      path: [...path, 'body'],
      level: 'Warning',
      message: 'is larger than 100 KiB: every proxy gets a copy with its configuration',
    });
}

function statusOf(status: number, path: Path, report: Report): void {
  if (status < 200 || status > 599) report({ path, message: `must be from 200 to 599, not ${status}` });
}

function rewriteOf(rewrite: NonNullable<HttpRoute['rewrite']>, path: Path, report: Report): void {
  const { uri, uriRegexRewrite, authority } = rewrite;
  if (uri && uriRegexRewrite) report({ path: [...path, 'uriRegexRewrite'], at: 'key', message: 'must not stand beside uri' });
  if (!uri && !uriRegexRewrite && !authority) report({ path, message: 'needs one of uri, uriRegexRewrite and authority' });
  if (!uriRegexRewrite) return;
  if (!uriRegexRewrite.match || !uriRegexRewrite.rewrite)
    report({ path: [...path, 'uriRegexRewrite'], message: 'needs both match and rewrite' });
  else {
    const message = regexFault(uriRegexRewrite.match);
    if (message) report({ path: [...path, 'uriRegexRewrite', 'match'], message });
  }
}

/** Envoy's retry policies for HTTP and gRPC; status codes stand beside them. */
const RETRY_ON: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

function retriesOf(retries: HttpRetry, path: Path, report: Report): void {
  const { attempts, perTryTimeout, retryOn, retryRemoteLocalities } = retries;
  if (attempts < 0) report({ path: [...path, 'attempts'], message: 'must not be negative' });
  if (attempts === 0 && (perTryTimeout !== undefined || retryOn || retryRemoteLocalities !== undefined)) {
    report({ path, message: 'attempts is 0 or missing, which switches retries off, so nothing else may be set' });
  }
  for (const policy of retryOn ? retryOn.split(',') : []) {
    if (!RETRY_ON.has(policy) && !/^[1-5]\d\d$/.test(policy))
      report({ path: [...path, 'retryOn'], message: `"${policy}" is neither a status code nor one of ${[...RETRY_ON].join(', ')}` });
  }
}

function faultOf(fault: HttpFaultInjection, path: Path, report: Report): void {
  const { abort, delay } = fault;
  if (!abort && !delay) report({ path, message: 'needs a delay or an abort' });
  if (abort) {
    const at = [...path, 'abort'];
    percentageOf(abort.percentage?.value, [...at, 'percentage', 'value'], report);
    if (abort.httpStatus !== undefined) statusOf(abort.httpStatus, [...at, 'httpStatus'], report);
    else if (abort.grpcStatus !== undefined) {
      if (!GRPC_STATUSES.includes(abort.grpcStatus))
        report({ path: [...at, 'grpcStatus'], message: `"${abort.grpcStatus}" is none of ${GRPC_STATUSES.join(', ')}` });
    } else if (abort.http2Error !== undefined) report({ path: [...at, 'http2Error'], at: 'key', message: 'is not supported' });
    else report({ path: at, level: 'Warning', message: 'says no status, so it does nothing' });
  }
  if (delay) {
    percentageOf(delay.percentage?.value, [...path, 'delay', 'percentage', 'value'], report);
    if (delay.exponentialDelay !== undefined)
      report({ path: [...path, 'delay', 'exponentialDelay'], at: 'key', message: 'is not supported' });
  }
}

function percentageOf(value: number | undefined, path: Path, report: Report): void {
  if (value === undefined || value === 0) return;
  if (value < 0.0001 || value > 100) report({ path, message: `must be 0 or from 0.0001 to 100, not ${value}` });
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE']);

function corsOf(cors: CorsPolicy, path: Path, report: Report): void {
  cors.allowOrigins.forEach((origin, index) => {
    const at = [...path, 'allowOrigins', index];
    if (!origin.exact && !origin.prefix && !origin.regex) report({ path: at, message: 'needs one of exact, prefix and regex, not empty' });
    const message = origin.regex ? regexFault(origin.regex) : undefined;
    if (message) report({ path: [...at, 'regex'], message });
  });
  cors.allowMethods.forEach((method, index) => {
    if (!METHODS.has(method)) report({ path: [...path, 'allowMethods', index], message: `"${method}" is no method` });
  });
  for (const field of ['allowHeaders', 'exposeHeaders'] as const) {
    cors[field].forEach((name, index) => {
      if (name !== '*' && !/^[-_A-Za-z0-9]+$/.test(name))
        report({ path: [...path, field, index], message: `"${name}" is no name of a header` });
    });
  }
  if (cors.maxAge !== undefined && cors.maxAge % 1000 !== 0) report({ path: [...path, 'maxAge'], message: 'must be whole seconds' });
}

export function headersOf(headers: Headers, path: Path, report: Report): void {
  for (const side of ['request', 'response'] as const) {
    const operations = headers[side];
    if (!operations) continue;
    for (const operation of ['set', 'add'] as const) {
      for (const name in operations[operation]) {
        const at = [...path, side, operation, name];
        const authority = side === 'request' && isAuthority(name);
        const message = authority ? undefined : headerNameProblem(name);
        if (message) report({ path: at, at: 'key', message });
        const value = headerValueProblem(operations[operation][name]!);
        if (value) report({ path: at, message: value });
      }
    }
    operations.remove.forEach((name, index) => {
      const message = headerNameProblem(name);
      if (message) report({ path: [...path, side, 'remove', index], message });
    });
  }
}

const isAuthority = (name: string) => name.toLowerCase() === ':authority' || name.toLowerCase() === 'host';

function headerNameProblem(name: string): string | undefined {
  if (name === '') return 'the name of a header must not be empty';
  if (name.toLowerCase() === 'host') return 'Host can be set or added on requests only';
  return name.startsWith(':') ? `"${name}": headers that begin with a colon cannot be changed` : undefined;
}

/** Envoy reads `%…%` in a value as one of its command operators; a percent sign itself is written twice. */
function headerValueProblem(value: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a header must not hold (RFC 9110, section 5.5).
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) return 'holds a control character';
  const rest = value.replaceAll('%%', '').replaceAll(/%[A-Z_0-9]+(?:\([^)]*\))?(?::\d+)?%/g, '');
  return rest.includes('%') ? 'holds a percent sign that belongs to no operator: write %% for the sign itself' : undefined;
}

/** The authority may be rewritten in one place only. */
function authorityOnce(route: HttpRoute, path: Path, report: Report): void {
  let places = route.rewrite?.authority ? 1 : 0;
  for (const operation of ['set', 'add'] as const) {
    for (const name in route.headers?.request?.[operation]) {
      if (!isAuthority(name)) continue;
      places += 1;
      if (places > 1)
        report({
          path: [...path, 'headers', 'request', operation, name],
          at: 'key',
          message: 'the authority is rewritten in another place already',
        });
    }
  }
}

function mirrorsOf(route: HttpRoute, path: Path, report: Report): void {
  const percent = (value: number | undefined, at: Path) => {
    if (value !== undefined && (value < 0 || value > 100)) report({ path: at, message: `must be from 0 to 100, not ${value}` });
  };
  if (route.mirrorPercentage) percent(route.mirrorPercentage.value, [...path, 'mirrorPercentage', 'value']);
  if (route.mirror) destinationOf(route.mirror, [...path, 'mirror'], report);
  if (route.mirror && route.mirrors.length > 0) report({ path: [...path, 'mirrors'], at: 'key', message: 'must not stand beside mirror' });
  route.mirrors.forEach((mirror, index) => {
    destinationOf(mirror.destination, [...path, 'mirrors', index, 'destination'], report);
    percent(mirror.percentage?.value, [...path, 'mirrors', index, 'percentage', 'value']);
  });
}
