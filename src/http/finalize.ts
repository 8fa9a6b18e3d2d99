/** Turns the client's request into the one that goes upstream: timeouts told, headers added and removed, host and path rewritten. */

import { table } from '../lib/table.ts';
import { SEEN } from './fields.ts';
import type { FormatRecord } from './format/record.ts';
import type { Head } from './head.ts';
import type { HeaderMap } from './header-map.ts';
import type { LocalReply } from './local-reply.ts';
import { isGrpc } from './local-reply.ts';
import type { ManagerOptions } from './options.ts';
import { outgoingProblem } from './outgoing-problem.ts';
import type { Direction } from './response.ts';
import type { ClusterChoice, CompiledRoute, ForwardAction } from './routes/model.ts';
import { injectTrace } from './tracing/context.ts';

export interface Timeouts {
  /** For the whole response, attempts included; ms, 0 for none. */
  overall: number;
  perTry: number;
}

/** The route's timeouts, and what an internal client or gRPC's deadline makes of them. */
export function timeoutsOf({ headers, seen }: Head, action: ForwardAction): Timeouts {
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
export function streamDurationOf({ headers, seen }: Head, { streamDuration }: ForwardAction): number | undefined {
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

const GRPC_UNITS: Readonly<Record<string, number>> = table({ H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 });

/** gRPC over HTTP/2, "Timeout": up to eight digits and a unit. In ms, rounded up; undefined if it is none. */
export function grpcTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match ? Math.ceil(Number(match[1]) * GRPC_UNITS[match[2]!]!) : undefined;
}

/** What the upstream is told of the time that it has; `elapsed`: ms that earlier attempts took. */
export function tellTimeout(headers: HeaderMap, { overall, perTry }: Timeouts, elapsed: number): void {
  const left = overall > 0 ? Math.max(1, overall - elapsed) : 0;
  const expected = perTry > 0 && (left === 0 || perTry < left) ? perTry : left;
  if (expected > 0) headers.set('x-envoy-expected-rq-timeout-ms', String(Math.round(expected)));
}

/** What of the connection manager in whose name a request goes out counts here. */
export interface Sender {
  readonly options: Pick<ManagerOptions, 'decorates'>;
  readonly deps: { readonly direction: Direction };
}

/**
 * Changes the head for good: logs tell what went upstream. `record` is what formats see; `envoyHeaders` is false with `suppress_envoy_headers`.
 * Returns what is to be answered where the request cannot be sent so.
 */
export function finalizeRequest(
  head: Head,
  route: CompiledRoute,
  action: ForwardAction,
  choice: ClusterChoice,
  timeouts: Timeouts,
  record: FormatRecord,
  envoyHeaders: boolean,
  { options, deps }: Sender,
): LocalReply | undefined {
  const { headers } = head;
  if (envoyHeaders) tellTimeout(headers, timeouts, 0);
  if (route.includeRequestAttemptCount) headers.set('x-envoy-attempt-count', '1');
  if (options.decorates) {
    if (deps.direction !== 'outbound') {
      if ((head.seen & SEEN.envoy) !== 0) {
        if (head.trace) head.trace.operation = headers.get('x-envoy-decorator-operation');
        headers.remove('x-envoy-decorator-operation');
      }
    } else if (route.decoratorOperation !== '' && route.config?.decorator?.propagate !== false) {
      headers.set('x-envoy-decorator-operation', route.decoratorOperation);
    }
  }

  if (head.trace) injectTrace(headers, head.trace);

  const hostBefore = head.authority;
  // Rewrites see the request as it came, header changes apply to what goes out.
  const rewrittenHost = action.hostRewrite?.kind === 'value' ? action.hostRewrite.rewrite(head) : undefined;
  choice.requestMutations?.apply(headers, record, head);
  route.requestMutations?.apply(headers, record, head);
  if (choice.hostRewriteLiteral !== undefined) head.authority = choice.hostRewriteLiteral;
  else if (rewrittenHost !== undefined) rewriteHost(head, hostBefore, rewrittenHost, action);
  if (action.rewritesPath && head.path !== '') rewritePath(head, action, envoyHeaders);
  return head.edited || choice.requestMutations || route.requestMutations ? refusalOf(head) : undefined;
}

function rewritePath(head: Head, action: ForwardAction, envoyHeaders: boolean): void {
  const before = head.path;
  const after = action.rewritePath(before);
  if (after === before) return;
  if (envoyHeaders) head.headers.set('x-envoy-original-path', before);
  head.path = after;
}

function refusalOf(head: Head): LocalReply | undefined {
  const problem = outgoingProblem(head);
  if (problem === undefined) return undefined;
  const details = `filter_removed_required_request_headers{${problem.replaceAll(' ', '_')}}`;
  return { status: 503, body: problem, details, flag: 'DPE', ofRoute: 'forward' };
}

/** With `auto_host_rewrite`, the host that was chosen gives its name; empty for one that has none. */
export function rewriteToUpstream(head: Head, hostname: string, action: ForwardAction, choice: ClusterChoice): void {
  if (action.hostRewrite?.kind !== 'auto' || hostname === '' || choice.hostRewriteLiteral !== undefined) return;
  if (head.authority !== hostname) rewriteHost(head, head.authority, hostname, action);
}

function rewriteHost(head: Head, before: string, host: string, action: ForwardAction): void {
  const { headers } = head;
  if (action.appendXForwardedHost) {
    const already = headers.get('x-forwarded-host');
    headers.set('x-forwarded-host', already === undefined ? before : `${already},${before}`);
  }
  headers.set('x-envoy-original-host', before);
  head.authority = host;
}
