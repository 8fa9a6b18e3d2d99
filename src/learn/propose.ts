/** The resources that let exactly what was observed through the egress gateway, and nothing else. Pure. */

import { isIp } from '../lib/ip.ts';
import { hostPort } from '../lib/socket-address.ts';
import { declaredHost, isOwnSuffix, slug, specialAddress } from './hosts.ts';
import type { Observed } from './observed.ts';

/** Names and ports that exist beside the proposal, which it must not use again. */
interface Taken {
  /** `Kind namespace/name`. */
  readonly objects: ReadonlySet<string>;
  /** Ports that Gateways open. */
  readonly ports: ReadonlySet<number>;
}

export interface ProposeOptions {
  /** Where the resources go. */
  readonly namespace: string;
  /** A wildcard stands for names from this number on that share a suffix, port and protocol. */
  readonly wildcardAfter: number;
  readonly taken?: Taken;
  /** The namespaces that called, for a host that no other is to see; undefined if that is not known. */
  readonly callers?: (observed: readonly Observed[]) => readonly string[] | undefined;
  /** Through which gateway calls are to leave: by default that of an Istio installation. */
  readonly egress?: EgressGateway;
  /** What the proposed Gateway is called. */
  readonly gatewayName?: string;
  /** A Gateway that serves the hosts already, as `namespace/name`: then none is proposed. */
  readonly servedBy?: string;
}

/** An egress gateway: its Service, the namespace of that, and what selects its Pods. */
export interface EgressGateway {
  readonly host: string;
  readonly namespace: string;
  readonly selector: Readonly<Record<string, string>>;
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
  /** Said of it beyond its counts. */
  readonly remarks: readonly string[];
}

const USUAL_EGRESS: EgressGateway = {
  host: 'istio-egressgateway.istio-system.svc.cluster.local',
  namespace: 'istio-system',
  selector: { istio: 'egressgateway' },
};
/** Ports of the gateway for what carries no name that it could tell hosts apart by. */
const FIRST_TCP_PORT = 17_000;

/** The gateway's part in the proposal. */
interface GatewaySide {
  readonly egress: EgressGateway;
  readonly gateway: string;
  /** Its Service for ports of `tcp`. */
  readonly service: string;
  /** `host port` → the gateway's port. */
  readonly tcp: ReadonlyMap<string, number>;
}

