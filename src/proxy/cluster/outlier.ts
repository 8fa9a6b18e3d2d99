/**
 * Outlier detection (`outlier_detection`): hosts that fail several times in a row get no traffic for a while. Each worker thread judges by what it sees itself.
 * What Envoy computes over all hosts of a cluster, success rates and failure percentages, is not looked at.
 */
import type { OutlierDetection } from '../../xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import type { OutlierMonitor, UpstreamHost } from '../types.ts';
import type { Host } from './host.ts';

/** Failures in a row that lead to an ejection, and in how many of 100 cases they do. */
interface Threshold {
  readonly failures: number;
  readonly enforcing: number;
}

export interface OutlierSettings {
  readonly errors: Threshold;
  readonly gateway: Threshold;
  /** Failures to connect, resets and timeouts, where they are counted apart from what hosts answer. */
  readonly local: Threshold | undefined;
  /** All in ms. */
  readonly intervalMs: number;
  readonly baseMs: number;
  readonly maxMs: number;
  /** Of the cluster's hosts, in percent. */
  readonly maxEjected: number;
  /** One host may be ejected whatever `maxEjected` says. */
  readonly oneAtLeast: boolean;
}

/** With Envoy's defaults. */
export function readOutlierDetection(config: OutlierDetection): OutlierSettings {
  const baseMs = durationMs(config.baseEjectionTime, 30_000);
  return {
    errors: { failures: config.consecutive5xx ?? 5, enforcing: config.enforcingConsecutive5xx ?? 100 },
    gateway: { failures: config.consecutiveGatewayFailure ?? 5, enforcing: config.enforcingConsecutiveGatewayFailure ?? 0 },
    local: config.splitExternalLocalOriginErrors
      ? { failures: config.consecutiveLocalOriginFailure ?? 5, enforcing: config.enforcingConsecutiveLocalOriginFailure ?? 100 }
      : undefined,
    intervalMs: Math.max(1, durationMs(config.interval, 10_000)),
    baseMs,
    maxMs: durationMs(config.maxEjectionTime, Math.max(baseMs, 300_000)),
    maxEjected: Math.min(100, config.maxEjectionPercent ?? 10),
    oneAtLeast: config.alwaysEjectOneHost ?? false,
  };
}

/** What is known of one host. */
interface Tally {
  errors: number;
  gateway: number;
  local: number;
  /** How many base ejection times the next ejection adds to; goes down by one in each interval without one. */
  backoff: number;
  ejectedAt: number;
}

interface OutlierEnvironment {
  /** Milliseconds; monotonic. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly hosts: () => Iterable<Host>;
  /** Which hosts are ejected has changed. */
  readonly changed: () => void;
}

/** Statuses that stand for failures of the connection where those are not counted apart. */
const CONNECT_FAILED = 503;
const TIMED_OUT = 504;

export class OutlierDetector implements OutlierMonitor {
  readonly #settings: OutlierSettings;
  readonly #env: OutlierEnvironment;
  readonly #tallies = new Map<UpstreamHost, Tally>();
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: OutlierSettings, env: OutlierEnvironment) {
    this.#settings = settings;
    this.#env = env;
  }

  answered(host: UpstreamHost, status: number): void {
    if (status < 500) {
      const tally = this.#tallies.get(host);
      if (tally) {
        tally.errors = 0;
        tally.gateway = 0;
      }
      return;
    }
    const tally = this.#tally(host);
    const { errors, gateway } = this.#settings;
    if (status < 502 || status > 504) tally.gateway = 0;
    else if (++tally.gateway >= gateway.failures) {
      tally.gateway = 0;
      this.#eject(host, tally, gateway.enforcing);
    }
    if (++tally.errors >= errors.failures) {
      tally.errors = 0;
      this.#eject(host, tally, errors.enforcing);
    }
  }

  failed(host: UpstreamHost, timedOut: boolean): void {
    const { local } = this.#settings;
    if (!local) {
      this.answered(host, timedOut ? TIMED_OUT : CONNECT_FAILED);
      return;
    }
    const tally = this.#tally(host);
    if (++tally.local < local.failures) return;
    tally.local = 0;
    this.#eject(host, tally, local.enforcing);
  }

  connected(host: UpstreamHost, final: boolean): void {
    if (this.#settings.local) {
      const tally = this.#tallies.get(host);
      if (tally) tally.local = 0;
    } else if (final) this.answered(host, 200);
  }

  /** Lets hosts back in whose time is over; what a timer does once in an interval. */
  check(): void {
    const { baseMs, maxMs } = this.#settings;
    let changed = false;
    let busy = false;
    for (const [key, tally] of this.#tallies) {
      const host = key as Host;
      if (!host.live) {
        this.#tallies.delete(key);
      } else if (!host.ejected) {
        if (tally.backoff > 0) tally.backoff--;
        if (tally.backoff > 0) busy = true;
      } else if (this.#env.now() - tally.ejectedAt >= Math.min(baseMs * tally.backoff, maxMs)) {
        host.ejected = false;
        tally.errors = 0;
        tally.gateway = 0;
        tally.local = 0;
        changed = true;
        busy = true;
      } else busy = true;
    }
    if (!busy) this.close();
    if (changed) this.#env.changed();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tally(host: UpstreamHost): Tally {
    let tally = this.#tallies.get(host);
    if (!tally) {
      tally = { errors: 0, gateway: 0, local: 0, backoff: 0, ejectedAt: 0 };
      this.#tallies.set(host, tally);
    }
    return tally;
  }

  #eject(key: UpstreamHost, tally: Tally, enforcing: number): void {
    const host = key as Host;
    if (host.ejected || !host.live) return;
    const { baseMs, maxMs, maxEjected, oneAtLeast, intervalMs } = this.#settings;
    let total = 0;
    let ejected = 0;
    for (const each of this.#env.hosts()) {
      total++;
      if (each.ejected) ejected++;
    }
    const allowed = (100 * (ejected + 1)) / total <= maxEjected || (oneAtLeast && ejected === 0);
    if (!allowed || this.#env.random() * 100 >= enforcing) return;
    host.ejected = true;
    tally.ejectedAt = this.#env.now();
    if (baseMs * tally.backoff < maxMs) tally.backoff++;
    this.#timer ??= setInterval(() => this.check(), intervalMs).unref();
    this.#env.changed();
  }
}
