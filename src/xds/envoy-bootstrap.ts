/** The bootstrap of a stock Envoy that has everything from a control plane over ADS (envoy/config/bootstrap/v3/bootstrap.proto). */
import { isIP } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import type { SocketAddress } from '../lib/socket-address.ts';
import { type NodeJson, TAKES_VIRTUAL_HOSTS } from './node.ts';

export interface EnvoyBootstrapOptions {
  readonly node: NodeJson;
  /** Where Envoy's admin server listens. */
  readonly admin: SocketAddress | UnixSocket;
  /** The control plane, by IP address or name; or what stands for it on this machine. */
  readonly xds: SocketAddress | UnixSocket;
  readonly protocol: 'sotw' | 'delta';
  /** Undefined for plaintext. */
  readonly tls: EnvoyTls | undefined;
}

export interface UnixSocket {
  readonly path: string;
}

/** PEM files, by paths that Envoy reads. */
export interface EnvoyTls {
  /** Whom to trust. */
  readonly ca: string;
  /** A name that the control plane's certificate has to have. */
  readonly serverName: string;
  /** Of this proxy; without it, it does not prove who it is. */
  readonly own?: { readonly certificate: string; readonly key: string };
}

/** Of the cluster that is the control plane. */
export const CONTROL_PLANE_CLUSTER = 'xds';
/** What Istio's own bootstrap sets. */
const RUNTIME = {
  'overload.global_downstream_max_connections': '2147483647',
  're2.max_program_size.error_level': '32768',
  'envoy.reloadable_features.http_reject_path_with_fragment': false,
};
/** What is changed at the admin endpoint, where that is this process's alone. */
const ADMIN_LAYER = { name: 'admin', admin_layer: {} };
const HTTP = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const INTERNAL_LISTENER = 'envoy.extensions.bootstrap.internal_listener.v3.InternalListener';
const TLS_CONTEXT = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';

export function envoyBootstrap({ node, admin, xds, protocol, tls }: EnvoyBootstrapOptions): JsonObject {
  // Without an end to waiting: with nothing from the control plane Envoy is not ready.
  const ads = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };
  return {
    node: { ...node, metadata: { ...node.metadata, [TAKES_VIRTUAL_HOSTS]: 'true' } },
    admin: { address: addressOf(admin) },
    dynamic_resources: {
      ads_config: {
        api_type: protocol === 'delta' ? 'DELTA_GRPC' : 'GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: CONTROL_PLANE_CLUSTER } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    // Hosts behind a forward proxy are reached by way of internal listeners.
    bootstrap_extensions: [
      { name: 'envoy.bootstrap.internal_listener', typed_config: { '@type': `type.googleapis.com/${INTERNAL_LISTENER}` } },
    ],
    static_resources: { clusters: [controlPlane(xds, tls)] },
    layered_runtime: { layers: [{ name: 'static', static_layer: RUNTIME }, ...('path' in admin ? [ADMIN_LAYER] : [])] },
  };
}

function controlPlane(xds: SocketAddress | UnixSocket, tls: EnvoyTls | undefined): JsonObject {
  return {
    name: CONTROL_PLANE_CLUSTER,
    type: 'path' in xds || isIP(xds.address) ? 'STATIC' : 'STRICT_DNS',
    connect_timeout: '5s',
    // A control plane that is gone without a word is missed.
    typed_extension_protocol_options: {
      [HTTP]: {
        '@type': `type.googleapis.com/${HTTP}`,
        explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '20s' } } },
      },
    },
    ...(tls ? { transport_socket: transportSocket(tls) } : {}),
    load_assignment: {
      cluster_name: CONTROL_PLANE_CLUSTER,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(xds) } }] }],
    },
  };
}

function transportSocket({ ca, serverName, own }: EnvoyTls): JsonObject {
  const certificates = own && {
    tls_certificates: [{ certificate_chain: { filename: own.certificate }, private_key: { filename: own.key } }],
  };
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `type.googleapis.com/${TLS_CONTEXT}`,
      sni: serverName,
      common_tls_context: {
        alpn_protocols: ['h2'],
        ...certificates,
        validation_context: {
          trusted_ca: { filename: ca },
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: serverName } }],
        },
      },
    },
  };
}

function addressOf(given: SocketAddress | UnixSocket): JsonObject {
  // A socket that Envoy makes is for this user alone, whatever the umask.
  if ('path' in given) return { pipe: { path: given.path, mode: 0o600 } };
  return { socket_address: { address: given.address, port_value: given.port } };
}
