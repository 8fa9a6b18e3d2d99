/** The metrics of one connection manager or TCP proxy, made from the records that it leaves. */
import type { AccessRecord, RecordSink } from '../types.ts';
import { IstioMetrics, type IstioMetricsOptions } from './istio.ts';
import type { Counter, Histogram, StatsRegistry } from './registry.ts';

export interface MetricsOptions {
  readonly registry: StatsRegistry;
  /** `stat_prefix` of the filter: the names start with `http.PREFIX.` or `tcp.PREFIX.`. */
  readonly statPrefix: string;
  /** Undefined: Istio's metrics are not kept. */
  readonly istio: IstioMetricsOptions | undefined;
}

export interface TcpMetricsSink extends RecordSink {
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
  return {
    record(record) {
      total.value++;
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
      if (record.responseCodeDetails === 'direct_response') direct.value++;
      else if (record.responseCodeDetails === 'via_upstream') upstream.count(record);
      metrics?.http(record);
    },
  };
}

/** `cluster.NAME.upstream_rq_*` by status: what a cluster's own counters do not hold. */
class UpstreamSeries {
  readonly #registry: StatsRegistry;
  readonly #clusters = new Map<string, { readonly completed: Counter; readonly time: Histogram; readonly codes: Map<number, Counter> }>();

  constructor(registry: StatsRegistry) {
    this.#registry = registry;
  }

  count(record: AccessRecord): void {
    const name = record.upstreamCluster;
    let cluster = this.#clusters.get(name);
    if (!cluster) {
      cluster = {
        completed: this.#registry.counter(`cluster.${name}.upstream_rq_completed`),
        time: this.#registry.histogram(`cluster.${name}.upstream_rq_time`),
        codes: new Map(),
      };
      this.#clusters.set(name, cluster);
    }
    cluster.completed.value++;
    if (record.responseStarted > 0) cluster.time.record(record.responseStarted - record.started);
    let code = cluster.codes.get(record.responseCode);
    if (!code) {
      code = this.#registry.counter(`cluster.${name}.upstream_rq_${record.responseCode}`);
      cluster.codes.set(record.responseCode, code);
    }
    code.value++;
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
