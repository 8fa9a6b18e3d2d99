/**
 * What a sidecar has to do so that `up --learn` sees all its calls: every one is allowed and logged, and also where nothing is declared HTTP is read
 * for its host and TLS for its server name.
 */

import { clone, create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { BIND_DEFAULT } from '../../api/bind.ts';
import type { Kind, MeshConfig, ResourceOf } from '../../api/index.ts';
import { Replaced } from '../../config/replaced.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { KindTable } from '../../config/tables.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import { HTTP_CONNECTION_MANAGER, httpInspector, PLAINTEXT_HTTP, TCP_PROXY, tlsInspector } from '../../translate/filters.ts';
import { httpConnectionManager } from '../../translate/listeners/hcm.ts';
import { toDuration, typedConfig } from '../../translate/proto.ts';
import { catchAllHost } from '../../translate/routes/defaults.ts';
import { type AccessLog, AccessLogSchema } from '../../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  type ListenerFilter,
} from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { FileAccessLogSchema } from '../../xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js';
import { HttpConnectionManagerSchema } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { TcpProxySchema } from '../../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { PASSTHROUGH_CLUSTER } from '../../xds/names.ts';
import type { XdsResources } from '../../xds/resources.ts';

/** How long a client may be silent before its connection counts as plain bytes, in ms: some servers speak first. */
const SILENCE_MS = 1000;

/** What a record has to say; paths and headers, which may hold secrets, are not kept. */
const FIELDS = {
  start_time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  protocol: '%PROTOCOL%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  authority: '%REQ(:AUTHORITY)%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  route_name: '%ROUTE_NAME%',
  upstream_host: '%UPSTREAM_HOST%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
} as const;

/** A sidecar's resources, with each request and connection recorded in the file besides. */
export function recorded(resources: XdsResources, file: string, config: MeshConfig): XdsResources {
  const log = create(AccessLogSchema, {
    name: 'envoy.access_loggers.file',
    configType: typedConfig(FileAccessLogSchema, {
      path: file,
      accessLogFormat: { case: 'logFormat', value: { format: { case: 'jsonFormat', value: FIELDS } } },
    }),
  });
  return { ...resources, listeners: resources.listeners.map((listener) => recordedListener(listener, log, config)) };
}

function recordedListener(original: Listener, log: AccessLog, config: MeshConfig): Listener {
  const listener = clone(ListenerSchema, original);
  const all = [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])];
  if (all.some(passesOn)) inspect(listener, config);
  for (const { filters } of [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])])
    for (const filter of filters) addLog(filter, log);
  return listener;
}

/** Whether the chain lets bytes that nothing declares go where they were going. */
function passesOn({ filters }: FilterChain): boolean {
  const specifier = unpacked(filters.at(-1), TCP_PROXY, TcpProxySchema)?.clusterSpecifier;
  return specifier?.case === 'cluster' && specifier.value === PASSTHROUGH_CLUSTER;
}

/** Reads names of TLS and HTTP, and lets undeclared HTTP pass as HTTP. */
function inspect(listener: Listener, config: MeshConfig): void {
  const has = (part: string) => listener.listenerFilters.some(({ name }) => name.endsWith(part));
  const others = listener.listenerFilters.filter(({ name }) => !name.endsWith('_inspector'));
  const own: ListenerFilter[] = [tlsInspector(), httpInspector()];
  const readsHttp = has('http_inspector');
  listener.listenerFilters = [...others, ...own];
  listener.continueOnListenerFiltersTimeout = true;
  if (!readsHttp || isZero(listener)) listener.listenerFiltersTimeout = toDuration(SILENCE_MS);
  const readsPlain = listener.filterChains.some(({ filterChainMatch: match }) => match && isPlainHttp(match));
  if (readsPlain) return;
  const routes = create(RouteConfigurationSchema, { name: 'learn', virtualHosts: [catchAllHost(PASSTHROUGH_CLUSTER)] });
  const filters = [httpConnectionManager(config, { side: 'outbound', statPrefix: PASSTHROUGH_CLUSTER, routes, authorization: [] })];
  const filterChainMatch = { transportProtocol: 'raw_buffer', applicationProtocols: [...PLAINTEXT_HTTP] };
  // Beside a chain for raw bytes that speak HTTP, one without a condition takes no other raw bytes: it has to be the default.
  const unmatched = listener.filterChains.find((chain) => chain.filterChainMatch === undefined && passesOn(chain));
  if (unmatched) {
    listener.filterChains = listener.filterChains.filter((chain) => chain !== unmatched);
    listener.defaultFilterChain = unmatched;
  }
  listener.filterChains.push(create(FilterChainSchema, { name: 'learn-http', filterChainMatch, filters }));
}

function isZero({ listenerFiltersTimeout: timeout }: Listener): boolean {
  return !timeout || (timeout.seconds === 0n && timeout.nanos === 0);
}

/** Of any destination: such a chain takes what the one for learning would take. */
function isPlainHttp(match: NonNullable<FilterChain['filterChainMatch']>): boolean {
  return match.applicationProtocols.length > 0 && match.prefixRanges.length === 0 && match.serverNames.length === 0;
}

function addLog(filter: Filter, log: AccessLog): void {
  const http = unpacked(filter, HTTP_CONNECTION_MANAGER, HttpConnectionManagerSchema);
  if (http) {
    http.accessLog.push(log);
    filter.configType = typedConfig(HttpConnectionManagerSchema, http);
  }
  const tcp = unpacked(filter, TCP_PROXY, TcpProxySchema);
  if (tcp) {
    tcp.accessLog.push(log);
    filter.configType = typedConfig(TcpProxySchema, tcp);
  }
}

function unpacked<Desc extends DescMessage>(filter: Filter | undefined, name: string, schema: Desc): MessageShape<Desc> | undefined {
  return filter?.name === name && filter.configType.case === 'typedConfig' ? anyUnpack(filter.configType.value, schema) : undefined;
}

/** The settings, with what nothing declares allowed, and what their default would bind only told of. */
export function allowingConfig(config: MeshConfig): MeshConfig {
  const { outboundTrafficPolicy: policy, defaultConfig } = config;
  const bind = defaultConfig.proxyMetadata[BIND_DEFAULT];
  const isBound = bind !== undefined && bind !== 'off';
  if (policy.mode === 'ALLOW_ANY' && !isBound) return config;
  return {
    ...config,
    outboundTrafficPolicy: { ...policy, mode: 'ALLOW_ANY' },
    defaultConfig: { ...defaultConfig, proxyMetadata: { ...defaultConfig.proxyMetadata, ...(isBound && { [BIND_DEFAULT]: 'audit' }) } },
  };
}

/** The resources, with what nothing declares allowed also where a Sidecar would refuse it. */
export function allowingSnapshot(base: Snapshot): Snapshot {
  const written = base.list('Sidecar');
  return new Replaced(
    base,
    'Sidecar',
    sidecars.get([written], NO_INPUTS, () => new KindTable(written.map(allowing))),
  );
}

const sidecars = new Memo<KindTable>();

function allowing(sidecar: ResourceOf<'Sidecar'>): ResourceOf<Kind> {
  const { spec } = sidecar;
  if (!spec.outboundTrafficPolicy) return sidecar as unknown as ResourceOf<Kind>;
  const outboundTrafficPolicy = { ...spec.outboundTrafficPolicy, mode: 'ALLOW_ANY' };
  return { ...sidecar, spec: { ...spec, outboundTrafficPolicy } } as unknown as ResourceOf<Kind>;
}
