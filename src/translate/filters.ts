/** Filters of listeners and of HTTP connections, with the configuration that Istio gives them. */

import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import type { DestinationRule, TrafficPolicy } from '../api/index.ts';
import { hostPort } from '../lib/socket-address.ts';
import {
  type Filter,
  FilterSchema,
  type ListenerFilter,
  ListenerFilterSchema,
} from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { CorsSchema } from '../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { HTTPFaultSchema } from '../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { RouterSchema } from '../xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import { HttpInspectorSchema } from '../xds/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
import { OriginalDstSchema } from '../xds/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js';
import { ProxyProtocolSchema } from '../xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js';
import { TlsInspectorSchema } from '../xds/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { credentialsFilter } from '../xds/injected-secrets.ts';
import { CREDENTIALS_FILTER, EXPLICIT_PROXY_FILTER } from '../xds/names.ts';
import { accessLogs, logsWhenConnected } from './access-log.ts';
import type { LoggedConfig } from './logging.ts';
import type { LogMode } from './model.ts';
import { toDuration, typedConfig } from './proto.ts';

export const FAULT_FILTER = 'envoy.filters.http.fault';
export const CORS_FILTER = 'envoy.filters.http.cors';
export const HTTP_CONNECTION_MANAGER = 'envoy.filters.network.http_connection_manager';
export const TCP_PROXY = 'envoy.filters.network.tcp_proxy';

/** What the HTTP inspector finds in bytes that are not TLS. HTTP/1.0 is not among them: such a connection is taken for plain TCP. */
export const PLAINTEXT_HTTP: readonly string[] = ['http/1.1', 'h2c'];

export function originalDestination(): ListenerFilter {
  return create(ListenerFilterSchema, { name: 'envoy.filters.listener.original_dst', configType: typedConfig(OriginalDstSchema, {}) });
}

export function tlsInspector(): ListenerFilter {
  return create(ListenerFilterSchema, { name: 'envoy.filters.listener.tls_inspector', configType: typedConfig(TlsInspectorSchema, {}) });
}

/** Has to stand behind the TLS inspector: it leaves alone what that has found to be TLS. */
export function httpInspector(): ListenerFilter {
  return create(ListenerFilterSchema, { name: 'envoy.filters.listener.http_inspector', configType: typedConfig(HttpInspectorSchema, {}) });
}

export function proxyProtocol(): ListenerFilter {
  return create(ListenerFilterSchema, { name: 'envoy.filters.listener.proxy_protocol', configType: typedConfig(ProxyProtocolSchema, {}) });
}

export function explicitProxy(): ListenerFilter {
  return create(ListenerFilterSchema, { name: EXPLICIT_PROXY_FILTER, configType: typedConfig(EmptySchema, {}) });
}

/**
 * Behind those that decide who may ask, every HTTP connection has the same ones, in this order; the router ends the chain. What puts credentials in stands before
 * it, where calls get some; Envoy does not have it, and refuses the listener.
 */
export function httpFilters(authorization: readonly HttpFilter[], injects: Injects): HttpFilter[] {
  return [
    ...authorization,
    create(HttpFilterSchema, { name: FAULT_FILTER, configType: typedConfig(HTTPFaultSchema, {}) }),
    create(HttpFilterSchema, { name: CORS_FILTER, configType: typedConfig(CorsSchema, {}) }),
    ...injectingFilter(injects),
    create(HttpFilterSchema, { name: 'envoy.filters.http.router', configType: typedConfig(RouterSchema, {}) }),
  ];
}

/** Whether calls get credentials, or the names in SDS of those that they get. */
export type Injects = boolean | readonly string[];

function injectingFilter(injects: Injects): HttpFilter[] {
  if (injects === false) return [];
  if (injects !== true) return [credentialsFilter(injects)];
  return [create(HttpFilterSchema, { name: CREDENTIALS_FILTER, configType: typedConfig(EmptySchema, {}) })];
}

interface TcpTarget {
  readonly statPrefix: string;
  /** One cluster, or several with their weights. */
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  /** The rule of the (first) destination's host, for timeouts, hashing and tunnels. */
  readonly destinationRule?: DestinationRule;
  readonly subset?: string;
  /** What its connections are logged and counted by; undefined for not at all. */
  readonly logged?: { readonly config: LoggedConfig; readonly mode: LogMode };
}

export function tcpProxy({ statPrefix, clusters, destinationRule, subset, logged }: TcpTarget): Filter {
  const ofSubset = subset ? destinationRule?.subsets.find((each) => each.name === subset)?.trafficPolicy : undefined;
  const tcp = destinationRule?.trafficPolicy?.connectionPool?.tcp;
  const tunnel = ofSubset?.tunnel ?? destinationRule?.trafficPolicy?.tunnel;
  const config = create(TcpProxySchema, {
    statPrefix,
    clusterSpecifier:
      clusters.length === 1
        ? { case: 'cluster', value: clusters[0]!.name }
        : { case: 'weightedClusters', value: { clusters: clusters.map(({ name, weight }) => ({ name, weight })) } },
    idleTimeout: tcp?.idleTimeout === undefined ? undefined : toDuration(tcp.idleTimeout),
    maxDownstreamConnectionDuration: tcp?.maxConnectionDuration === undefined ? undefined : toDuration(tcp.maxConnectionDuration),
    hashPolicy: hashesSourceIp(ofSubset, destinationRule?.trafficPolicy) ? [{ policySpecifier: { case: 'sourceIp', value: {} } }] : [],
    tunnelingConfig: tunnel && {
      hostname: hostPort(tunnel.targetHost, tunnel.targetPort),
      usePost: tunnel.protocol === 'POST',
    },
    ...(logged ? { accessLog: accessLogs(logged.config, logged.mode, 'tcp') } : {}),
    ...(logged && logsWhenConnected(logged.config) ? { accessLogOptions: { flushAccessLogOnConnected: true } } : {}),
  });
  return create(FilterSchema, { name: TCP_PROXY, configType: typedConfig(TcpProxySchema, config) });
}

function hashesSourceIp(ofSubset: TrafficPolicy | undefined, ofHost: TrafficPolicy | undefined): boolean {
  const loadBalancer = ofSubset?.loadBalancer ?? ofHost?.loadBalancer;
  return loadBalancer?.consistentHash?.useSourceIp ?? false;
}
