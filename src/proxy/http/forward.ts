/** One forwarded request: its attempts, its body as long as an attempt may have to send it again, its timeouts, its retries. */

import type { RouterSettings } from '../../http/filters/filter.ts';
import { finalizeRequest, streamDurationOf, type Timeouts, tellTimeout, timeoutsOf } from '../../http/finalize.ts';
import { HeaderMap } from '../../http/header-map.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import { tellRouting } from '../../http/response.ts';
import { hashRequest } from '../../http/routes/hash.ts';
import type { ClusterChoice, CompiledRoute, ForwardAction } from '../../http/routes/route.ts';
import { cutResponseDetails, failureFlag, failureReply } from '../failure.ts';
import { own } from '../net/read-buffer.ts';
import type { Cluster, UpstreamFailure, UpstreamHost } from '../types.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { ForwardedExchange } from './contract.ts';
import { type Mirror, startMirrors } from './mirror.ts';
import { RetryState } from './retry.ts';
import { TimerEntry } from './timers.ts';

/** Bodies beyond this are sent once only (Envoy's default for per_connection_buffer_limit_bytes). */
const REPLAY_LIMIT = 1024 * 1024;

export class Forward implements AttemptOwner {
  readonly exchange: ForwardedExchange;
  readonly route: CompiledRoute;
  readonly action: ForwardAction;
  readonly choice: ClusterChoice;
  readonly cluster: Cluster;
  readonly retry: RetryState | undefined;
  /** The client's request is complete. */
  ended: boolean;
  /** The first attempt is being started: `requestFlush` follows. */
  starting = false;
  /** The current attempt; none between two. */
  attempt: Attempt | undefined = undefined;
  attempts = 0;
  /** Hosts of attempts that failed. */
  readonly tried: UpstreamHost[] = [];
  /** The body from its start, while it may be needed again or waits for a connection. */
  body: Buffer[] | undefined = undefined;
  bodyBytes = 0;
  /** Some body has been dropped: only the running attempt has it whole. */
  bodyGone = false;

  readonly #settings: RouterSettings;
  readonly #timeouts: Timeouts;
  #mirrors: readonly Mirror[] | undefined;
  #timer: TimerEntry | undefined = undefined;
  #backoff: TimerEntry | undefined = undefined;
  #closed = false;

  constructor(
    exchange: ForwardedExchange,
    action: ForwardAction,
    choice: ClusterChoice,
    cluster: Cluster,
    settings: RouterSettings,
    ended: boolean,
  ) {
    this.exchange = exchange;
    this.route = exchange.route!;
    this.action = action;
    this.choice = choice;
    this.cluster = cluster;
    this.ended = ended;
    this.#settings = settings;
    this.#timeouts = timeoutsOf(exchange.head, action);
    const policy = action.retry;
    this.retry = policy?.matchesRequest(exchange.head) ? new RetryState(policy, cluster) : undefined;
  }

  get perTryMs(): number {
    return this.#timeouts.perTry;
  }

