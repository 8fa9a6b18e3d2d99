/** Stats of the data plane: Envoy's names for its parts, Istio's metrics for requests and connections. */
export { type ClusterView, clusterStatsSource, zeroClusterStats } from './cluster.ts';
export {
  type IstioMetricsOptions,
  parseWorkload,
  type ServiceIdentity,
  serviceOfMetadata,
  type WorkloadIdentity,
  workloadOfNode,
} from './istio.ts';
export { countConnections, type ListenerView, listenerStatName, listenerStatsSource } from './listener.ts';
export { type PrintOptions, printPrometheus, printText, statsJson } from './prometheus.ts';
export {
  type Counter,
  DEFAULT_BUCKETS,
  type Gauge,
  Histogram,
  type Labels,
  mergeSnapshots,
  StatsRegistry,
  type StatsSnapshot,
  type StatsSource,
  sinceSnapshot,
} from './registry.ts';
export { createHttpMetrics, createTcpMetrics, type MetricsOptions, type TcpMetricsSink } from './sink.ts';
