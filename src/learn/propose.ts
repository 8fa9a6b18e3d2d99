/** The resources that let exactly what was observed through the egress gateway, and nothing else. Pure. */
import type { Observed } from './observed.ts';

export interface ProposeOptions {
  /** Where the resources go. */
  readonly namespace: string;
  /** A wildcard stands for names from this number on that share a suffix, port and protocol. */
  readonly wildcardAfter: number;
}

/** A resource, and what to say above it. */
export interface Proposed {
  readonly comments: readonly string[];
  readonly resource: object;
}

/** Hosts of one name or wildcard, on one port. */
interface Destination {
  readonly host: string;
  readonly port: number;
  readonly protocol: Observed['protocol'];
  readonly originatedAt: number | undefined;
  readonly observed: readonly Observed[];
}

const GATEWAY_NAMESPACE = 'istio-system';
const GATEWAY_HOST = `istio-egressgateway.${GATEWAY_NAMESPACE}.svc.cluster.local`;
const TCP_SERVICE = 'istio-egressgateway-learned';
const SELECTOR = { istio: 'egressgateway' };
const GATEWAY = 'learned-egress';
/** Ports of the gateway for what carries no name that it could tell hosts apart by. */
const FIRST_TCP_PORT = 17_000;

/** One ServiceEntry and one VirtualService for each host, a Gateway for all, and what TLS origination and TCP need besides. */
export function propose(observed: readonly Observed[], { namespace, wildcardAfter }: ProposeOptions): Proposed[] {
  const hosts = Map.groupBy(destinationsOf(observed, wildcardAfter), ({ host }) => host);
  const http: string[] = [];
  const tls: string[] = [];
  /** `host port` → the gateway's port. */
  const tcp = new Map<string, number>();
  for (const [host, destinations] of hosts) {
    const named = destinations.filter(({ protocol }) => protocol === 'TLS');
    if (destinations.some(({ protocol }) => protocol === 'HTTP')) http.push(host);
    if (named.length > 0) tls.push(host);
    // By SNI alone a gateway tells one port of a host, and TCP has no name at all.
    for (const { port } of [...named.slice(1), ...destinations.filter(({ protocol }) => protocol === 'TCP')])
      tcp.set(`${host} ${port}`, FIRST_TCP_PORT + tcp.size);
  }
  if (hosts.size === 0) return [];
  const object = (kind: string, name: string, spec: object, inNamespace = namespace) => ({
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name, namespace: inNamespace },
    spec,
  });
  const proposed: Proposed[] = [...hosts].flatMap(([host, destinations]) => {
    const name = nameOf(host);
    const entry = object('ServiceEntry', name, serviceEntry(host, destinations));
    const routes = object('VirtualService', `${name}-through-egress`, virtualService(host, destinations, tcp));
    const originated = destinations.filter(({ originatedAt }) => originatedAt !== undefined).map(({ port }) => port);
    const rule = object('DestinationRule', `${name}-tls`, destinationRule(host, originated), GATEWAY_NAMESPACE);
    return [
      { comments: destinations.flatMap(commentsOf), resource: entry },
      { comments: [], resource: routes },
      ...(originated.length > 0 ? [{ comments: ['TLS originated by the gateway; the CAs of its machine count.'], resource: rule }] : []),
    ];
  });
  const gateway = object('Gateway', GATEWAY, { selector: SELECTOR, servers: servers(http, tls, tcp) });
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: TCP_SERVICE, namespace: GATEWAY_NAMESPACE },
    spec: { selector: SELECTOR, ports: [...tcp.values()].map((port) => ({ name: `tcp-${port}`, port, targetPort: port })) },
  };
  return [
    { comments: [], resource: gateway },
    ...(tcp.size > 0 ? [{ comments: ['Ports of the gateway for what carries no host name.'], resource: service }] : []),
    ...proposed,
  ];
}

/** Each host and port, or the wildcard that stands for many of them. */
function destinationsOf(observed: readonly Observed[], wildcardAfter: number): Destination[] {
  const families = Map.groupBy(onePerPort(observed), (one) => {
    const suffix = one.host.slice(one.host.indexOf('.') + 1);
    const shared = !isAddress(one.host) && one.protocol !== 'TCP' && one.originatedAt === undefined && suffix.includes('.');
    return shared ? `${suffix} ${one.port} ${one.protocol}` : '';
  });
  const destinations: Destination[] = [];
  for (const [family, members] of families) {
    const [first] = members as [Destination];
    if (family !== '' && members.length >= wildcardAfter) {
      const seen = members.flatMap((member) => member.observed);
      destinations.push({ ...first, host: `*${first.host.slice(first.host.indexOf('.'))}`, observed: seen });
    } else destinations.push(...members);
  }
  return destinations.sort((a, b) => (a.host === b.host ? a.port - b.port : a.host < b.host ? -1 : 1));
}

/** A port of a host has one protocol: where several were spoken, bytes are passed on as they are. */
function onePerPort(observed: readonly Observed[]): Destination[] {
  return [...Map.groupBy(observed, ({ host, port }) => `${host} ${port}`).values()].map((same) => {
    const [first] = same as [Observed];
    return same.length === 1 ? { ...first, observed: same } : { ...first, protocol: 'TCP', originatedAt: undefined, observed: same };
  });
}

