/**
 * Has an Envoy of ours tell of its calls: its listeners send their access log, by gRPC, to the socket at which it is served. Whoever serves an Envoy adds
 * this to what it serves; what the control plane makes, and Envoys of others get, does not have it.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack, DurationSchema } from '@bufbuild/protobuf/wkt';
import { contentHash } from '../../../xds/encode.ts';
import { CONTROL_PLANE_CLUSTER } from '../../../xds/envoy-bootstrap.ts';
import { isFromRelease } from '../../../xds/envoy-version.ts';
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
  ComparisonFilter_Op,
  GrpcStatusFilter_Status,
} from '../../../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import type { Node } from '../../../xds/gen/envoy/config/core/v3/base_pb.js';
import { ApiVersion } from '../../../xds/gen/envoy/config/core/v3/config_source_pb.js';
import type { FilterChain } from '../../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { AccessLogType } from '../../../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import {
  CommonGrpcAccessLogConfigSchema,
  HttpGrpcAccessLogConfigSchema,
} from '../../../xds/gen/envoy/extensions/access_loggers/grpc/v3/als_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManager_HcmAccessLogOptionsSchema,
  HttpConnectionManagerSchema,
} from '../../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import {
  type TcpProxy,
  TcpProxy_TcpAccessLogOptionsSchema,
  TcpProxySchema,
} from '../../../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { SALLYPORT_METADATA } from '../../../xds/names.ts';
import { EncodedList, ResourceTable } from '../../../xds/resource-table.ts';
import type { EncodedResource } from '../../../xds/resources.ts';
import { typeNameOf, unpack } from '../../../xds/unpack.ts';
import { type EncodedSet, listIn } from '../../../xds/update.ts';

/** The first 1.x that was seen to have all that flows are made of. */
export const FIRST_THAT_TELLS = 40;

export function tellsOfCalls(node: Node): boolean {
  return isFromRelease(node, FIRST_THAT_TELLS);
}

/** What entries say besides, by name; Envoy writes `-` for what is not there. */
const TAGS = {
  connection: '%CONNECTION_ID%',
  serverName: '%REQUESTED_SERVER_NAME%',
  directLocalAddress: '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%',
  /** In the order in which they came up. */
  flags: '%RESPONSE_FLAGS%',
  /** Entries themselves name it where a server was chosen alone. */
  cluster: '%UPSTREAM_CLUSTER_RAW%',
  routeOrigins: `%METADATA(ROUTE:${SALLYPORT_METADATA}:origins)%`,
  routeRefusal: `%METADATA(ROUTE:${SALLYPORT_METADATA}:refusal)%`,
  clusterOrigins: `%METADATA(CLUSTER:${SALLYPORT_METADATA}:origins)%`,
  clusterRefusal: `%METADATA(CLUSTER:${SALLYPORT_METADATA}:refusal)%`,
} as const;
export type Tag = keyof typeof TAGS;

/** Key of Envoy's runtime: percent of the calls of which is told what is told to those who watch alone. */
export const WATCHED = 'sallyport.watched';

/** Statuses of HTTP from here on say that something is wrong. */
const FIRST_ERROR = 400;
const GRPC = { matchPattern: { case: 'prefix' as const, value: 'application/grpc' } };

/** How long Envoy may hold an entry back, ms. */
const FLUSH_MS = 100;

const made = new WeakMap<EncodedSet, EncodedSet>();
const ofResource = new WeakMap<EncodedResource, EncodedResource>();

/** The set with listeners that tell. The access log service is where the control plane is. */
export function tellingSet(set: EncodedSet): EncodedSet {
  let telling = made.get(set);
  if (!telling) {
    const listeners = listIn(set, 'listener').all.map((listener) => tellingResource(listener));
    const others = (['cluster', 'endpoint', 'secret', 'route', 'nameTable'] as const).map((type) => listIn(set, type));
    telling = { version: `${set.version} telling`, resources: new ResourceTable([...others, new EncodedList('listener', listeners)]) };
    made.set(set, telling);
  }
  return telling;
}

