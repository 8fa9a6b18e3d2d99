import { STATS_FILTER } from './istio-stats.ts';

/**
 * Filters that only observe traffic, by type: Istio's control plane puts them into every listener and cluster. The data plane counts Istio's metrics by
 * itself, as the filter says that counts them, and exchanges no metadata with its peers, so that it passes over them; what would decide about a call is none of these.
 */
export const OBSERVING_FILTERS: ReadonlySet<string> = new Set([
  'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
  'envoy.tcp.metadataexchange.config.MetadataExchange',
  'io.istio.http.peer_metadata.Config',
  STATS_FILTER,
]);

/** ALPN of a connection that begins with each side's metadata. Who exchanges none must not agree to it: its peer would send what is no payload. */
export const METADATA_EXCHANGE_ALPN = 'istio-peer-exchange';
