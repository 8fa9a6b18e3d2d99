/** A filter chain in force: its TLS, and the terminal network filter that takes connections over. */
import type { Any } from '@bufbuild/protobuf/wkt';
import type { NetworkExtAuthz } from '../../http/ext-authz/network.ts';
import { compileNetworkRbac } from '../../http/rbac/network.ts';
import { directionOf } from '../../http/response.ts';
import type { FilterChain } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { ConnectionLimitSchema } from '../../xds/gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js';
import type { HttpConnectionManager } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema } from '../../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { FilterConfigSchema as SniForwardProxySchema } from '../../xds/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js';
import { type TcpProxy, TcpProxySchema } from '../../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { DownstreamTlsContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { STATS_FILTER } from '../../xds/istio-stats.ts';
import { bindingOf } from '../../xds/match/binding.ts';
import { durationMs } from '../../xds/match/duration.ts';
import { OBSERVING_FILTERS } from '../../xds/observing.ts';
import { typeNameOf, unpack, unsupported } from '../../xds/unpack.ts';
import type { TcpProxyOverrides } from '../tcp/settings.ts';
import type { MaterialStore } from '../tls/material.ts';
import { createServerTls, type ServerTls } from '../tls/server.ts';
import type { ConnectionHandler } from '../types.ts';
import { type Ask, type Guard, type GuardFilter, guardOf } from './guard.ts';

export interface ChainContext {
  readonly listener: string;
  readonly direction: 'inbound' | 'outbound' | 'unspecified';
  /** Names the filter in refusals. */
  readonly where: string;
  /** Istio's own filter that counts, where it stands before. */
  readonly counts?: Any | undefined;
}

/** The terminal filters, supplied by whoever puts the data plane together. */
export interface NetworkFilters {
  readonly store: MaterialStore;
  /** Decodes the typed_config of a connection manager; apart from `http`, as its types are loaded late. */
  http(config: Any, context: ChainContext): ConnectionHandler;
  tcp(config: TcpProxy, overrides: TcpProxyOverrides, context: ChainContext): ConnectionHandler;
  /** Decodes the typed_config of a filter that asks an authorizer; loaded late as well, as is the call. */
  authorizer(config: Any, where: string): NetworkExtAuthz;
  readonly ask: Ask;
}

export interface ActiveChain {
  readonly name: string;
  readonly kind: 'http' | 'tcp';
  readonly tls: ServerTls | undefined;
  /** For the TLS handshake, in ms; 0 for none. */
  readonly handshakeTimeoutMs: number;
  /** Most connections at a time, or undefined. */
  readonly maxConnections: number | undefined;
  /** It is asked once, before anything is done for the connection; Envoy asks when the first bytes come. */
  readonly guard: Guard;
  readonly handler: ConnectionHandler;
}

export const HTTP_CONNECTION_MANAGER: HttpConnectionManager['$typeName'] =
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const TCP_PROXY = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';
const SNI_CLUSTER = 'envoy.extensions.filters.network.sni_cluster.v3.SniCluster';
const SNI_FORWARD_PROXY = 'envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig';
export const NETWORK_EXT_AUTHZ = 'envoy.extensions.filters.network.ext_authz.v3.ExtAuthz';
const RBAC = 'envoy.extensions.filters.network.rbac.v3.RBAC';
const CONNECTION_LIMIT = 'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit';

/** Node ends a handshake after this time by default as well. */
const HANDSHAKE_TIMEOUT_MS = 15_000;

/** What a chain takes from its listener. */
type ListenerFacts = Pick<Listener, 'name' | 'trafficDirection'>;

