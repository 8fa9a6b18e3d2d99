import type { Protocol } from './model.ts';

const PROTOCOLS: ReadonlyMap<string, Protocol> = new Map(
  Object.entries({
    http: 'HTTP',
    http2: 'HTTP2',
    grpc: 'GRPC',
    'grpc-web': 'GRPC-Web',
    // Requests to a proxy are read as those to any other server.
    http_proxy: 'HTTP',
    https: 'HTTPS',
    tls: 'TLS',
    tcp: 'TCP',
    mongo: 'Mongo',
    mysql: 'MySQL',
    redis: 'Redis',
    udp: 'UDP',
  } as const satisfies Record<string, Protocol>),
);

/** What Kubernetes itself calls protocols in `appProtocol`. */
const KUBERNETES_PROTOCOLS: ReadonlyMap<string, Protocol> = new Map([
  ['kubernetes.io/h2c', 'HTTP2'],
  ['kubernetes.io/ws', 'HTTP'],
  ['kubernetes.io/wss', 'HTTPS'],
]);

/** Ports on which the server speaks first, so that sniffing would hang: TCP unless the port says otherwise. SMTP, DNS, MySQL, MongoDB. */
const SERVER_FIRST_PORTS: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/** The protocol that `protocol` or `appProtocol` names, in any case. The proxy sniffs if it is unknown or missing. */
export function parseProtocol(name: string | undefined): Protocol {
  return PROTOCOLS.get(name?.toLowerCase() ?? '') ?? 'Unsupported';
}

/** The protocol of a Kubernetes Service port: UDP, or what `appProtocol` says or, where there is none, the name: each up to its first `-`. */
export function kubernetesProtocol(port: { port: number; name?: string; protocol?: string; appProtocol?: string }): Protocol {
  if (port.protocol === 'UDP') return 'UDP';
  const known = KUBERNETES_PROTOCOLS.get(port.appProtocol ?? '');
  if (known) return known;
  const name = (port.appProtocol ?? port.name ?? '').toLowerCase();
  // The only protocol whose name holds a dash.
  if (name.startsWith('grpc-web')) return 'GRPC-Web';
  const named = parseProtocol(name.split('-', 1)[0]);
  if (named === 'Unsupported' && SERVER_FIRST_PORTS.has(port.port)) return 'TCP';
  return named;
}

/** Requests that a route can tell apart. */
export function isHttp(protocol: Protocol): boolean {
  return protocol === 'HTTP' || protocol === 'HTTP2' || protocol === 'GRPC' || protocol === 'GRPC-Web';
}

/** HTTP that is spoken to the upstream as HTTP/2. GRPC-Web is HTTP/2 too: the filter turns it into gRPC. */
export function isHttp2(protocol: Protocol): boolean {
  return protocol === 'HTTP2' || protocol === 'GRPC' || protocol === 'GRPC-Web';
}

/** TLS that passes through by its SNI. */
export function isTls(protocol: Protocol): boolean {
  return protocol === 'HTTPS' || protocol === 'TLS';
}

/** Ports whose bytes the proxy forwards without reading them. That includes databases, because their filters are not in the chain. */
export function isTcp(protocol: Protocol): boolean {
  return protocol === 'TCP' || protocol === 'Mongo' || protocol === 'MySQL' || protocol === 'Redis';
}
