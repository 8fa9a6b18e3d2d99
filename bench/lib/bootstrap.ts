/** The one Envoy bootstrap on which both Envoy and Sallyport run. */
import type { Burden } from './burdens.ts';

export interface BootstrapOptions {
  /** Listens here for HTTP and proxies to `upstreamPort`. */
  readonly httpPort: number;
  readonly tlsOriginationPort?: number;
  readonly tcpPort?: number;
  /** Listens here for HTTP and proxies over HTTP/2 to `upstreamHttp2Port`. */
  readonly http2Port?: number;
  readonly upstreamHttp2Port?: number;
  /** Listens here for HTTP over TLS, with this certificate, and proxies to `upstreamPort`. */
  readonly termination?: { readonly port: number; readonly handshakes: number; readonly certificate: string; readonly key: string };
  /** Listeners for HTTP that proxy to `upstreamPort`, each with something more to do. */
  readonly burdens?: readonly { readonly port: number; readonly burden: Burden }[];
  readonly upstreamPort: number;
  readonly upstreamTlsPort?: number;
  readonly upstreamCa?: string;
  readonly adminPort: number;
  readonly accessLog: string;
}

/** Istio's default text format. */
const ACCESS_LOG_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% ' +
  '%CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" ' +
  '"%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ' +
  '%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function accessLog(path: string): object[] {
  const log_format = { text_format_source: { inline_string: ACCESS_LOG_FORMAT } };
  return [
    {
      name: 'envoy.access_loggers.file',
      typed_config: { '@type': `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`, path, log_format },
    },
  ];
}

const ROUTER = { name: 'envoy.filters.http.router', typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` } };

interface HttpListener {
  readonly name: string;
  readonly port: number;
  readonly cluster: string;
  readonly log: string;
  readonly burden?: Burden;
  readonly transportSocket?: object;
  /** Where routes come from, in place of one to the cluster. */
  readonly routesFrom?: object;
}

function httpListener({ name, port, cluster, log, burden, transportSocket, routesFrom }: HttpListener): object {
  const { route: { route: action, ...operations } = {}, otherHosts = 0, filters = [] } = burden ?? {};
  const routes = [{ name: 'default', match: { prefix: '/' }, route: { cluster, timeout: '0s', ...action }, ...operations }];
  const others = Array.from({ length: otherHosts }, (_, i) => {
    const host = `host-${i}.example.com`;
    return { name: `${host}:80`, domains: [host, `${host}:80`], routes: [{ name: 'default', match: { prefix: '/' }, route: { cluster } }] };
  });
  const typed_config = {
    '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    access_log: accessLog(log),
    use_remote_address: true,
    ...(routesFrom ? { rds: routesFrom } : { route_config: { name, virtual_hosts: [...others, { name: 'any', domains: ['*'], routes }] } }),
    http_filters: [...filters, ROUTER],
  };
  const chain = { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config }] };
  return {
    name,
    address: address(port),
    filter_chains: [transportSocket === undefined ? chain : { ...chain, transport_socket: transportSocket }],
  };
}

function terminating(certificate: string, key: string, more: object = {}): object {
  const tls_certificates = [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }];
  const typed_config = {
    '@type': `${EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: { alpn_protocols: ['http/1.1'], tls_certificates },
    ...more,
  };
  return { name: 'envoy.transport_sockets.tls', typed_config };
}

function tcpListener(name: string, port: number, cluster: string, log: string): object {
  const typed_config = {
    '@type': `${EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy`,
    stat_prefix: name,
    cluster,
    access_log: accessLog(log),
  };
  return { name, address: address(port), filter_chains: [{ filters: [{ name: 'envoy.filters.network.tcp_proxy', typed_config }] }] };
}

function staticCluster(name: string, port: number, more: object = {}): object {
  const thresholds = [{ max_connections: 100_000, max_pending_requests: 100_000, max_requests: 100_000 }];
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    circuit_breakers: { thresholds },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }] },
    ...more,
  };
}