/** Proposes a ServiceEntry and a VirtualService for each host, one Gateway for all of them, and the objects that TLS origination and TCP need in addition. */
export function propose(observed: readonly Observed[], options: ProposeOptions): Proposed[] {
  const { namespace, wildcardAfter, taken, callers, egress = USUAL_EGRESS, gatewayName = 'learned-egress', servedBy } = options;
  const { destinations: all, own } = withAddresses(destinationsOf(observed, wildcardAfter));
  const hosts = Map.groupBy([...all].sort(byHostAndPort), ({ host }) => host);
  if (hosts.size === 0) return [];
  const unique = namer(taken?.objects ?? new Set());
  const http: string[] = [];
  const tls: string[] = [];
  const tcp = new Map<string, number>();
  const nextPort = freePorts(taken?.ports ?? new Set());
  for (const [host, destinations] of hosts) {
    const named = destinations.filter(({ protocol }) => protocol === 'TLS');
    if (destinations.some(({ protocol }) => protocol === 'HTTP')) http.push(host);
    if (named.length > 0) tls.push(host);
    // SNI does not tell the gateway which port of a host was called, and plain TCP names no host.
    for (const { port } of [...named.slice(1), ...destinations.filter(({ protocol }) => protocol === 'TCP')])
      tcp.set(`${host} ${port}`, nextPort());
  }
  const side: GatewaySide = {
    egress,
    gateway: servedBy ?? unique('Gateway', namespace, gatewayName),
    service: unique('Service', egress.namespace, `${egress.host.slice(0, egress.host.indexOf('.'))}-learned`),
    tcp,
  };
  const object = (kind: string, name: string, spec: object, inNamespace = namespace) => ({
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name: unique(kind, inNamespace, name), namespace: inNamespace },
    spec,
  });
  const proposed: Proposed[] = [...hosts].flatMap(([host, destinations]) => {
    const name = slug(host);
    const namespaces = callers?.(destinations.flatMap((destination) => destination.observed));
    const visible = namespaces && { exportTo: [...new Set([...namespaces, egress.namespace])].sort() };
    const originated = destinations.filter(({ originatedAt }) => originatedAt !== undefined).map(({ port }) => port);
    const rule = () => object('DestinationRule', `${name}-tls`, destinationRule(host, originated), egress.namespace);
    return [
      {
        comments: destinations.flatMap(commentsOf),
        resource: object('ServiceEntry', name, { ...serviceEntry(host, destinations, own.get(host) ?? []), ...visible }),
      },
      {
        comments: [],
        resource: object('VirtualService', `${name}-through-egress`, { ...virtualService(host, destinations, side), ...visible }),
      },
      ...(originated.length > 0 ? [{ comments: ['TLS originated by the gateway; the CAs of its machine count.'], resource: rule() }] : []),
    ];
  });
  const gateway = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: side.gateway, namespace },
    spec: { selector: egress.selector, servers: servers(http, tls, tcp) },
  };
  const seenBy = callers?.([...all].flatMap((destination) => destination.observed));
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: side.service,
      namespace: egress.namespace,
      ...(seenBy && { annotations: { 'networking.istio.io/exportTo': [...new Set([...seenBy, egress.namespace])].sort().join() } }),
    },
    spec: { selector: egress.selector, ports: [...tcp.values()].map((port) => ({ name: `tcp-${port}`, port, targetPort: port })) },
  };
  return [
    ...(servedBy === undefined ? [{ comments: [], resource: gateway }] : []),
    ...(tcp.size > 0 ? [{ comments: ['Ports of the gateway for what carries no host name.'], resource: service }] : []),
    ...proposed,
  ];
}

/** What declares one destination for the workloads of a namespace, and leads to it from the sidecar: where no egress gateway is in use. */
export function proposeDirect(
  observed: Observed,
  { namespace, taken }: Pick<ProposeOptions, 'namespace' | 'taken'>,
): readonly [object, object] {
  const unique = namer(taken?.objects ?? new Set());
  const [destination] = onePerPort([observed]) as [Destination];
  const { host, port, protocol } = destination;
  const name = slug(host);
  const declared = declaredHost(host);
  const sort = protocol.toLowerCase();
  const match = { port, ...(protocol === 'TLS' && { sniHosts: [declared] }) };
  const route = [{ destination: { host: declared, port: { number: port } } }];
  const object = (kind: string, spec: object) => ({
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name: unique(kind, namespace, name), namespace },
    spec: { ...spec, exportTo: ['.'] },
  });
  return [
    object('ServiceEntry', serviceEntry(host, [destination], protocol === 'TCP' && !isIp(host) ? addressesOf([destination]) : [])),
    object('VirtualService', { hosts: [declared], [sort]: [{ match: [match], route }] }),
  ];
}

/** Names that nothing has yet: two hosts may differ by a dot and a dash only. */
function namer(taken: ReadonlySet<string>): (kind: string, namespace: string, name: string) => string {
  const given = new Set(taken);
  return (kind, namespace, name) => {
    let candidate = name;
    for (let i = 2; given.has(`${kind} ${namespace}/${candidate}`); i++) candidate = `${name}-${i}`;
    given.add(`${kind} ${namespace}/${candidate}`);
    return candidate;
  };
}

function freePorts(taken: ReadonlySet<number>): () => number {
  let next = FIRST_TCP_PORT;
  return () => {
    while (taken.has(next)) next++;
    return next++;
  };
}

