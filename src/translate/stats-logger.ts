/** Access loggers by which a stock Envoy counts Istio's metrics (envoy/extensions/access_loggers/stats/v3/stats.proto). */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { own, table } from '../lib/table.ts';
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
} from '../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { AccessLogType } from '../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import {
  Config_Histogram_Unit,
  type Config_StatSchema,
  ConfigSchema,
} from '../xds/gen/envoy/extensions/access_loggers/stats/v3/stats_pb.js';
import { METRIC_NAMES, type MetricName, MOST_SERIES, type Reporter, SET_TAG, STAT_TAGS, statsPrefix } from '../xds/istio-stats.ts';
import { SALLYPORT_METADATA } from '../xds/names.ts';
import type { Counting, LabelChanges } from './counting.ts';
import { typedConfig } from './proto.ts';

type Stat = MessageInitShape<typeof Config_StatSchema>;
type Tags = Readonly<Partial<Record<keyof typeof STAT_TAGS, string>>>;

const BOTH: Tags = {
  service: `%METADATA(CLUSTER:${SALLYPORT_METADATA}:service)%`,
  cluster: '%UPSTREAM_CLUSTER_RAW%',
  flags: '%RESPONSE_FLAGS%',
};
/** Few, since each is formatted for each metric of each request; what is the same for all requests of a proxy is added where metrics are served. */
const SIDES: Readonly<Record<Reporter, Tags>> = {
  source: { ...BOTH, workload: '%UPSTREAM_METADATA(istio:workload)%' },
  destination: { ...BOTH, principal: '%DOWNSTREAM_PEER_URI_SAN%' },
};
const OF_HTTP: Tags = { code: '%RESPONSE_CODE%', grpc: '%GRPC_STATUS_NUMBER%' };
/** Labels that are told by one tag alone: without the label there is no series for each of its values. */
const ONLY_LABEL: Readonly<Record<string, keyof typeof STAT_TAGS>> = table({ response_code: 'code', response_flags: 'flags' });

const { Milliseconds, Bytes } = Config_Histogram_Unit;
const HISTOGRAMS: Readonly<Partial<Record<MetricName, { readonly unit: Config_Histogram_Unit; readonly valueFormat: string }>>> = {
  request_duration_milliseconds: { unit: Milliseconds, valueFormat: '%DURATION%' },
  request_bytes: { unit: Bytes, valueFormat: '%BYTES_RECEIVED%' },
  response_bytes: { unit: Bytes, valueFormat: '%BYTES_SENT%' },
};
/** Of a counter; those that are not here count by one. */
const COUNTED: Readonly<Partial<Record<MetricName, string>>> = {
  tcp_sent_bytes_total: '%BYTES_SENT%',
  tcp_received_bytes_total: '%BYTES_RECEIVED%',
};

const HTTP = METRIC_NAMES.filter((name) => !name.startsWith('tcp_'));
const OPENED = ['tcp_connections_opened_total'] as const;
const CLOSED = ['tcp_connections_closed_total', 'tcp_sent_bytes_total', 'tcp_received_bytes_total'] as const;
/** Of a connection that never reached its server, which nobody tells when it begins. */
const NEVER_CONNECTED = ['UH', 'UO', 'NR', 'NC', 'URX'];

/** One at least, which tells that nothing is counted where it is so. Of requests, or of connections, for which TCP proxies have to log when they have connected, too (`access_log_options`). */
export function statsLoggers(counting: Counting, reporter: Reporter, kind: 'http' | 'tcp'): AccessLog[] {
  if (kind === 'http') return [logger(counting, reporter, HTTP, OF_HTTP, undefined)];
  const never = create(AccessLogFilterSchema, { filterSpecifier: { case: 'responseFlagFilter', value: { flags: NEVER_CONNECTED } } });
  const opened = [ofType(AccessLogType.TcpUpstreamConnected), bothOf(AT_END, never)];
  return [
    ...(counting[OPENED[0]] ? opened.map((filter) => logger(counting, reporter, OPENED, {}, filter)) : []),
    logger(counting, reporter, CLOSED, {}, AT_END),
  ];
}

/** Where connections are logged when they have connected, too: what takes none but those that have ended. */
export function atEnd(filter: AccessLogFilter | undefined): AccessLogFilter {
  return filter ? bothOf(AT_END, filter) : AT_END;
}

function ofType(type: AccessLogType): AccessLogFilter {
  return create(AccessLogFilterSchema, { filterSpecifier: { case: 'logTypeFilter', value: { types: [type] } } });
}

const AT_END = ofType(AccessLogType.TcpConnectionEnd);

function bothOf(...filters: AccessLogFilter[]): AccessLogFilter {
  return create(AccessLogFilterSchema, { filterSpecifier: { case: 'andFilter', value: { filters } } });
}

function logger(
  counting: Counting,
  reporter: Reporter,
  names: readonly MetricName[],
  more: Tags,
  filter: AccessLogFilter | undefined,
): AccessLog {
  const tags = { ...SIDES[reporter], ...more };
  const stats = names.flatMap((name) => (counting[name] ? [{ name, stat: statOf(name, tags, counting[name]) }] : []));
  const prefix = statsPrefix(reporter);
  const config = {
    // All listeners share the statistics, and so their number.
    statsScope: { prefix, sharingName: prefix, maxCounters: MOST_SERIES, maxHistograms: MOST_SERIES },
    counters: stats
      .filter(({ name }) => !HISTOGRAMS[name])
      .map(({ name, stat }) => (COUNTED[name] ? { stat, valueFormat: COUNTED[name] } : { stat, valueFixed: 1n })),
    histograms: stats.flatMap(({ name, stat }) => (HISTOGRAMS[name] ? [{ stat, ...HISTOGRAMS[name] }] : [])),
  };
  const configType = typedConfig(ConfigSchema, config);
  return create(AccessLogSchema, { name: 'envoy.access_loggers.stats', configType, ...(filter ? { filter } : {}) });
}

function statOf(name: MetricName, tags: Tags, { removed, set }: LabelChanges): Stat {
  const gone = new Set(removed.map((label) => ONLY_LABEL[label]));
  const kept = Object.entries(tags).filter(([tag]) => !gone.has(tag as keyof typeof STAT_TAGS));
  return {
    name,
    tags: [
      ...kept.map(([tag, valueFormat]) => ({ name: own(STAT_TAGS, tag)!, valueFormat })),
      ...(removed.length > 0 ? [{ name: STAT_TAGS.without, valueFormat: removed.join(',').replaceAll('%', '%%') }] : []),
      ...Object.entries(set).map(([label, valueFormat]) => ({ name: `${SET_TAG}${label}`, valueFormat })),
    ],
  };
}
