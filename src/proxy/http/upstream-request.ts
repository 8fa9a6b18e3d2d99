/** Turns the client's request into the one that goes upstream: timeouts told, headers added and removed, host and path rewritten. */
import type { ClusterChoice, CompiledRoute, ForwardAction } from '../../http/routes/route.ts';
import type { Exchange } from './exchange.ts';
import { SEEN } from './h1/fields.ts';
import { isGrpc } from './local-reply.ts';

export interface Timeouts {
  /** For the whole response, attempts included; ms, 0 for none. */
  overall: number;
  perTry: number;
}

/** The route's timeouts, and what an internal client or gRPC's deadline makes of them. */
export function timeoutsOf(exchange: Exchange, action: ForwardAction): Timeouts {
  const { headers, seen } = exchange;
  const timeouts = { overall: action.timeoutMs, perTry: action.retry?.perTryTimeoutMs ?? 0 };
  if ((seen & SEEN.grpcTimeout) !== 0 && action.maxGrpcTimeoutMs !== undefined && isGrpc(headers)) {
    const asked = grpcTimeout(headers.get('grpc-timeout') ?? '');
    if (asked !== undefined) {
      const offset = asked > action.grpcTimeoutOffsetMs ? asked - action.grpcTimeoutOffsetMs : asked;
      const most = action.maxGrpcTimeoutMs;
      timeouts.overall = most > 0 && (offset === 0 || offset > most) ? most : offset;
    }
  }
  if ((seen & SEEN.envoy) !== 0) {
    const overall = milliseconds(headers.get('x-envoy-upstream-rq-timeout-ms'));
    if (overall !== undefined) timeouts.overall = overall;
    const perTry = milliseconds(headers.get('x-envoy-upstream-rq-per-try-timeout-ms'));
    if (perTry !== undefined) timeouts.perTry = perTry;
    headers.remove('x-envoy-upstream-rq-timeout-ms');
    headers.remove('x-envoy-upstream-rq-per-try-timeout-ms');
  }
  // A try that may take as long as everything together is no limit of its own.
  if (timeouts.overall > 0 && timeouts.perTry >= timeouts.overall) timeouts.perTry = 0;
  return timeouts;
}

/** How long the stream may take from its start, in ms (0: no limit); undefined: as the connection manager has it. Upstream sees the deadline that is left. */
export function streamDurationOf({ headers, seen }: Exchange, { streamDuration }: ForwardAction): number | undefined {
  if (!streamDuration) return undefined;
  const { maxMs, grpcMaxMs, grpcOffsetMs } = streamDuration;
  if (grpcMaxMs === undefined || (seen & SEEN.grpcTimeout) === 0) return maxMs;
  const asked = grpcTimeout(headers.get('grpc-timeout') ?? '');
  if (asked === undefined) return maxMs;
  const capped = grpcMaxMs > 0 ? Math.min(asked, grpcMaxMs) : asked;
  const left = grpcOffsetMs > 0 && capped > grpcOffsetMs ? capped - grpcOffsetMs : capped;
  if (left > 0) headers.set('grpc-timeout', left < 1e8 ? `${left}m` : `${Math.ceil(left / 1000)}S`);
  // A deadline of nothing is over at once.
  return Math.max(1, left);
}

function milliseconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

const GRPC_UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** gRPC over HTTP/2, "Timeout": up to eight digits and a unit. In ms, rounded up; undefined if it is none. */
export function grpcTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match ? Math.ceil(Number(match[1]) * GRPC_UNITS[match[2]!]!) : undefined;
}

/** What the upstream is told of the time that it has; `elapsed`: ms that earlier attempts took. */
export function tellTimeout({ headers }: Exchange, { overall, perTry }: Timeouts, elapsed: number): void {
  const left = overall > 0 ? Math.max(1, overall - elapsed) : 0;
  const expected = perTry > 0 && (left === 0 || perTry < left) ? perTry : left;
  if (expected > 0) headers.set('x-envoy-expected-rq-timeout-ms', String(Math.round(expected)));
}

/** Changes the exchange's headers, authority and path for good: logs tell what went upstream. */
export function finalizeRequest(
  exchange: Exchange,
  route: CompiledRoute,
  action: ForwardAction,
  choice: ClusterChoice,
  timeouts: Timeouts,
): void {
  const { core, headers, record } = exchange;
  const envoyHeaders = !core.router.suppressEnvoyHeaders;
  if (envoyHeaders) tellTimeout(exchange, timeouts, 0);
  if (route.includeRequestAttemptCount) headers.set('x-envoy-attempt-count', '1');
  if (core.options.decorates) {
    if (core.deps.direction !== 'outbound') {
      if ((exchange.seen & SEEN.envoy) !== 0) headers.remove('x-envoy-decorator-operation');
    } else if (route.decoratorOperation !== '' && route.config?.decorator?.propagate !== false) {
      headers.set('x-envoy-decorator-operation', route.decoratorOperation);
    }
  }

  const hostBefore = exchange.authority;
  // Rewrites see the request as it came, header changes apply to what goes out.
  const rewrittenHost = action.hostRewrite?.kind === 'value' ? action.hostRewrite.rewrite(exchange) : undefined;
  choice.requestMutations?.apply(headers, record, exchange);
  route.requestMutations?.apply(headers, record, exchange);
  if (choice.hostRewriteLiteral !== undefined) exchange.authority = choice.hostRewriteLiteral;
  else if (rewrittenHost !== undefined) rewriteHost(exchange, hostBefore, rewrittenHost, action);
  if (action.rewritesPath && exchange.path !== '') {
    const before = exchange.path;
    const after = action.rewritePath(before);
    if (after !== before) {
      if (envoyHeaders) headers.set('x-envoy-original-path', before);
      exchange.path = after;
    }
  }
  record.path = exchange.path;
  record.authority = exchange.authority;
}

export function rewriteHost(exchange: Exchange, before: string, host: string, action: ForwardAction): void {
  const { headers } = exchange;
  if (action.appendXForwardedHost) {
    const already = headers.get('x-forwarded-host');
    headers.set('x-forwarded-host', already === undefined ? before : `${already},${before}`);
  }
  headers.set('x-envoy-original-host', before);
  exchange.authority = host;
}
