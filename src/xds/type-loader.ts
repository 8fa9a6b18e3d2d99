/**
 * The message types that stand in `Any` fields, loaded as they come up: all of them together take a few hundred milliseconds, and most
 * configurations have few. For everything at once see type-registry.ts.
 */
import { createRegistry, type DescFile, type JsonValue, type Registry } from '@bufbuild/protobuf';
import {
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_struct,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt';

/** The generated files of a package. */
const PACKAGES: Readonly<Record<string, () => Promise<readonly DescFile[]>>> = {
  'envoy.config.cluster.v3': async () => [
    (await import('./gen/envoy/config/cluster/v3/cluster_pb.js')).file_envoy_config_cluster_v3_cluster,
  ],
  'envoy.config.endpoint.v3': async () => [
    (await import('./gen/envoy/config/endpoint/v3/endpoint_pb.js')).file_envoy_config_endpoint_v3_endpoint,
  ],
  'envoy.config.listener.v3': async () => [
    (await import('./gen/envoy/config/listener/v3/listener_pb.js')).file_envoy_config_listener_v3_listener,
  ],
  'envoy.config.route.v3': async () => [(await import('./gen/envoy/config/route/v3/route_pb.js')).file_envoy_config_route_v3_route],
  'envoy.extensions.access_loggers.file.v3': async () => [
    (await import('./gen/envoy/extensions/access_loggers/file/v3/file_pb.js')).file_envoy_extensions_access_loggers_file_v3_file,
  ],
  'envoy.extensions.access_loggers.stream.v3': async () => [
    (await import('./gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js')).file_envoy_extensions_access_loggers_stream_v3_stream,
  ],
  'envoy.extensions.clusters.dynamic_forward_proxy.v3': async () => [
    (await import('./gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js'))
      .file_envoy_extensions_clusters_dynamic_forward_proxy_v3_cluster,
  ],
  'envoy.extensions.common.dynamic_forward_proxy.v3': async () => [
    (await import('./gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js'))
      .file_envoy_extensions_common_dynamic_forward_proxy_v3_dns_cache,
  ],
  'envoy.extensions.filters.common.fault.v3': async () => [
    (await import('./gen/envoy/extensions/filters/common/fault/v3/fault_pb.js')).file_envoy_extensions_filters_common_fault_v3_fault,
  ],
  'envoy.extensions.filters.http.cors.v3': async () => [
    (await import('./gen/envoy/extensions/filters/http/cors/v3/cors_pb.js')).file_envoy_extensions_filters_http_cors_v3_cors,
  ],
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3': async () => [
    (await import('./gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js'))
      .file_envoy_extensions_filters_http_dynamic_forward_proxy_v3_dynamic_forward_proxy,
  ],
  'envoy.extensions.filters.http.fault.v3': async () => [
    (await import('./gen/envoy/extensions/filters/http/fault/v3/fault_pb.js')).file_envoy_extensions_filters_http_fault_v3_fault,
  ],
  'envoy.extensions.filters.http.jwt_authn.v3': async () => [
    (await import('./gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js')).file_envoy_extensions_filters_http_jwt_authn_v3_config,
  ],
  'envoy.extensions.filters.http.rbac.v3': async () => [
    (await import('./gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js')).file_envoy_extensions_filters_http_rbac_v3_rbac,
  ],
  'envoy.extensions.filters.http.router.v3': async () => [
    (await import('./gen/envoy/extensions/filters/http/router/v3/router_pb.js')).file_envoy_extensions_filters_http_router_v3_router,
  ],
  'envoy.extensions.filters.http.set_filter_state.v3': async () => [
    (await import('./gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js'))
      .file_envoy_extensions_filters_http_set_filter_state_v3_set_filter_state,
  ],
  'envoy.extensions.filters.listener.http_inspector.v3': async () => [
    (await import('./gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js'))
      .file_envoy_extensions_filters_listener_http_inspector_v3_http_inspector,
  ],
  'envoy.extensions.filters.listener.original_dst.v3': async () => [
    (await import('./gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js'))
      .file_envoy_extensions_filters_listener_original_dst_v3_original_dst,
  ],
  'envoy.extensions.filters.listener.proxy_protocol.v3': async () => [
    (await import('./gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js'))
      .file_envoy_extensions_filters_listener_proxy_protocol_v3_proxy_protocol,
  ],
  'envoy.extensions.filters.listener.tls_inspector.v3': async () => [
    (await import('./gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js'))
      .file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector,
  ],
  'envoy.extensions.filters.network.connection_limit.v3': async () => [
    (await import('./gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js'))
      .file_envoy_extensions_filters_network_connection_limit_v3_connection_limit,
  ],
  'envoy.extensions.filters.network.http_connection_manager.v3': async () => [
    (await import('./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'))
      .file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager,
  ],
  'envoy.extensions.filters.network.rbac.v3': async () => [
    (await import('./gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js')).file_envoy_extensions_filters_network_rbac_v3_rbac,
  ],
  'envoy.extensions.filters.network.sni_cluster.v3': async () => [
    (await import('./gen/envoy/extensions/filters/network/sni_cluster/v3/sni_cluster_pb.js'))
      .file_envoy_extensions_filters_network_sni_cluster_v3_sni_cluster,
  ],
  'envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3': async () => [
    (await import('./gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js'))
      .file_envoy_extensions_filters_network_sni_dynamic_forward_proxy_v3_sni_dynamic_forward_proxy,
  ],
  'envoy.extensions.filters.network.tcp_proxy.v3': async () => [
    (await import('./gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js'))
      .file_envoy_extensions_filters_network_tcp_proxy_v3_tcp_proxy,
  ],
  'envoy.extensions.load_balancing_policies.least_request.v3': async () => [
    (await import('./gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js'))
      .file_envoy_extensions_load_balancing_policies_least_request_v3_least_request,
  ],
  'envoy.extensions.load_balancing_policies.maglev.v3': async () => [
    (await import('./gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.js'))
      .file_envoy_extensions_load_balancing_policies_maglev_v3_maglev,
  ],
  'envoy.extensions.load_balancing_policies.random.v3': async () => [
    (await import('./gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.js'))
      .file_envoy_extensions_load_balancing_policies_random_v3_random,
  ],
  'envoy.extensions.load_balancing_policies.ring_hash.v3': async () => [
    (await import('./gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.js'))
      .file_envoy_extensions_load_balancing_policies_ring_hash_v3_ring_hash,
  ],
  'envoy.extensions.load_balancing_policies.round_robin.v3': async () => [
    (await import('./gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js'))
      .file_envoy_extensions_load_balancing_policies_round_robin_v3_round_robin,
  ],
  'envoy.extensions.retry.host.previous_hosts.v3': async () => [
    (await import('./gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js'))
      .file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts,
  ],
  'envoy.extensions.retry.priority.previous_priorities.v3': async () => [
    (await import('./gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js'))
      .file_envoy_extensions_retry_priority_previous_priorities_v3_previous_priorities_config,
  ],
  'envoy.extensions.transport_sockets.raw_buffer.v3': async () => [
    (await import('./gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js'))
      .file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer,
  ],
  'envoy.extensions.transport_sockets.tls.v3': async () => [
    (await import('./gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js')).file_envoy_extensions_transport_sockets_tls_v3_secret,
    (await import('./gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js')).file_envoy_extensions_transport_sockets_tls_v3_tls,
  ],
  'envoy.extensions.upstreams.http.v3': async () => [
    (await import('./gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js'))
      .file_envoy_extensions_upstreams_http_v3_http_protocol_options,
  ],
  'envoy.extensions.upstreams.tcp.generic.v3': async () => [
    (await import('./gen/envoy/extensions/upstreams/tcp/generic/v3/generic_connection_pool_pb.js'))
      .file_envoy_extensions_upstreams_tcp_generic_v3_generic_connection_pool,
  ],
};

const WELL_KNOWN: readonly DescFile[] = [
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_struct,
  file_google_protobuf_wrappers,
];

export class TypeLoader {
  /** The types that were loaded. */
  registry: Registry = createRegistry(...WELL_KNOWN);
  readonly #files = new Set<DescFile>(WELL_KNOWN);

  /** Loads the types that an xDS message in JSON names. One that does not exist stays unknown: decoding then says so. */
  async load(value: JsonValue): Promise<void> {
    const packages = new Set<string>();
    collect(value, packages);
    const before = this.#files.size;
    for (const name of packages) {
      const known = PACKAGES[name];
      if (known) for (const file of await known()) this.#files.add(file);
    }
    if (this.#files.size > before) this.registry = createRegistry(...this.#files);
  }
}

/** The packages of the types under `@type`. */
function collect(value: JsonValue, packages: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collect(item, packages);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (key === '@type' && typeof inner === 'string') packages.add(inner.slice(inner.lastIndexOf('/') + 1, inner.lastIndexOf('.')));
      else collect(inner, packages);
    }
  }
}