/** Throws `xds-unsupported` or `xds-invalid`, naming the field. */
export function compileChain(chain: FilterChain, index: number, listener: ListenerFacts, filters: NetworkFilters): ActiveChain {
  const place = index < 0 ? 'default_filter_chain' : `filter_chains[${index}]`;
  const where = `listener "${listener.name}".${place}${chain.name ? ` "${chain.name}"` : ''}`;
  if (chain.useProxyProto) unsupported(`${where}.use_proxy_proto`, 'not supported; use the listener filter proxy_protocol');
  if (chain.onDemandConfiguration) unsupported(`${where}.on_demand_configuration`, 'not supported');
  const tls = compileTls(chain, filters.store, `${where}.transport_socket`);
  return {
    name: chain.name,
    tls,
    handshakeTimeoutMs: durationMs(chain.transportSocketConnectTimeout, 0) || HANDSHAKE_TIMEOUT_MS,
    ...compileFilters(chain, listener, where, filters),
  };
}

function compileTls(chain: FilterChain, store: MaterialStore, where: string): ServerTls | undefined {
  const config = chain.transportSocket;
  if (!config) return undefined;
  const any = config.configType.value;
  switch (typeNameOf(any)) {
    case 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext':
      return createServerTls(unpack(any, DownstreamTlsContextSchema, where), store, where);
    case 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer':
      return undefined;
    default:
      return unsupported(where, `the transport socket "${config.name}" (${typeNameOf(any) || 'without typed_config'}) is not supported`);
  }
}

function compileFilters(
  chain: FilterChain,
  listener: ListenerFacts,
  where: string,
  filters: NetworkFilters,
): Pick<ActiveChain, 'kind' | 'handler' | 'maxConnections' | 'guard'> {
  const guards: GuardFilter[] = [];
  const guard = guardOf(guards, filters.ask);
  let sniCluster = false;
  let sniForwardPort: number | undefined;
  let maxConnections: number | undefined;
  let counts: Any | undefined;
  for (const [index, filter] of chain.filters.entries()) {
    const place = `${where}.filters[${index}] "${filter.name}"`;
    if (filter.configType.case === 'configDiscovery') unsupported(`${place}.config_discovery`, 'not supported; give typed_config');
    const any = filter.configType.value;
    const context: ChainContext = { listener: listener.name, direction: directionOf(listener.trafficDirection), where: place, counts };
    const terminal = index === chain.filters.length - 1;
    const type = typeNameOf(any);
    if (type === STATS_FILTER) counts = any;
    if (OBSERVING_FILTERS.has(type)) continue;
    switch (type) {
      case HTTP_CONNECTION_MANAGER:
        if (!terminal) unsupported(place, 'a terminal filter must be the last of its chain');
        return { kind: 'http', handler: filters.http(any!, context), maxConnections, guard };
      case TCP_PROXY: {
        if (!terminal) unsupported(place, 'a terminal filter must be the last of its chain');
        const config = unpack(any, TcpProxySchema, place);
        return {
          kind: 'tcp',
          handler: filters.tcp(config, { sniCluster, sniForwardPort, binding: bindingOf(chain.metadata) }, context),
          maxConnections,
          guard,
        };
      }
      case RBAC:
        guards.push({ rbac: compileNetworkRbac(unpack(any, RBACSchema, place), place) });
        break;
      case NETWORK_EXT_AUTHZ:
        guards.push({ authorizer: filters.authorizer(any!, place) });
        break;
      case SNI_CLUSTER:
        sniCluster = true;
        break;
      case SNI_FORWARD_PROXY: {
        const { portSpecifier } = unpack(any, SniForwardProxySchema, place);
        sniForwardPort = portSpecifier.case === 'portValue' ? portSpecifier.value : 443;
        break;
      }
      case CONNECTION_LIMIT:
        maxConnections = Number(unpack(any, ConnectionLimitSchema, place).maxConnections ?? 0) || undefined;
        break;
      default:
        unsupported(place, `the network filter ${type || 'without typed_config'} is not supported`);
    }
  }
  return unsupported(`${where}.filters`, 'there is no terminal filter (http_connection_manager or tcp_proxy)');
}
