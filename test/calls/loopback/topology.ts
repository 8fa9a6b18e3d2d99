/** What the call table takes for granted: pods, Services, servers outside, DNS names. The same objects as in the lab in which it was recorded. */

export interface Pod {
  readonly name: string;
  readonly namespace: string;
  readonly ip: string;
  readonly kind: 'sidecar' | 'router' | 'none';
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Ports on which its application, an echo server, listens. */
  readonly appPorts: readonly number[];
}

function pod(
  name: string,
  namespace: string,
  ip: string,
  kind: Pod['kind'],
  labels: Record<string, string>,
  serviceAccount = name,
  appPorts: readonly number[] = [],
): Pod {
  return { name, namespace, ip, kind, labels, serviceAccount, appPorts };
}

export const PODS: readonly Pod[] = [
  pod('sleep', 'default', '10.244.1.10', 'sidecar', { app: 'sleep', version: 'v1' }),
  pod('other', 'other', '10.244.2.10', 'sidecar', { app: 'other', version: 'v1' }),
  pod('plain', 'legacy', '10.244.4.10', 'none', { app: 'plain' }),
  pod('httpbin', 'default', '10.244.1.20', 'sidecar', { app: 'httpbin', version: 'v1' }, 'httpbin', [8000, 9000]),
  pod('httpbin2', 'default', '10.244.1.21', 'sidecar', { app: 'httpbin', version: 'v2' }, 'httpbin', [8000, 9000]),
  pod('egress', 'istio-system', '10.244.3.10', 'router', { app: 'istio-egressgateway', istio: 'egressgateway' }, 'istio-egressgateway'),
  pod('ingress', 'istio-system', '10.244.3.20', 'router', { app: 'istio-ingressgateway', istio: 'ingressgateway' }, 'istio-ingressgateway'),
];

/** Where the outside client calls from. */
export const OUTSIDE_IP = '198.51.100.1';

export interface LabService {
  readonly name: string;
  readonly namespace: string;
  readonly clusterIp: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: number }[];
}

const GATEWAY_PORTS = [
  { name: 'http2', port: 80, targetPort: 8080 },
  { name: 'https', port: 443, targetPort: 8443 },
  { name: 'tls', port: 15443, targetPort: 15443 },
  { name: 'tcp-redis', port: 6379, targetPort: 6379 },
  { name: 'tcp', port: 31400, targetPort: 31400 },
];

export const SERVICES: readonly LabService[] = [
  {
    name: 'httpbin',
    namespace: 'default',
    clusterIp: '10.96.1.20',
    selector: { app: 'httpbin' },
    ports: [
      { name: 'http', port: 8000, targetPort: 8000 },
      { name: 'tcp-echo', port: 9000, targetPort: 9000 },
    ],
  },
  {
    name: 'istio-egressgateway',
    namespace: 'istio-system',
    clusterIp: '10.96.3.10',
    selector: { istio: 'egressgateway' },
    ports: GATEWAY_PORTS,
  },
  {
    name: 'istio-ingressgateway',
    namespace: 'istio-system',
    clusterIp: '10.96.3.20',
    selector: { istio: 'ingressgateway' },
    ports: GATEWAY_PORTS,
  },
];

export interface OutsideServer {
  readonly ip: string;
  readonly name: string;
  readonly hosts: readonly string[];
}

const outside = (ip: string, name: string, ...hosts: string[]): OutsideServer => ({ ip, name, hosts });

export const OUTSIDE: readonly OutsideServer[] = [
  outside('198.51.100.10', 'www', 'www.example.com', 'example.com'),
  outside('198.51.100.11', 'api', 'api.example.com'),
  outside('198.51.100.12', 'cdn', 'cdn.example.com'),
  outside('198.51.100.13', 'secure', 'secure.example.com'),
  outside('198.51.100.14', 'org', 'www.example.org', 'example.org'),
  outside('198.51.100.30', 'mtls', 'mtls.example.com'),
  outside('198.51.100.31', 'private', 'private.example.com'),
  outside('198.51.100.97', 'anytest'),
  outside('198.51.100.98', 'anyorg'),
  outside('198.51.100.99', 'anycom'),
  outside('203.0.113.6', 'redis', 'redis.example.com'),
  outside('203.0.113.61', 'redis-a', 'redis-a.example.com'),
  outside('203.0.113.62', 'redis-b', 'redis-b.example.com'),
  outside('203.0.113.9', 'tcp', 'tcp.example.com'),
  outside('203.0.113.21', 's1', 's1.example.com', 'multi.example.com'),
  outside('203.0.113.22', 's2', 's2.example.com', 'multi.example.com'),
  outside('203.0.113.23', 's3', 's3.example.com', 'multi.example.com'),
];

