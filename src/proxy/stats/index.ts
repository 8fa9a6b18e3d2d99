/** Stats of the data plane: Envoy's names for its parts, Istio's metrics for requests and connections. */
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
} from './registry.ts';
