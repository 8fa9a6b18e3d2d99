/** One try at one host: waits for a stream, sends the request, passes the response on. */

import { withCredentials } from '../../http/credentials.ts';
import { exposedReply } from '../../http/filters/credentials.ts';
import { rewriteToUpstream } from '../../http/finalize.ts';
import type { HeaderMap } from '../../http/header-map.ts';
import { httpStatusOf, isGrpc } from '../../http/local-reply.ts';
import type { ClusterChoice, ForwardAction } from '../../http/routes/route.ts';
import type { Cluster, OutlierMonitor, ResetReason, UpstreamFailure, UpstreamHost } from '../types.ts';
import type { ForwardedExchange, Pool, PoolClient, ResetKind, UpstreamRequest, UpstreamStream } from './contract.ts';
import type { RetryState } from './retry.ts';
import { TimerEntry } from './timers.ts';

/** What an attempt sees of the forwarded request that it is one try of, and what it tells it. */
export interface AttemptOwner {
  readonly exchange: ForwardedExchange;
  readonly action: ForwardAction;
  readonly choice: ClusterChoice;
  readonly cluster: Cluster;
  readonly retry: RetryState | undefined;
  /** The client's request is complete. */
  readonly ended: boolean;
  /** The first attempt is being started: `requestFlush` follows. */
  readonly starting: boolean;
  /** Hosts of attempts that failed. */
  readonly tried: readonly UpstreamHost[];
  /** The body so far, where the attempt is to send it. */
  readonly body: readonly Buffer[] | undefined;
  readonly bodyBytes: number;
  readonly perTryMs: number;
  /** The attempt has written the kept body. */
  bodySent(): void;
  /** The attempt's connection takes more. */
  upstreamReady(): void;
  upstreamHead(attempt: Attempt, status: number, headers: HeaderMap, end: boolean): void;
  /** The attempt failed before the head of a response. */
  attemptFailed(attempt: Attempt, failure: UpstreamFailure, timedOut: boolean): void;
  /** The attempt failed after the head of its response had been passed on. */
  responseFailed(failure: UpstreamFailure): void;
  responseEnded(): void;
}

const RESET_REASONS: Readonly<Record<ResetKind, ResetReason>> = {
  'connection-termination': 'connection termination',
  'remote-reset': 'remote reset',
  'remote-refused': 'remote refused stream reset',
  'local-reset': 'local reset',
  'protocol-error': 'protocol error',
};

/** Idempotent methods (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** What of a head goes out. */
function outgoing({ method, path, authority, headers, upgrade, scheme }: UpstreamRequest): UpstreamRequest {
  return { method, path, authority, headers, upgrade, scheme };
}

export class Attempt implements PoolClient {
  readonly forward: AttemptOwner;
  host: UpstreamHost | undefined = undefined;
  stream: UpstreamStream | undefined = undefined;
  #pool: Pool | undefined = undefined;
  #headSeen = false;
  #awaitsGrpcStatus = false;
  #done = false;
  #counted = false;
  #perTry: TimerEntry | undefined = undefined;

  constructor(forward: AttemptOwner) {
    this.forward = forward;
  }

