/** The types behind `Any`, for JSON and YAML forms of xDS. */
import type { DescFile, Registry } from '@bufbuild/protobuf';
import { createRegistry } from '@bufbuild/protobuf';
import { file_envoy_admin_v3_certs } from './gen/envoy/admin/v3/certs_pb.js';
import { file_envoy_admin_v3_clusters } from './gen/envoy/admin/v3/clusters_pb.js';
import { file_envoy_admin_v3_config_dump } from './gen/envoy/admin/v3/config_dump_pb.js';
import { file_envoy_admin_v3_config_dump_shared } from './gen/envoy/admin/v3/config_dump_shared_pb.js';
import { file_envoy_admin_v3_listeners } from './gen/envoy/admin/v3/listeners_pb.js';
import { file_envoy_admin_v3_server_info } from './gen/envoy/admin/v3/server_info_pb.js';
import { file_envoy_config_bootstrap_v3_bootstrap } from './gen/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { file_envoy_config_cluster_v3_cluster } from './gen/envoy/config/cluster/v3/cluster_pb.js';
import { file_envoy_config_endpoint_v3_endpoint } from './gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { file_envoy_config_listener_v3_listener } from './gen/envoy/config/listener/v3/listener_pb.js';
import { file_envoy_config_route_v3_route } from './gen/envoy/config/route/v3/route_pb.js';
import { file_envoy_config_trace_v3_opentelemetry } from './gen/envoy/config/trace/v3/opentelemetry_pb.js';
import { file_envoy_data_accesslog_v3_accesslog } from './gen/envoy/data/accesslog/v3/accesslog_pb.js';
import { file_envoy_extensions_access_loggers_file_v3_file } from './gen/envoy/extensions/access_loggers/file/v3/file_pb.js';
import { file_envoy_extensions_access_loggers_grpc_v3_als } from './gen/envoy/extensions/access_loggers/grpc/v3/als_pb.js';
import { file_envoy_extensions_access_loggers_stats_v3_stats } from './gen/envoy/extensions/access_loggers/stats/v3/stats_pb.js';
import { file_envoy_extensions_access_loggers_stream_v3_stream } from './gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js';
import { file_envoy_extensions_bootstrap_internal_listener_v3_internal_listener } from './gen/envoy/extensions/bootstrap/internal_listener/v3/internal_listener_pb.js';
import { file_envoy_extensions_clusters_dynamic_forward_proxy_v3_cluster } from './gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js';
import { file_envoy_extensions_common_dynamic_forward_proxy_v3_dns_cache } from './gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js';
import { file_envoy_extensions_compression_brotli_compressor_v3_brotli } from './gen/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.js';
import { file_envoy_extensions_compression_gzip_compressor_v3_gzip } from './gen/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js';
import { file_envoy_extensions_compression_zstd_compressor_v3_zstd } from './gen/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.js';
import { file_envoy_extensions_filters_common_fault_v3_fault } from './gen/envoy/extensions/filters/common/fault/v3/fault_pb.js';
import { file_envoy_extensions_filters_http_compressor_v3_compressor } from './gen/envoy/extensions/filters/http/compressor/v3/compressor_pb.js';
import { file_envoy_extensions_filters_http_cors_v3_cors } from './gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { file_envoy_extensions_filters_http_dynamic_forward_proxy_v3_dynamic_forward_proxy } from './gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js';
import { file_envoy_extensions_filters_http_ext_authz_v3_ext_authz } from './gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { file_envoy_extensions_filters_http_fault_v3_fault } from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { file_envoy_extensions_filters_http_jwt_authn_v3_config } from './gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { file_envoy_extensions_filters_http_local_ratelimit_v3_local_rate_limit } from './gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import { file_envoy_extensions_filters_http_ratelimit_v3_rate_limit } from './gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js';
import { file_envoy_extensions_filters_http_rbac_v3_rbac } from './gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { file_envoy_extensions_filters_http_router_v3_router } from './gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import { file_envoy_extensions_filters_http_set_filter_state_v3_set_filter_state } from './gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js';
import { file_envoy_extensions_filters_listener_http_inspector_v3_http_inspector } from './gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
import { file_envoy_extensions_filters_listener_original_dst_v3_original_dst } from './gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js';
import { file_envoy_extensions_filters_listener_proxy_protocol_v3_proxy_protocol } from './gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js';
import { file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector } from './gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import { file_envoy_extensions_filters_network_connection_limit_v3_connection_limit } from './gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js';
import { file_envoy_extensions_filters_network_ext_authz_v3_ext_authz } from './gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import { file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { file_envoy_extensions_filters_network_rbac_v3_rbac } from './gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { file_envoy_extensions_filters_network_sni_cluster_v3_sni_cluster } from './gen/envoy/extensions/filters/network/sni_cluster/v3/sni_cluster_pb.js';
import { file_envoy_extensions_filters_network_sni_dynamic_forward_proxy_v3_sni_dynamic_forward_proxy } from './gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js';
import { file_envoy_extensions_filters_network_tcp_proxy_v3_tcp_proxy } from './gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { file_envoy_extensions_load_balancing_policies_least_request_v3_least_request } from './gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js';
import { file_envoy_extensions_load_balancing_policies_maglev_v3_maglev } from './gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.js';
import { file_envoy_extensions_load_balancing_policies_random_v3_random } from './gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.js';
import { file_envoy_extensions_load_balancing_policies_ring_hash_v3_ring_hash } from './gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.js';
import { file_envoy_extensions_load_balancing_policies_round_robin_v3_round_robin } from './gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js';
import { file_envoy_extensions_path_match_uri_template_v3_uri_template_match } from './gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import { file_envoy_extensions_request_id_uuid_v3_uuid } from './gen/envoy/extensions/request_id/uuid/v3/uuid_pb.js';
import { file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts } from './gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js';
import { file_envoy_extensions_retry_priority_previous_priorities_v3_previous_priorities_config } from './gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js';
import { file_envoy_extensions_transport_sockets_internal_upstream_v3_internal_upstream } from './gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js';
import { file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer } from './gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
import { file_envoy_extensions_transport_sockets_tls_v3_secret } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { file_envoy_extensions_transport_sockets_tls_v3_tls } from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { file_envoy_extensions_upstreams_http_v3_http_protocol_options } from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { file_envoy_extensions_upstreams_tcp_generic_v3_generic_connection_pool } from './gen/envoy/extensions/upstreams/tcp/generic/v3/generic_connection_pool_pb.js';
import { file_envoy_service_discovery_v3_discovery } from './gen/envoy/service/discovery/v3/discovery_pb.js';
import { file_istio_alpn } from './gen/istio/alpn_pb.js';
import { file_istio_nds } from './gen/istio/nds_pb.js';
import { file_udpa_type_v1_typed_struct } from './gen/udpa/type/v1/typed_struct_pb.js';
import { file_xds_type_v3_typed_struct } from './gen/xds/type/v3/typed_struct_pb.js';