  start(): void {
    const { exchange, action } = this;
    const { head, record } = exchange;
    if (action.hashPolicies.length > 0) this.#hash();
    const { envoyHeaders } = this.#settings;
    const refusal = finalizeRequest(head, this.route, action, this.choice, this.#timeouts, record, envoyHeaders, exchange.core);
    if (refusal) {
      exchange.reply(refusal);
      return;
    }
    record.path = head.path;
    record.authority = head.authority;
    if (action.mirrors.length > 0) this.#mirrors = startMirrors(exchange, action);
    const longest = streamDurationOf(head, action);
    if (longest !== undefined) exchange.setStreamDuration(longest);
    if (this.ended) this.#requestComplete();
    this.starting = true;
    this.#startAttempt();
    this.starting = false;
    if (this.ended) this.#endMirrors();
  }

  requestData(data: Buffer): void {
    if (this.#mirrors) for (const mirror of this.#mirrors) mirror.requestData(data);
    const { attempt } = this;
    const live = attempt?.stream !== undefined;
    if (!live || (this.retry !== undefined && !this.bodyGone)) this.#keep(data, live);
    if (live) attempt.requestData(data);
    else this.exchange.stream.pauseRequest();
  }

  /** What came while filters had the request. What the client's stream has kept since, its end too, comes behind that. */
  requestHeld(pieces: readonly Buffer[], ended: boolean): void {
    for (const data of pieces) this.requestData(data);
    if (ended) this.requestEnd();
    else if (this.attempt?.stream) this.upstreamReady();
  }

  requestEnd(): void {
    this.ended = true;
    this.#requestComplete();
    this.attempt?.requestEnd();
    this.#endMirrors();
  }

  requestFlush(): void {
    const stream = this.attempt?.stream;
    if (stream && !stream.flush()) this.exchange.stream.pauseRequest();
  }

  downstreamDrained(): void {
    this.attempt?.stream?.resumeResponse();
  }

  /** The attempt's connection takes more: read on from the client. */
  upstreamReady(): void {
    this.exchange.stream.resumeRequest();
  }

  upstreamHead(attempt: Attempt, status: number, headers: HeaderMap, end: boolean): void {
    const { exchange, retry } = this;
    if (retry) {
      const verdict = status === 101 ? 'no' : retry.onResponse(status, headers, this.#mayRepeat());
      if (verdict === 'retry') {
        attempt.giveUp();
        this.tried.push(attempt.host!);
        this.#retryLater(headers);
        return;
      }
      if (verdict === 'exhausted') exchange.addFlag('URX');
      else if (verdict === 'overflow') exchange.addFlag('UO');
    }
    if (status !== 101) this.#dropBody();
    if (exchange.head.upgrade === 'websocket' && status !== 101 && status < 400) {
      // Neither opened nor refused: there is nothing to pass on but the head.
      headers.remove('content-length');
      exchange.record.responseStarted = exchange.core.deps.now();
      exchange.reply({ status, body: '', details: 'websocket_handshake_unsuccessful', headers, ofRoute: 'forward' });
      return;
    }
    const { record } = exchange;
    record.responseStarted = exchange.core.deps.now();
    const told = this.#settings.envoyHeaders && record.requestReceived > 0;
    const serviceMs = told ? Math.floor(record.responseStarted - record.requestReceived) : undefined;
    tellRouting(headers, this.route, serviceMs, this.attempts);
    record.responseCode = status;
    record.responseCodeDetails = 'via_upstream';
    record.responseHeaders = headers;
    this.choice.responseMutations?.apply(headers, record);
    this.route.responseMutations?.apply(headers, record);
    if (end || status === 101) this.#disarm();
    exchange.respond(status, headers, end);
  }

  /** The attempt failed before the head of a response. */
  attemptFailed(attempt: Attempt, failure: UpstreamFailure, timedOut: boolean): void {
    if (this.#closed) return;
    const { exchange } = this;
    if (attempt.host) this.tried.push(attempt.host);
    this.attempt = undefined;
    if (attempt.replay(failure) && this.#mayRepeat()) {
      // The server had closed the idle connection before it could see the request: this is still the same attempt.
      this.attempts--;
      this.tried.pop();
      this.#startAttempt();
      return;
    }
    const verdict = this.retry?.onFailure(failure, timedOut, this.#mayRepeat()) ?? 'no';
    if (verdict === 'retry') {
      this.#retryLater(undefined);
      return;
    }
    if (verdict === 'exhausted') exchange.addFlag('URX');
    else if (verdict === 'overflow') exchange.addFlag('UO');
    this.#disarm();
    if (timedOut) {
      this.#refuse({ status: 504, body: 'upstream request timeout', details: 'upstream_per_try_timeout', flag: 'UT' });
      return;
    }
    const reply = failureReply(failure, this.attempts > 1);
    exchange.record.upstreamTransportFailureReason = reply.transportFailure;
    const headers = reply.overloaded && this.#settings.envoyHeaders ? new HeaderMap(['x-envoy-overloaded', 'true']) : undefined;
    this.#refuse({ status: reply.status, body: reply.body, details: reply.details, flag: reply.flag, headers });
  }

  /** The attempt failed after the head of its response had been passed on. */
  responseFailed(failure: UpstreamFailure): void {
    this.exchange.responseCut(failureFlag(failure), cutResponseDetails(failure));
  }

  responseEnded(): void {
    this.#disarm();
  }

  /** The exchange is over. */
  abandon(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#disarm();
    if (this.#backoff) this.exchange.core.timers.disarm(this.#backoff);
    if (this.#mirrors && !this.ended) for (const mirror of this.#mirrors) mirror.abandon();
    this.retry?.finish();
    this.attempt?.abandon();
    this.attempt = undefined;
    this.body = undefined;
  }

  #startAttempt(): void {
    this.attempts++;
    const { exchange } = this;
    exchange.record.attempts = this.attempts;
    if (this.attempts > 1) {
      const { core, record } = exchange;
      const { headers } = exchange.head;
      if (this.route.includeRequestAttemptCount) headers.set('x-envoy-attempt-count', String(this.attempts));
      if (this.#settings.envoyHeaders) {
        tellTimeout(headers, this.#timeouts, record.requestReceived > 0 ? core.deps.now() - record.requestReceived : 0);
      }
    }
    const attempt = new Attempt(this);
    this.attempt = attempt;
    attempt.start();
  }

  #retryLater(headers: HeaderMap | undefined): void {
    this.attempt = undefined;
    const { exchange, retry } = this;
    const ms = retry!.backoffMs(exchange.core.deps.random(), headers);
    this.#backoff ??= new TimerEntry(() => {
      if (!this.#closed) this.#startAttempt();
    });
    exchange.core.timers.arm(this.#backoff, ms);
  }

  /** As in Envoy, mirrors go out after the request itself. */
  #endMirrors(): void {
    if (this.#mirrors) for (const mirror of this.#mirrors) mirror.requestEnd();
  }

  #requestComplete(): void {
    const ms = this.#timeouts.overall;
    if (ms > 0 && this.exchange.head.upgrade === '') this.#arm(ms, () => this.#overall());
    this.attempt?.armPerTry();
  }

  #overall(): void {
    this.cluster.stats.upstreamRqTimeout++;
    // A host that has begun to answer is not the reason.
    const host = this.exchange.phase === 'forwarding' ? this.attempt?.host : undefined;
    if (host) this.cluster.outliers?.failed(host, true);
    this.#refuse({ status: 504, body: 'upstream request timeout', details: 'response_timeout', flag: 'UT' });
  }

  /** Answers in the upstream's place. */
  #refuse(reply: LocalReply): void {
    const { exchange } = this;
    const headers = reply.headers ?? new HeaderMap();
    tellRouting(headers, this.route, undefined, this.attempts);
    exchange.reply({ ...reply, headers, ofRoute: 'forward' });
  }

  #arm(ms: number, fire: () => void): void {
    this.#timer ??= new TimerEntry(fire);
    if (!this.#timer.list) this.exchange.core.timers.arm(this.#timer, ms);
  }

  #disarm(): void {
    if (this.#timer) this.exchange.core.timers.disarm(this.#timer);
  }

  #mayRepeat(): boolean {
    return !this.bodyGone && this.exchange.phase === 'forwarding';
  }

  #keep(data: Buffer, sent: boolean): void {
    this.bodyBytes += data.length;
    if (sent && this.bodyBytes > REPLAY_LIMIT) {
      this.#dropBody();
      return;
    }
    this.body ??= [];
    this.body.push(own(data));
  }

  #dropBody(): void {
    if (this.bodyBytes > 0) this.bodyGone = true;
    this.body = undefined;
  }

  /** The attempt has written the kept body; keeps it on only for attempts to come. */
  bodySent(): void {
    if (this.retry === undefined || this.bodyBytes > REPLAY_LIMIT) this.#dropBody();
  }

  #hash(): void {
    const { exchange, action } = this;
    const sourceIp = exchange.record.downstream.remoteAddress.ip;
    const result = hashRequest(action.hashPolicies, exchange.head, sourceIp, () => exchange.head.random.toString(16));
    exchange.hash = result.hash;
    exchange.hashCookie = result.setCookie;
  }
}

/** The reply where a route names no cluster that is there. */
export function noCluster({ clusterNotFoundStatus }: ForwardAction): LocalReply {
  const { status, body, details, flag } = failureReply({ kind: 'no-cluster' }, false, clusterNotFoundStatus);
  return { status, body, details, flag, ofRoute: 'forward' };
}