/** Each host and port, or the wildcard that stands for many of them. */
function destinationsOf(observed: readonly Observed[], wildcardAfter: number): Destination[] {
  const families = Map.groupBy(onePerPort(observed), ({ host, port, protocol, originatedAt }) => {
    const suffix = host.slice(host.indexOf('.') + 1);
    const shared = !isIp(host) && protocol !== 'TCP' && originatedAt === undefined && isOwnSuffix(suffix);
    return shared ? `${suffix} ${port} ${protocol}` : '';
  });
  const destinations: Destination[] = [];
  for (const [family, members] of families) {
    const [first] = members as [Destination];
    if (family !== '' && members.length >= wildcardAfter) {
      const seen = members.flatMap((member) => member.observed);
      destinations.push({ ...first, host: `*${first.host.slice(first.host.indexOf('.'))}`, observed: seen });
    } else destinations.push(...members);
  }
  return destinations.sort(byHostAndPort);
}

function byHostAndPort(a: Destination, b: Destination): number {
  return a.host === b.host ? a.port - b.port : a.host < b.host ? -1 : 1;
}

/** A port of a host has one protocol: where several were spoken, bytes are passed on as they are. */
function onePerPort(observed: readonly Observed[]): Destination[] {
  return [...Map.groupBy(observed, ({ host, port }) => `${host} ${port}`).values()].map((same) => {
    const [first] = same as [Observed];
    const special = specialAddress(first.host);
    const remarks = special === undefined ? [] : [`${first.host} is ${special}: is it meant to be reached through the egress gateway?`];
    if (same.length > 1) remarks.push(`${same.map(({ protocol }) => protocol).join(' and ')} on one port: passed on as bytes`);
    // Listeners for HTTP take IPv4 only (0.0.0.0); those of TCP have the address itself.
    const bytes = same.length > 1 || (first.host.includes(':') && first.protocol === 'HTTP');
    return { ...first, ...(bytes && { protocol: 'TCP' as const, originatedAt: undefined }), observed: same, remarks };
  });
}

/**
 * Bytes carry no name: beside the address that the mesh's DNS gives a name, those are let through that were called. They become the name's own
 * where nothing else has them and no port of the name is told by SNI, which an address would narrow; else they are destinations of their own.
 */
function withAddresses(destinations: readonly Destination[]): {
  readonly destinations: readonly Destination[];
  /** By host. */
  readonly own: ReadonlyMap<string, readonly string[]>;
} {
  const claimed = new Set(destinations.filter(({ host }) => isIp(host)).map(({ host, port }) => `${host} ${port}`));
  const own = new Map<string, readonly string[]>();
  const added = new Map<string, Destination>();
  for (const [host, all] of Map.groupBy(destinations, (destination) => destination.host)) {
    const bytes = all.filter(({ protocol }) => protocol === 'TCP');
    if (isIp(host) || bytes.length === 0) continue;
    const pairs = bytes.flatMap((destination) => addressesOf([destination]).map((address) => ({ address, destination })));
    const keys = pairs.map(({ address, destination: { port } }) => `${address} ${port}`);
    if (all.every(({ protocol }) => protocol !== 'TLS') && !keys.some((key) => claimed.has(key))) {
      for (const key of keys) claimed.add(key);
      own.set(host, addressesOf(bytes));
      continue;
    }
    for (const { address, destination } of pairs) {
      const key = `${address} ${destination.port}`;
      const remarks = [...(added.get(key)?.remarks ?? []), `${address}:${destination.port} is ${host}`];
      if (!destinations.some((one) => `${one.host} ${one.port}` === key))
        added.set(key, { ...destination, host: address, observed: [], remarks });
    }
  }
  return { destinations: [...destinations, ...added.values()], own };
}

function addressesOf(destinations: readonly Destination[]): string[] {
  return [...new Set(destinations.flatMap(({ observed }) => observed.flatMap(({ addresses }) => addresses)))].sort();
}

function serviceEntry(host: string, destinations: readonly Destination[], addresses: readonly string[]): object {
  // The gateway connects to the target port; applications know the port alone, so that none gets round the gateway by it.
  const ports = destinations.map(({ port, protocol, originatedAt }) => ({
    number: port,
    name: `${protocol.toLowerCase()}-${port}`,
    protocol,
    ...(originatedAt !== undefined && { targetPort: originatedAt }),
  }));
  const common = { location: 'MESH_EXTERNAL', ports };
  if (isIp(host)) {
    return { hosts: [declaredHost(host)], addresses: [host], ...common, resolution: 'STATIC', endpoints: [{ address: host }] };
  }
  return { hosts: [host], ...(addresses.length > 0 && { addresses }), ...common, resolution: host.startsWith('*') ? 'DYNAMIC_DNS' : 'DNS' };
}

