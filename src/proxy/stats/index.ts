/** Stats of the data plane: Envoy's names for its parts, Istio's metrics for requests and connections. */
export { clusterStatsSource, zeroClusterStats } from './cluster.ts';
export { type CountedMetrics, countedBy } from './counted.ts';
export {
  type IstioMetricsOptions,
  istioLabels,
  LAST_GRPC_STATUS,
  parseWorkload,
  serviceOfMetadata,
  type WorkloadIdentity,
  workloadOfNode,
} from './istio.ts';
export { countConnections, type ListenerView, listenerStatName, listenerStatsSource } from './listener.ts';
export { type PrintOptions, printPrometheus, printText, statsJson } from './prometheus.ts';
export {
  Histogram,
  mergeSnapshots,
  StatsRegistry,
  type StatsSnapshot,
  sinceSnapshot,
} from './registry.ts';
export { createHttpMetrics, createTcpMetrics } from './sink.ts';
export { countedByFilter } from './stats-filter.ts';
