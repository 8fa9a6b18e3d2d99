/**
 * Istio's standard metrics among Envoy's own statistics: the names and tags by which our access loggers count, and what serves the page of metrics reads them
 * (`docs/decisions/fleet-metrics.md`).
 */

/** Without the `istio_` before it. */
export const METRIC_NAMES = [
  'requests_total',
  'request_duration_milliseconds',
  'request_bytes',
  'response_bytes',
  'tcp_connections_opened_total',
  'tcp_connections_closed_total',
  'tcp_sent_bytes_total',
  'tcp_received_bytes_total',
] as const;
export type MetricName = (typeof METRIC_NAMES)[number];

/** The type of Istio's own filter that counts. */
export const STATS_FILTER = 'stats.PluginConfig';

/** Which side of a call counts. */
export type Reporter = 'source' | 'destination';

/** The first Envoy 1.x whose loggers that count keep within a number of series. */
export const FIRST_THAT_COUNTS = 39;

/** Prefix of the statistics of a side: `istio_source.requests_total`. */
export const statsPrefix = (reporter: Reporter) => `istio_${reporter}`;

/** Tags of the statistics that are not Istio's labels, but what labels are made of. */
export const STAT_TAGS = {
  /** `host;name;namespace` of the destination. */
  service: 'service',
  cluster: 'cluster',
  code: 'code',
  flags: 'flags',
  grpc: 'grpc',
  /** Of the client, at its destination. */
  principal: 'principal',
  /** As endpoint metadata has it, at the source. */
  workload: 'workload',
  /** Names of labels that are taken away, with commas. */
  without: 'without',
} as const;

/** Before the name of a label that is set. */
export const SET_TAG = 'set_';

/** Series of counters and of histograms that one side has at the most. */
export const MOST_SERIES = 5000;

/** CEL attributes that people set labels to, as Envoy's command operators. What a client chooses freely makes a series for each value, and so only where asked for. */
const ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ['request.host', '%REQ(:AUTHORITY)%'],
  ['request.method', '%REQ(:METHOD)%'],
  ['request.path', '%REQ(:PATH)%'],
  ['request.url_path', '%PATH(NQ)%'],
  ['request.useragent', '%REQ(USER-AGENT)%'],
  ['request.protocol', '%PROTOCOL%'],
  ['response.code', '%RESPONSE_CODE%'],
]);

/** The format of command operators for an expression (CEL) that a label is set to; undefined for one that is not understood. */
export function labelFormat(expression: string): string | undefined {
  const text = expression.trim();
  const literal = /^(?:'([^'\\]*)'|"([^"\\]*)")$/.exec(text);
  if (literal) return (literal[1] ?? literal[2] ?? '').replaceAll('%', '%%');
  const header = /^request\.headers\[(?:'([a-z0-9-]+)'|"([a-z0-9-]+)")\]$/.exec(text);
  if (header) return `%REQ(${(header[1] ?? header[2]!).toUpperCase()})%`;
  return ATTRIBUTES.get(text);
}