  start(): void {
    const { forward } = this;
    const { cluster, exchange, retry } = forward;
    let chosen = cluster.choose(exchange, this.#chosen);
    if (retry && forward.tried.length > 0 && retry.avoidsPreviousHosts) {
      for (let i = 1; i < retry.hostSelectionAttempts && chosen && !('kind' in chosen) && forward.tried.includes(chosen); i++) {
        chosen = cluster.choose(exchange, this.#chosen);
      }
    }
    if (chosen) this.#chosen(chosen);
  }

  /** A property, because the cluster may call it later. */
  readonly #chosen = (choice: UpstreamHost | UpstreamFailure): void => {
    if (this.#done) return;
    if ('kind' in choice) {
      this.poolFailed(choice);
      return;
    }
    const { forward } = this;
    const { exchange, cluster } = forward;
    this.host = choice;
    exchange.record.upstreamHost = choice;
    rewriteToUpstream(exchange.head, choice.hostname, forward.action, forward.choice);
    exchange.record.authority = exchange.head.authority;
    const { injected } = exchange;
    const exposed = injected && exposedReply(injected, cluster.config, choice.address.ip);
    if (exposed) {
      this.#finish();
      exchange.reply(exposed);
      return;
    }
    const { requests } = cluster.limits;
    if (requests.used >= requests.max) {
      cluster.stats.upstreamRqPendingOverflow++;
      this.poolFailed({ kind: 'overflow' });
      return;
    }
    requests.used++;
    choice.active++;
    cluster.stats.upstreamRqTotal++;
    cluster.stats.upstreamRqActive++;
    this.#counted = true;
    this.armPerTry();
    this.#pool = exchange.core.deps.pools.pool(cluster, choice, exchange.head, exchange.core.options.upstreamAlpn);
    this.#pool.acquire(this);
  };

  /** The per-try timeout runs from the end of the request. */
  armPerTry(): void {
    const { forward } = this;
    if (forward.perTryMs <= 0 || !forward.ended || this.#perTry || this.#done || !this.host) return;
    this.#perTry = new TimerEntry(() => this.#timedOut());
    forward.exchange.core.timers.arm(this.#perTry, forward.perTryMs);
  }

  get downstream() {
    return this.forward.exchange.downstream;
  }

  get authority(): string {
    return this.forward.exchange.head.authority;
  }

  get tunnel(): boolean {
    const { exchange, action } = this.forward;
    return exchange.head.upgrade === 'connect' && action.upgrades.get('connect')?.terminateConnect === true;
  }

  poolReady(stream: UpstreamStream): void {
    if (this.#done) {
      stream.reset();
      return;
    }
    const { forward } = this;
    const { exchange } = forward;
    const { record } = exchange;
    this.stream = stream;
    forward.cluster.outliers?.connected(this.host!, false);
    record.upstreamLocalAddress = stream.localAddress;
    // On a connection that was there, the request goes out in the turn in which it came.
    if (record.upstreamFirstByteSent === 0) record.upstreamFirstByteSent = forward.starting ? record.started : exchange.core.deps.now();
    const waiting = forward.body;
    const { head, injected } = exchange;
    const { timeOrigin, now } = exchange.core.deps;
    stream.sendHead(
      injected ? { ...outgoing(head), ...withCredentials(head, injected, timeOrigin + now()) } : head,
      forward.ended && waiting === undefined && exchange.requestTrailers === undefined,
    );
    // An HTTP/2 connection may have ended just now.
    if (this.#done) return;
    if (waiting) {
      for (const data of waiting) stream.sendData(data);
      forward.bodySent();
    }
    if (forward.ended && (waiting || exchange.requestTrailers)) stream.sendEnd(exchange.requestTrailers);
    if (!forward.starting && stream.flush()) forward.upstreamReady();
  }

  poolFailed(failure: UpstreamFailure): void {
    if (this.#done) return;
    this.#finish();
    if (this.host && failure.kind !== 'overflow') this.forward.cluster.outliers?.failed(this.host, failure.kind === 'connect-timeout');
    this.forward.attemptFailed(this, failure, false);
  }

  requestData(data: Buffer): void {
    this.stream?.sendData(data);
  }

  requestEnd(): void {
    if (!this.stream) return;
    this.stream.sendEnd(this.forward.exchange.requestTrailers);
  }

  /** Whether the request can be sent anew without asking a retry policy: an idle connection died as it was taken, unseen by the server. */
  replay(failure: UpstreamFailure): boolean {
    if (failure.kind !== 'reset' || failure.reason !== 'connection termination' || !this.stream?.wasIdle) return false;
    const { exchange } = this.forward;
    return exchange.head.upgrade === '' && IDEMPOTENT.has(exchange.head.method) && this.forward.bodyBytes === 0;
  }

  upstreamInformational(status: number, headers: HeaderMap): void {
    this.forward.exchange.respondInformational(status, headers);
  }

  upstreamHead(status: number, headers: HeaderMap, end: boolean): void {
    if (this.#done) return;
    const { stats, outliers } = this.forward.cluster;
    if (outliers) this.#tell(outliers, status, headers, end);
    if (status < 300) stats.upstreamRq2xx++;
    else if (status < 400) stats.upstreamRq3xx++;
    else if (status < 500) stats.upstreamRq4xx++;
    else stats.upstreamRq5xx++;
    this.#headSeen = true;
    if (this.#perTry) this.forward.exchange.core.timers.disarm(this.#perTry);
    if (end) this.#finish();
    this.forward.upstreamHead(this, status, headers, end);
  }

  /** gRPC says in a header or trailer what HTTP says in the status. */
  #tell(outliers: OutlierMonitor, status: number, headers: HeaderMap, end: boolean): void {
    const grpc = status === 200 && isGrpc(headers);
    if (!grpc) outliers.answered(this.host!, status);
    else if (end || headers.has('grpc-status')) outliers.answered(this.host!, httpStatusOf(headers.get('grpc-status')));
    else this.#awaitsGrpcStatus = true;
  }

  upstreamData(data: Buffer): void {
    if (!this.#done) this.forward.exchange.responseData(data);
  }

  upstreamEnd(trailers: HeaderMap | undefined): void {
    if (this.#done) return;
    this.#finish();
    if (this.#awaitsGrpcStatus) this.forward.cluster.outliers?.answered(this.host!, httpStatusOf(trailers?.get('grpc-status')));
    this.forward.responseEnded();
    this.forward.exchange.responseEnd(trailers);
  }

  upstreamFlush(): void {
    if (!this.forward.exchange.responseFlush() && !this.#done) this.stream?.pauseResponse();
  }

  upstreamDrained(): void {
    if (!this.#done) this.forward.upstreamReady();
  }

  upstreamReset(kind: ResetKind, _detail: string): void {
    if (this.#done) return;
    const failure: UpstreamFailure = { kind: 'reset', reason: RESET_REASONS[kind] };
    this.#finish();
    this.forward.cluster.outliers?.failed(this.host!, false);
    if (this.#headSeen) this.forward.responseFailed(failure);
    else this.forward.attemptFailed(this, failure, false);
  }

  /** The response is not passed on: a retry follows. */
  giveUp(): void {
    this.abandon();
  }

  /** Nothing of this attempt is wanted any more. */
  abandon(): void {
    if (this.#done) return;
    this.#finish();
    if (this.stream) this.stream.reset();
    else this.#pool?.cancel(this);
  }

  #timedOut(): void {
    if (this.#done) return;
    const { cluster } = this.forward;
    cluster.stats.upstreamRqTimeout++;
    cluster.outliers?.failed(this.host!, true);
    this.abandon();
    this.forward.attemptFailed(this, { kind: 'reset', reason: 'local reset' }, true);
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    if (this.#perTry) this.forward.exchange.core.timers.disarm(this.#perTry);
    if (!this.#counted) return;
    const { cluster } = this.forward;
    cluster.limits.requests.used--;
    cluster.stats.upstreamRqActive--;
    this.host!.active--;
  }
}