export function bootstrap(options: BootstrapOptions): string {
  const {
    httpPort,
    http2Port,
    tlsOriginationPort,
    tcpPort,
    upstreamPort,
    upstreamTlsPort,
    upstreamCa,
    adminPort,
    termination,
    burdens = [],
    accessLog: log,
  } = options;
  const listeners = [httpListener({ name: 'http', port: httpPort, cluster: 'upstream', log })];
  const clusters = [staticCluster('upstream', upstreamPort)];
  if (termination) {
    const { port, handshakes, certificate, key } = termination;
    const none = { disable_stateless_session_resumption: true, disable_stateful_session_resumption: true };
    const common = { cluster: 'upstream', log };
    listeners.push(httpListener({ ...common, name: 'termination', port, transportSocket: terminating(certificate, key) }));
    listeners.push(httpListener({ ...common, name: 'handshakes', port: handshakes, transportSocket: terminating(certificate, key, none) }));
  }
  for (const { port, burden } of burdens) listeners.push(httpListener({ name: burden.name, port, cluster: 'upstream', log, burden }));
  if (tcpPort !== undefined) listeners.push(tcpListener('tcp', tcpPort, 'upstream', log));
  if (http2Port !== undefined) {
    const typed_extension_protocol_options = {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    };
    listeners.push(httpListener({ name: 'http2', port: http2Port, cluster: 'upstream_http2', log }));
    clusters.push(staticCluster('upstream_http2', options.upstreamHttp2Port!, { typed_extension_protocol_options }));
  }
  if (tlsOriginationPort !== undefined) {
    listeners.push(httpListener({ name: 'tls', port: tlsOriginationPort, cluster: 'upstream_tls', log }));
    const typed_config = {
      '@type': `${EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext`,
      sni: 'upstream.test',
      common_tls_context: {
        validation_context: {
          trusted_ca: { filename: upstreamCa },
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'upstream.test' } }],
        },
      },
    };
    clusters.push(
      staticCluster('upstream_tls', upstreamTlsPort!, { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config } }),
    );
  }
  return JSON.stringify({ admin: { address: address(adminPort) }, static_resources: { listeners, clusters } }, undefined, 1);
}

const RESOURCES = { cds: 'config.cluster.v3.Cluster', rds: 'config.route.v3.RouteConfiguration' } as const;
const ROUTE_NAME = 'soak';

/** The files that `soakBootstrap` reads, by name: each version has other routes, and every tenth another cluster; the one
 * before stays, as routes are read a moment later. */
export function soakResources(version: number, upstreamPort: number): Readonly<Record<string, string>> {
  const generation = Math.floor(version / 10);
  const cluster = `upstream-${generation}`;
  const others = Array.from({ length: 50 }, (_, i) => {
    const host = `host-${i}.example.com`;
    const match = { prefix: `/version-${version}/` };
    return { name: host, domains: [host], routes: [{ match, route: { cluster } }] };
  });
  const routes = [
    { match: { prefix: '/' }, route: { cluster, timeout: '5s', retry_policy: { retry_on: 'unavailable', num_retries: version % 3 } } },
  ];
  const file = (kind: keyof typeof RESOURCES, ...own: object[]) => {
    const resources = own.map((each) => ({ '@type': `type.googleapis.com/envoy.${RESOURCES[kind]}`, ...each }));
    return JSON.stringify({ version_info: String(version), resources });
  };
  return {
    'cds.json': file('cds', staticCluster(`upstream-${generation - 1}`, upstreamPort), staticCluster(cluster, upstreamPort)),
    'rds.json': file('rds', { name: ROUTE_NAME, virtual_hosts: [...others, { name: 'any', domains: ['*'], routes }] }),
  };
}

/** A bootstrap whose clusters and routes come from files of a folder. */
export function soakBootstrap(folder: string, ports: { readonly http: number; readonly admin: number }, log: string): string {
  const source = (file: string) => ({
    path_config_source: { path: `${folder}/${file}`, watched_directory: { path: folder } },
    resource_api_version: 'V3',
  });
  const listener = httpListener({
    name: 'http',
    port: ports.http,
    cluster: '',
    log,
    routesFrom: { route_config_name: ROUTE_NAME, config_source: source('rds.json') },
  });
  return JSON.stringify({
    node: { id: 'soak', cluster: 'soak' },
    admin: { address: address(ports.admin) },
    dynamic_resources: { cds_config: source('cds.json') },
    static_resources: { listeners: [listener] },
  });
}
