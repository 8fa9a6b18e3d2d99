/** The metrics of one connection manager or TCP proxy, made from the records that it leaves. */
import type { AccessRecord, RecordSink } from '../types.ts';
import { IstioMetrics, type IstioMetricsOptions } from './istio.ts';
import type { Counter, Histogram, StatsRegistry } from './registry.ts';

interface MetricsOptions {
  readonly registry: StatsRegistry;
  /** `stat_prefix` of the filter: the names start with `http.PREFIX.` or `tcp.PREFIX.`. */
  readonly statPrefix: string;
  /** Undefined: Istio's metrics are not kept. */
  readonly istio: IstioMetricsOptions | undefined;
}

interface TcpMetricsSink extends RecordSink {
  /** To be called when the connection's cluster is known; `record` counts it itself otherwise. */
  opened(record: AccessRecord): void;
}

/** Counts `http.PREFIX.downstream_rq_*`, `cluster.NAME.upstream_rq_{CODE,completed,time}` and Istio's request metrics. */
export function createHttpMetrics({ registry, statPrefix, istio }: MetricsOptions): RecordSink {
  const prefix = `http.${statPrefix}.`;
  const total = registry.counter(`${prefix}downstream_rq_total`);
  const completed = registry.counter(`${prefix}downstream_rq_completed`);
  const classes = [1, 2, 3, 4, 5].map((digit) => registry.counter(`${prefix}downstream_rq_${digit}xx`));
  const time = registry.histogram(`${prefix}downstream_rq_time`);
  const noRoute = registry.counter(`${prefix}no_route`);
  const noCluster = registry.counter(`${prefix}no_cluster`);
  const direct = registry.counter(`${prefix}rq_direct_response`);
  const upstream = new UpstreamSeries(registry);
  const metrics = istio && new IstioMetrics(registry, istio);
  const routed = registry.counter(`${prefix}rq_total`);
  const http1 = registry.counter(`${prefix}downstream_rq_http1_total`);
  const http2 = registry.counter(`${prefix}downstream_rq_http2_total`);
  return {
    record(record) {
      total.value++;
      (record.protocol === 'HTTP/2' ? http2 : http1).value++;
      const { responseCode, flags } = record;
      if (responseCode >= 100) {
        completed.value++;
        const series = classes[((responseCode / 100) | 0) - 1];
        if (series) series.value++;
      }
      if (record.ended > 0) time.record(record.ended - record.started);
      if (flags.length > 0) {
        if (flags.includes('NR')) noRoute.value++;
        if (flags.includes('NC')) noCluster.value++;
      }
      // Of what the codec itself refused nothing is known but the reply.
      if (record.method !== '') routed.value++;
      if (record.responseCodeDetails === 'direct_response') direct.value++;
      else if (record.upstreamCluster !== '') upstream.count(record);
      metrics?.http(record);
    },
  };
}

interface UpstreamCounters {
  readonly completed: Counter;
  readonly time: Histogram;
  readonly retries: Counter;
  readonly retrySuccess: Counter;
  readonly retryLimit: Counter;
  readonly codes: Map<number, Counter>;
}

/** `cluster.NAME.upstream_rq_*` by status: what a cluster's own counters do not hold. */
class UpstreamSeries {
  readonly #registry: StatsRegistry;
  readonly #clusters = new Map<string, UpstreamCounters>();

  constructor(registry: StatsRegistry) {
    this.#registry = registry;
  }

  count(record: AccessRecord): void {
    const { responseCode, attempts } = record;
    const cluster = this.#cluster(record.upstreamCluster);
    if (attempts > 1) {
      cluster.retries.value += attempts - 1;
      if (record.flags.includes('URX')) cluster.retryLimit.value++;
      else if (responseCode > 0 && responseCode < 500) cluster.retrySuccess.value++;
    }
    if (responseCode < 100) return;
    cluster.completed.value++;
    this.#code(cluster, record.upstreamCluster, responseCode).value++;
    if (record.responseCodeDetails === 'via_upstream') {
      if (record.responseStarted > 0) cluster.time.record(record.responseStarted - record.started);
    } else {
      // Replies that the proxy gave for the cluster count as its own, as in Envoy; the cluster has counted those that came from upstream.
      this.#registry.counter(`cluster.${record.upstreamCluster}.upstream_rq_${Math.floor(responseCode / 100)}xx`).value++;
    }
  }

  #cluster(name: string): UpstreamCounters {
    let cluster = this.#clusters.get(name);
    if (!cluster) {
      const prefix = `cluster.${name}.upstream_rq`;
      cluster = {
        completed: this.#registry.counter(`${prefix}_completed`),
        time: this.#registry.histogram(`${prefix}_time`),
        retries: this.#registry.counter(`${prefix}_retry`),
        retrySuccess: this.#registry.counter(`${prefix}_retry_success`),
        retryLimit: this.#registry.counter(`${prefix}_retry_limit_exceeded`),
        codes: new Map(),
      };
      this.#clusters.set(name, cluster);
    }
    return cluster;
  }

  #code({ codes }: UpstreamCounters, name: string, status: number): Counter {
    let code = codes.get(status);
    if (!code) {
      code = this.#registry.counter(`cluster.${name}.upstream_rq_${status}`);
      codes.set(status, code);
    }
    return code;
  }
}

/** Counts `tcp.PREFIX.downstream_cx_*` and Istio's connection metrics. */
export function createTcpMetrics({ registry, statPrefix, istio }: MetricsOptions): TcpMetricsSink {
  const prefix = `tcp.${statPrefix}.`;
  const total = registry.counter(`${prefix}downstream_cx_total`);
  const received = registry.counter(`${prefix}downstream_cx_rx_bytes_total`);
  const sent = registry.counter(`${prefix}downstream_cx_tx_bytes_total`);
  const noRoute = registry.counter(`${prefix}downstream_cx_no_route`);
  const metrics = istio && new IstioMetrics(registry, istio);
  const open = new WeakSet<AccessRecord>();
  return {
    opened(record) {
      open.add(record);
      metrics?.opened(record);
    },
    record(record) {
      total.value++;
      received.value += record.bytesReceived;
      sent.value += record.bytesSent;
      if (record.flags.includes('NR')) noRoute.value++;
      if (!metrics) return;
      if (!open.has(record)) metrics.opened(record);
      metrics.closed(record);
    },
  };
}