function serviceEntry(host: string, destinations: readonly Destination[]): object {
  // The gateway connects to the target port; applications know the port alone, so that none gets round the gateway by it.
  const ports = destinations.map(({ port, protocol, originatedAt }) => ({
    number: port,
    name: `${protocol.toLowerCase()}-${port}`,
    protocol,
    ...(originatedAt !== undefined && { targetPort: originatedAt }),
  }));
  const common = { location: 'MESH_EXTERNAL', ports };
  if (isAddress(host)) {
    return { hosts: [declared(host)], addresses: [host], ...common, resolution: 'STATIC', endpoints: [{ address: host }] };
  }
  return { hosts: [host], ...common, resolution: host.startsWith('*') ? 'DYNAMIC_DNS' : 'DNS' };
}

function virtualService(given: string, destinations: readonly Destination[], tcp: ReadonlyMap<string, number>): object {
  const host = declared(given);
  const mesh = (port: number) => ({ gateways: ['mesh'], port });
  const own = (port: number) => ({ gateways: [GATEWAY], port });
  const to = (name: string, number: number) => [{ destination: { host: name, port: { number } } }];
  const web = destinations.filter(({ protocol }) => protocol === 'HTTP');
  const tls = destinations.filter(({ protocol }) => protocol === 'TLS').slice(0, 1);
  const apart = destinations.flatMap(({ port, protocol }) => {
    const at = tcp.get(`${given} ${port}`);
    return at === undefined ? [] : [{ port, protocol, at }];
  });
  const toTcpService = (at: number) => to(`${TCP_SERVICE}.${GATEWAY_NAMESPACE}.svc.cluster.local`, at);
  const apartByName = apart.filter(({ protocol }) => protocol === 'TLS');
  // Clients write every port but 80 into Host: by it the gateway tells ports of one host apart. The plain name comes last.
  const byPort = [...web].sort((a, b) => Number(a.port === 80) - Number(b.port === 80) || a.port - b.port);
  return {
    hosts: [host],
    gateways: ['mesh', GATEWAY],
    ...(web.length > 0 && {
      http: [
        ...web.map(({ port }) => ({ match: [mesh(port)], route: to(GATEWAY_HOST, 80) })),
        ...byPort.map(({ port }, i) => ({
          match: [
            {
              ...own(80),
              ...(i < byPort.length - 1 && { authority: host.startsWith('*') ? { regex: `.*:${port}` } : { exact: `${host}:${port}` } }),
            },
          ],
          route: to(host, port),
        })),
      ],
    }),
    ...(tls.length > 0 && {
      tls: tls.flatMap(({ port }) => [
        { match: [{ ...mesh(port), sniHosts: [host] }], route: to(GATEWAY_HOST, 443) },
        { match: [{ ...own(443), sniHosts: [host] }], route: to(host, port) },
        ...apartByName.map(({ port: other, at }) => ({ match: [{ ...mesh(other), sniHosts: [host] }], route: toTcpService(at) })),
      ]),
    }),
    ...(apart.length > 0 && {
      tcp: apart.flatMap(({ port, protocol, at }) => [
        ...(protocol === 'TCP' ? [{ match: [mesh(port)], route: toTcpService(at) }] : []),
        { match: [own(at)], route: to(host, port) },
      ]),
    }),
  };
}

/** For the gateway alone, in whose namespace it stands. */
function destinationRule(host: string, ports: readonly number[]): object {
  const portLevelSettings = ports.map((number) => ({ port: { number }, tls: { mode: 'SIMPLE', sni: host } }));
  return { host, exportTo: ['.'], trafficPolicy: { portLevelSettings } };
}

function servers(http: readonly string[], tls: readonly string[], tcp: ReadonlyMap<string, number>): object[] {
  return [
    ...(http.length > 0 ? [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: http.map(declared) }] : []),
    ...(tls.length > 0
      ? [{ port: { number: 443, name: 'tls', protocol: 'TLS' }, tls: { mode: 'PASSTHROUGH' }, hosts: tls.map(declared) }]
      : []),
    ...[...tcp].map(([key, number]) => ({
      port: { number, name: `tcp-${number}`, protocol: 'TCP' },
      hosts: [declared(key.slice(0, key.indexOf(' ')))],
    })),
  ];
}

function commentsOf({ host, port, protocol, observed }: Destination): string[] {
  const lines = observed.map(
    (one) => `${one.host}:${one.port} ${one.protocol}: ${calls(one.count)}${one.lastSeen ? `, last ${one.lastSeen}` : ''}`,
  );
  return host.startsWith('*')
    ? [`${host}:${port} ${protocol} stands for ${observed.length} names:`, ...lines.map((line) => `  ${line}`)]
    : lines;
}

function calls(count: number): string {
  return count === 1 ? '1 call' : `${count} calls`;
}

/** The name that stands for a host: an address gets one. */
function declared(host: string): string {
  return isAddress(host) ? `${nameOf(host)}.external` : host;
}

function nameOf(host: string): string {
  const name = host
    .replace(/^\*/, 'any')
    .replace(/[^a-z0-9]+/gi, '-')
    .toLowerCase();
  return isAddress(host) ? `address-${name}` : name;
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}