const ROOTS: readonly DescFile[] = [
  file_envoy_admin_v3_certs,
  file_envoy_admin_v3_clusters,
  file_envoy_admin_v3_config_dump,
  file_envoy_admin_v3_config_dump_shared,
  file_envoy_admin_v3_listeners,
  file_envoy_admin_v3_server_info,
  file_envoy_config_bootstrap_v3_bootstrap,
  file_envoy_config_cluster_v3_cluster,
  file_envoy_config_endpoint_v3_endpoint,
  file_envoy_config_listener_v3_listener,
  file_envoy_config_route_v3_route,
  file_envoy_config_trace_v3_opentelemetry,
  file_envoy_data_accesslog_v3_accesslog,
  file_envoy_extensions_access_loggers_file_v3_file,
  file_envoy_extensions_access_loggers_grpc_v3_als,
  file_envoy_extensions_access_loggers_stats_v3_stats,
  file_envoy_extensions_access_loggers_stream_v3_stream,
  file_envoy_extensions_bootstrap_internal_listener_v3_internal_listener,
  file_envoy_extensions_clusters_dynamic_forward_proxy_v3_cluster,
  file_envoy_extensions_common_dynamic_forward_proxy_v3_dns_cache,
  file_envoy_extensions_compression_brotli_compressor_v3_brotli,
  file_envoy_extensions_compression_gzip_compressor_v3_gzip,
  file_envoy_extensions_compression_zstd_compressor_v3_zstd,
  file_envoy_extensions_filters_common_fault_v3_fault,
  file_envoy_extensions_filters_http_compressor_v3_compressor,
  file_envoy_extensions_filters_http_cors_v3_cors,
  file_envoy_extensions_filters_http_dynamic_forward_proxy_v3_dynamic_forward_proxy,
  file_envoy_extensions_filters_http_ext_authz_v3_ext_authz,
  file_envoy_extensions_filters_http_fault_v3_fault,
  file_envoy_extensions_filters_http_jwt_authn_v3_config,
  file_envoy_extensions_filters_http_local_ratelimit_v3_local_rate_limit,
  file_envoy_extensions_filters_http_ratelimit_v3_rate_limit,
  file_envoy_extensions_filters_http_rbac_v3_rbac,
  file_envoy_extensions_filters_http_router_v3_router,
  file_envoy_extensions_filters_http_set_filter_state_v3_set_filter_state,
  file_envoy_extensions_filters_listener_http_inspector_v3_http_inspector,
  file_envoy_extensions_filters_listener_original_dst_v3_original_dst,
  file_envoy_extensions_filters_listener_proxy_protocol_v3_proxy_protocol,
  file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector,
  file_envoy_extensions_filters_network_connection_limit_v3_connection_limit,
  file_envoy_extensions_filters_network_ext_authz_v3_ext_authz,
  file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager,
  file_envoy_extensions_filters_network_rbac_v3_rbac,
  file_envoy_extensions_filters_network_sni_cluster_v3_sni_cluster,
  file_envoy_extensions_filters_network_sni_dynamic_forward_proxy_v3_sni_dynamic_forward_proxy,
  file_envoy_extensions_filters_network_tcp_proxy_v3_tcp_proxy,
  file_envoy_extensions_load_balancing_policies_least_request_v3_least_request,
  file_envoy_extensions_load_balancing_policies_maglev_v3_maglev,
  file_envoy_extensions_load_balancing_policies_random_v3_random,
  file_envoy_extensions_load_balancing_policies_ring_hash_v3_ring_hash,
  file_envoy_extensions_load_balancing_policies_round_robin_v3_round_robin,
  file_envoy_extensions_path_match_uri_template_v3_uri_template_match,
  file_envoy_extensions_request_id_uuid_v3_uuid,
  file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts,
  file_envoy_extensions_retry_priority_previous_priorities_v3_previous_priorities_config,
  file_envoy_extensions_transport_sockets_internal_upstream_v3_internal_upstream,
  file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer,
  file_envoy_extensions_transport_sockets_tls_v3_secret,
  file_envoy_extensions_transport_sockets_tls_v3_tls,
  file_envoy_extensions_upstreams_http_v3_http_protocol_options,
  file_envoy_extensions_upstreams_tcp_generic_v3_generic_connection_pool,
  file_envoy_service_discovery_v3_discovery,
  file_istio_alpn,
  file_istio_nds,
  file_udpa_type_v1_typed_struct,
  file_xds_type_v3_typed_struct,
];

/** The files and everything that they import, each once. */
function withImports(roots: readonly DescFile[]): DescFile[] {
  const found = new Set<DescFile>();
  const visit = (file: DescFile) => {
    if (found.has(file)) return;
    found.add(file);
    for (const dependency of file.dependencies) visit(dependency);
  };
  for (const file of roots) visit(file);
  return [...found];
}

/** Every message that the product speaks: what JSON needs to look into a `google.protobuf.Any`. It comes with all generated code: import it where it is needed. */
export const typeRegistry: Registry = createRegistry(...withImports(ROOTS));