function tellingResource(resource: EncodedResource): EncodedResource {
  let telling = ofResource.get(resource);
  if (!telling) {
    const bytes = tellingListener(resource.bytes);
    telling = { type: 'listener', name: resource.name, version: contentHash(bytes), bytes };
    ofResource.set(resource, telling);
  }
  return telling;
}

/**
 * The calls of which an Envoy tells that nobody watches: all, or only connections and those requests that may have gone wrong, as an entry of each request
 * costs Envoy a good third of what the request does.
 */
export type ToldUnwatched = 'all' | 'wrong';

/** A listener, encoded, with the log. Throws for bytes that are none. */
export function tellingListener(bytes: Uint8Array, told: ToldUnwatched = 'all'): Uint8Array {
  const listener = fromBinary(ListenerSchema, bytes);
  // What passes there has passed another listener.
  if (listener.listenerSpecifier.case === 'internalListener') return bytes;
  addLogs(listener, told);
  return toBinary(ListenerSchema, listener);
}

function addLogs(listener: Listener, told: ToldUnwatched): void {
  // Connections that no filter chain takes: the filters tell of the others.
  const refused = create(AccessLogFilterSchema, { filterSpecifier: { case: 'responseFlagFilter', value: { flags: ['NR'] } } });
  listener.accessLog.push(flowLog(refused));
  const chains = [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])];
  for (const chain of chains) addToChain(chain, told);
}

function addToChain({ filters }: FilterChain, told: ToldUnwatched): void {
  for (const { name, configType } of filters) {
    if (configType.case !== 'typedConfig') continue;
    const type = typeNameOf(configType.value);
    if (type === HttpConnectionManagerSchema.typeName)
      configType.value = anyPack(
        HttpConnectionManagerSchema,
        tellingManager(unpack(configType.value, HttpConnectionManagerSchema, name), told),
      );
    else if (type === TcpProxySchema.typeName)
      configType.value = anyPack(TcpProxySchema, tellingProxy(unpack(configType.value, TcpProxySchema, name)));
  }
}

function tellingManager(manager: HttpConnectionManager, told: ToldUnwatched): HttpConnectionManager {
  const { DownstreamStart, DownstreamEnd } = AccessLogType;
  if (told === 'wrong') {
    // Without beginnings, for which Envoy would look at all of its logs once more with each request.
    manager.accessLog.push(flowLog(allOf(ofType(DownstreamEnd), anyOf(mayBeWrong(), whileWatched()))));
    return manager;
  }
  manager.accessLogOptions ??= create(HttpConnectionManager_HcmAccessLogOptionsSchema);
  const options = manager.accessLogOptions;
  const tellsBeginnings = options.flushAccessLogOnNewRequest || manager.flushAccessLogOnNewRequest;
  addLog(manager, options, tellsBeginnings, DownstreamStart, DownstreamEnd);
  options.flushAccessLogOnNewRequest = true;
  manager.flushAccessLogOnNewRequest = false;
  return manager;
}

function tellingProxy(proxy: TcpProxy): TcpProxy {
  proxy.accessLogOptions ??= create(TcpProxy_TcpAccessLogOptionsSchema);
  const options = proxy.accessLogOptions;
  const tellsBeginnings = options.flushAccessLogOnConnected || proxy.flushAccessLogOnConnected;
  const { TcpUpstreamConnected, TcpConnectionEnd } = AccessLogType;
  addLog(proxy, options, tellsBeginnings, TcpUpstreamConnected, TcpConnectionEnd);
  options.flushAccessLogOnConnected = true;
  proxy.flushAccessLogOnConnected = false;
  return proxy;
}

type Interval = Pick<HttpConnectionManager, 'accessLogFlushInterval'>;

