/** Decides whether a failed attempt is followed by another (`retry_policy`). */
import type { HeaderMap } from '../../http/header-map.ts';
import type { RetryPolicy } from '../../http/routes/route.ts';
import type { Cluster, UpstreamFailure } from '../types.ts';

/** `exhausted`: the policy would retry, but no retry is left (flag URX). `overflow`: the cluster's retry limit is reached. */
export type RetryVerdict = 'retry' | 'no' | 'exhausted' | 'overflow';

/** grpc-status values that conditions name. */
const GRPC_CONDITIONS: readonly (readonly [condition: string, status: string])[] = [
  ['cancelled', '1'],
  ['deadline-exceeded', '4'],
  ['resource-exhausted', '8'],
  ['internal', '13'],
  ['unavailable', '14'],
];

export class RetryState {
  readonly #policy: RetryPolicy;
  readonly #cluster: Cluster;
  #left: number;
  #done = 0;
  #holdsLimit = false;

  constructor(policy: RetryPolicy, cluster: Cluster) {
    this.#policy = policy;
    this.#cluster = cluster;
    this.#left = policy.retries;
  }

  get avoidsPreviousHosts(): boolean {
    return this.#policy.avoidPreviousHosts;
  }

  get hostSelectionAttempts(): number {
    return this.#policy.hostSelectionAttempts;
  }

  /** `possible`: the request can be sent again. */
  onResponse(status: number, headers: HeaderMap, possible: boolean): RetryVerdict {
    return this.#decide(possible && this.#wantsResponse(status, headers));
  }

  /** `timedOut`: by the per-try timeout. */
  onFailure(failure: UpstreamFailure, timedOut: boolean, possible: boolean): RetryVerdict {
    return this.#decide(possible && this.#wantsFailure(failure, timedOut));
  }

  /** Full jitter over a base that doubles (`retry_back_off`); in ms. */
  backoffMs(random: number, _headers: HeaderMap | undefined): number {
    const { baseIntervalMs, maxIntervalMs } = this.#policy;
    const span = Math.min(baseIntervalMs * 2 ** (this.#done - 1), maxIntervalMs);
    return Math.max(1, random % Math.max(1, Math.round(span)));
  }

  /** The request is over. */
  finish(): void {
    this.#release();
  }

  #decide(wanted: boolean): RetryVerdict {
    this.#release();
    if (!wanted) return 'no';
    if (this.#left <= 0) return 'exhausted';
    const { retries } = this.#cluster.limits;
    if (retries.used >= retries.max) return 'overflow';
    retries.used++;
    this.#holdsLimit = true;
    this.#left--;
    this.#done++;
    return 'retry';
  }

  #release(): void {
    if (!this.#holdsLimit) return;
    this.#holdsLimit = false;
    this.#cluster.limits.retries.used--;
  }

  #wantsResponse(status: number, headers: HeaderMap): boolean {
    const { on, statusCodes } = this.#policy;
    if (headers.has('x-envoy-ratelimited')) return on.has('envoy-ratelimited');
    if (status >= 500 && on.has('5xx')) return true;
    if (status >= 502 && status <= 504 && on.has('gateway-error')) return true;
    if (status === 409 && on.has('retriable-4xx')) return true;
    if (on.has('retriable-status-codes') && statusCodes.has(status)) return true;
    if (on.has('retriable-headers') && this.#policy.matchesResponse(headers)) return true;
    const grpc = headers.get('grpc-status');
    return grpc !== undefined && GRPC_CONDITIONS.some(([condition, value]) => value === grpc && on.has(condition));
  }

  #wantsFailure(failure: UpstreamFailure, timedOut: boolean): boolean {
    const { on } = this.#policy;
    if (failure.kind === 'no-host' || failure.kind === 'no-cluster' || failure.kind === 'overflow' || failure.kind === 'dns') return false;
    if (on.has('5xx') || on.has('gateway-error') || on.has('reset')) return true;
    if (timedOut) return false;
    if (failure.kind !== 'reset') return on.has('connect-failure') || on.has('reset-before-request');
    return failure.reason === 'remote refused stream reset' && on.has('refused-stream');
  }
}