/** The server whose TLS ports demand a client certificate. */
export const MUTUAL_TLS_SERVER = 'mtls';
export const OUTSIDE_PORTS = { http: [80, 8080, 8000], https: [443, 8443], redis: [6379, 6380], tcp: [9000, 9001, 9002] } as const;
/** A TCP server that speaks first. */
export const BANNER_PORT = 9002;
/** Connections to it are neither taken nor refused. */
export const BLACKHOLE_IP = '203.0.113.250';

/** Domains whose every other name resolves, and to which server. */
const CATCH_ALL = { 'example.com': '198.51.100.99', 'example.org': '198.51.100.98', test: '198.51.100.97' } as const;
/** Domains for which the servers hold a wildcard certificate. */
export const CERTIFIED_DOMAINS = ['example.com', 'example.org', 'lab.test'];

/** Addresses of a name as the lab's DNS has them; empty if it does not exist. */
export function resolveName(text: string): readonly string[] {
  const name = text.toLowerCase().replace(/\.$/, '');
  if (name === 'blackhole.example.com') return [BLACKHOLE_IP];
  const known = OUTSIDE.filter((server) => server.hosts.includes(name)).map((server) => server.ip);
  if (known.length > 0) return known;
  const service = SERVICES.find((each) => name === `${each.name}.${each.namespace}.svc.cluster.local`);
  if (service !== undefined) return [service.clusterIp];
  for (const [domain, ip] of Object.entries(CATCH_ALL)) if (name === domain || name.endsWith(`.${domain}`)) return [ip];
  return [];
}

/** A name as an application in a pod resolves it: short names of Services by the pod's search domains. */
export function resolveInPod(name: string, namespace: string | undefined): readonly string[] {
  const direct = resolveName(name);
  if (direct.length > 0 || namespace === undefined || name.endsWith('.')) return direct;
  for (const suffix of [`${namespace}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local']) {
    const found = resolveName(`${name}.${suffix}`);
    if (found.length > 0) return found;
  }
  return [];
}

export function podsOf(service: LabService): Pod[] {
  const selected = (each: Pod) => Object.entries(service.selector).every(([key, value]) => each.labels[key] === value);
  return PODS.filter((each) => each.namespace === service.namespace && selected(each));
}

/** Names of who called, as the echo servers' records have them. */
export const SOURCES: ReadonlyMap<string, string> = new Map([
  ...PODS.map((each) => [each.ip, each.name] as const),
  [OUTSIDE_IP, 'ext'],
  ['127.0.0.6', 'own-sidecar'],
  ['127.0.0.1', 'localhost'],
]);

/** MeshConfig of every case, beneath the case's own. */
export const MESH = {
  accessLogFile: '/dev/stdout',
  accessLogEncoding: 'JSON',
  accessLogFormat: JSON.stringify({
    t: '%START_TIME(%s.%6f)%',
    method: '%REQ(:METHOD)%',
    path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
    authority: '%REQ(:AUTHORITY)%',
    protocol: '%PROTOCOL%',
    code: '%RESPONSE_CODE%',
    flags: '%RESPONSE_FLAGS%',
    details: '%RESPONSE_CODE_DETAILS%',
    cluster: '%UPSTREAM_CLUSTER_RAW%',
    upstream: '%UPSTREAM_HOST%',
    route: '%ROUTE_NAME%',
    sni: '%REQUESTED_SERVER_NAME%',
    attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
    peer: '%DOWNSTREAM_PEER_URI_SAN%',
    tls_error: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  }),
  outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
  defaultProviders: { metrics: [] },
  enablePrometheusMerge: false,
};