/** Envoy takes the old fields or the new ones: what the filter has as an old one goes to the options. @param tellsBeginnings its logs hear of them already */
function addLog(
  filter: Interval & Pick<HttpConnectionManager, 'accessLog'>,
  options: Interval,
  tellsBeginnings: boolean,
  begin: AccessLogType,
  end: AccessLogType,
): void {
  if (!tellsBeginnings) for (const log of filter.accessLog) log.filter = without(begin, log.filter);
  filter.accessLog.push(flowLog(anyOf(ofType(end), allOf(ofType(begin), whileWatched()))));
  if (filter.accessLogFlushInterval) options.accessLogFlushInterval ??= filter.accessLogFlushInterval;
  delete filter.accessLogFlushInterval;
}

/** Logs of others hear of no beginnings that they did not hear of before. */
function without(type: AccessLogType, filter: AccessLogFilter | undefined): AccessLogFilter {
  const others = create(AccessLogFilterSchema, { filterSpecifier: { case: 'logTypeFilter', value: { types: [type], exclude: true } } });
  if (!filter) return others;
  return allOf(others, filter);
}

/** The proxy's own answers are among them, and those of servers that say that something is wrong. */
function mayBeWrong(): AccessLogFilter {
  const anyFlag = create(AccessLogFilterSchema, { filterSpecifier: { case: 'responseFlagFilter', value: {} } });
  const comparison = { op: ComparisonFilter_Op.GE, value: { defaultValue: FIRST_ERROR, runtimeKey: 'sallyport.first_error' } };
  const errorStatus = create(AccessLogFilterSchema, { filterSpecifier: { case: 'statusCodeFilter', value: { comparison } } });
  // Of gRPC the status of HTTP says nothing.
  const header = { name: 'content-type', headerMatchSpecifier: { case: 'stringMatch' as const, value: GRPC } };
  const isGrpc = create(AccessLogFilterSchema, { filterSpecifier: { case: 'headerFilter', value: { header } } });
  const notOk = { statuses: [GrpcStatusFilter_Status.OK], exclude: true };
  const errorOfGrpc = create(AccessLogFilterSchema, { filterSpecifier: { case: 'grpcStatusFilter', value: notOk } });
  return anyOf(anyFlag, errorStatus, allOf(isGrpc, errorOfGrpc));
}

function whileWatched(): AccessLogFilter {
  const value = { runtimeKey: WATCHED, percentSampled: {}, useIndependentRandomness: true };
  return create(AccessLogFilterSchema, { filterSpecifier: { case: 'runtimeFilter', value } });
}

function anyOf(...filters: AccessLogFilter[]): AccessLogFilter {
  return create(AccessLogFilterSchema, { filterSpecifier: { case: 'orFilter', value: { filters } } });
}

function allOf(...filters: AccessLogFilter[]): AccessLogFilter {
  return create(AccessLogFilterSchema, { filterSpecifier: { case: 'andFilter', value: { filters } } });
}

function ofType(type: AccessLogType): AccessLogFilter {
  return create(AccessLogFilterSchema, { filterSpecifier: { case: 'logTypeFilter', value: { types: [type] } } });
}

/**
 * The logger of requests, for connections too: it gives entries up when too many wait, and counts them, where the logger of connections
 * (`envoy.access_loggers.tcp_grpc`) keeps them all.
 */
function flowLog(filter: AccessLogFilter): AccessLog {
  const commonConfig = create(CommonGrpcAccessLogConfigSchema, {
    logName: 'sallyport.flows',
    grpcService: { targetSpecifier: { case: 'envoyGrpc', value: { clusterName: CONTROL_PLANE_CLUSTER } } },
    transportApiVersion: ApiVersion.V3,
    bufferFlushInterval: create(DurationSchema, { nanos: FLUSH_MS * 1_000_000 }),
    customTags: Object.entries(TAGS).map(([tag, value]) => ({ tag, type: { case: 'value' as const, value } })),
  });
  const config = create(HttpGrpcAccessLogConfigSchema, { commonConfig });
  const configType = { case: 'typedConfig' as const, value: anyPack(HttpGrpcAccessLogConfigSchema, config) };
  return create(AccessLogSchema, { name: 'envoy.access_loggers.http_grpc', filter, configType });
}