function virtualService(given: string, destinations: readonly Destination[], { egress, gateway, service, tcp }: GatewaySide): object {
  const host = declaredHost(given);
  const mesh = (port: number) => ({ gateways: ['mesh'], port });
  const own = (port: number) => ({ gateways: [gateway], port });
  const to = (name: string, number: number) => [{ destination: { host: name, port: { number } } }];
  const web = destinations.filter(({ protocol }) => protocol === 'HTTP').map(({ port }) => port);
  const tls = destinations.filter(({ protocol }) => protocol === 'TLS').slice(0, 1);
  const apart = destinations.flatMap(({ port, protocol }) => {
    const at = tcp.get(`${given} ${port}`);
    return at === undefined ? [] : [{ port, protocol, at }];
  });
  const toTcpService = (at: number) => to(`${service}.${egress.namespace}.svc.cluster.local`, at);
  const apartByName = apart.filter(({ protocol }) => protocol === 'TLS');
  // Clients write every port but 80 into Host: by it the gateway tells ports of one host apart. The plain name comes last.
  const byPort = [...web].sort((a, b) => Number(a === 80) - Number(b === 80) || a - b);
  const authority = (port: number) => (host.startsWith('*') ? { regex: `.*:${port}` } : { exact: `${host}:${port}` });
  // A gateway serves names: an address goes to it as one, and leaves it as it was.
  const renamed = (port: number, name: string) => host !== given && { rewrite: { authority: port === 80 ? name : hostPort(name, port) } };
  return {
    hosts: [host],
    gateways: ['mesh', gateway],
    ...(web.length > 0 && {
      http: [
        ...web.map((port) => ({ match: [mesh(port)], ...renamed(port, host), route: to(egress.host, 80) })),
        ...byPort.map((port, i) => ({
          match: [{ ...own(80), ...(i < byPort.length - 1 && { authority: authority(port) }) }],
          ...renamed(port, given),
          route: to(host, port),
        })),
      ],
    }),
    ...(tls.length > 0 && {
      tls: tls.flatMap(({ port }) => [
        { match: [{ ...mesh(port), sniHosts: [host] }], route: to(egress.host, 443) },
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
  const portLevelSettings = ports.map((number) => ({ port: { number }, tls: { mode: 'SIMPLE', sni: host, subjectAltNames: [host] } }));
  return { host, exportTo: ['.'], trafficPolicy: { portLevelSettings } };
}

function servers(http: readonly string[], tls: readonly string[], tcp: ReadonlyMap<string, number>): object[] {
  return [
    ...(http.length > 0 ? [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: http.map(declaredHost) }] : []),
    ...(tls.length > 0
      ? [{ port: { number: 443, name: 'tls', protocol: 'TLS' }, tls: { mode: 'PASSTHROUGH' }, hosts: tls.map(declaredHost) }]
      : []),
    ...[...tcp].map(([key, number]) => ({
      port: { number, name: `tcp-${number}`, protocol: 'TCP' },
      hosts: [declaredHost(key.slice(0, key.indexOf(' ')))],
    })),
  ];
}

function commentsOf({ host, port, protocol, observed, remarks }: Destination): string[] {
  const lines = observed.map(
    (one) => `${one.host}:${one.port} ${one.protocol}: ${calls(one.count)}${one.lastSeen ? `, last ${one.lastSeen}` : ''}`,
  );
  if (!host.startsWith('*')) return [...lines, ...remarks];
  const about = `${host}:${port} ${protocol} stands for ${observed.length} names, and lets through every other name under it:`;
  return [about, ...lines.map((line) => `  ${line}`), ...remarks];
}

function calls(count: number): string {
  return count === 1 ? '1 call' : `${count} calls`;
}
