/** What may be called, written short: `--allow registry.example.com`, as the ServiceEntries that it stands for. */
import { isIP, isIPv6 } from 'node:net';
import { BIND } from '../../api/bind.ts';
import { PRIVATE_ADDRESSES } from '../../api/private-addresses.ts';
import { wildcardHostProblem } from '../../api/rules/checks.ts';
import { SallyportError } from '../../lib/errors.ts';
import { parseRange } from '../../lib/ip.ts';

/** One host, and ports of it. */
export interface Allowed {
  /** A name, `*.suffix`, or an address; in lower case. */
  readonly host: string;
  readonly ports: readonly AllowedPort[];
  /** Ranges in which its name may lead to addresses that are not public: none where it says none. */
  readonly within?: readonly string[];
  /** Why, for whoever reads the resources. */
  readonly why?: string;
}

export interface AllowedPort {
  readonly port: number;
  readonly protocol: 'HTTP' | 'TLS' | 'TCP';
  /** Of plain HTTP: the requests that are allowed. Without: all. */
  readonly only?: readonly Requests[];
}

/** Requests by method and path; an empty list means any. A path that ends with `*` stands for whatever follows. */
export interface Requests {
  readonly methods: readonly string[];
  readonly paths: readonly string[];
}

const SCHEMES: Readonly<Record<string, { readonly protocol: AllowedPort['protocol']; readonly port?: number }>> = {
  http: { protocol: 'HTTP', port: 80 },
  https: { protocol: 'TLS', port: 443 },
  tls: { protocol: 'TLS', port: 443 },
  tcp: { protocol: 'TCP' },
};

/** A name, or a wildcard for whole labels. */
const NAME = /^(\*\.)?[^*]+$/;

/**
 * Reads `[SCHEME://]HOST[:PORT][=RANGE,…]`. Without a port: 80 for HTTP and 443 for TLS. A port of its own carries any protocol, for a wildcard TLS alone, as there
 * the name in the connection is all that tells.
 * @throws SallyportError `usage`
 */
export function parseAllowed(written: string): Allowed {
  const refuse = (why: string) => new SallyportError('usage', `--allow ${written}: ${why}; write HOST, HOST:PORT or tcp://HOST:PORT.`);
  const [text = '', ...ranges] = written.split(/[=,]/);
  const wrong = ranges.find((range) => !parseRange(range));
  if (wrong !== undefined) throw refuse(`${wrong} is neither an address nor a CIDR range`);
  const match = /^(?:([a-z]+):\/\/)?(?:\[([0-9a-f:.]+)\]|([^:/[\]]+))(?::(\d{1,5}))?\/?$/i.exec(text);
  if (!match) throw refuse('it names no host');
  const scheme = match[1] === undefined ? undefined : SCHEMES[match[1].toLowerCase()];
  if (match[1] !== undefined && !scheme) throw refuse(`the scheme ${match[1]} is none of ${Object.keys(SCHEMES).join(', ')}`);
  const host = (match[2] ?? match[3]!).toLowerCase().replace(/\.$/, '');
  if (match[2] !== undefined ? !isIPv6(host) : isIP(host) === 0 && (!NAME.test(host) || wildcardHostProblem(host) !== undefined))
    throw refuse(`${host} is neither a name nor an address`);
  const given = match[4] === undefined ? scheme?.port : Number(match[4]);
  if (given !== undefined && (given < 1 || given > 65_535)) throw refuse('ports are from 1 to 65535');
  if (given === undefined && scheme) throw refuse('it needs a port');
  const ports = allowedPorts(host, given === undefined ? [80, 443] : [given], scheme?.protocol, refuse);
  return { host, ports, ...(ranges.length > 0 && { within: ranges }) };
}

/** @throws what `refuse` makes of what cannot be */
export function allowedPorts(
  host: string,
  ports: readonly number[],
  protocol: AllowedPort['protocol'] | undefined,
  refuse: (why: string) => SallyportError,
): AllowedPort[] {
  return ports.map((port) => ({ port, protocol: protocolOf(host, port, protocol, refuse) }));
}

function protocolOf(
  host: string,
  port: number,
  protocol: AllowedPort['protocol'] | undefined,
  refuse: (why: string) => SallyportError,
): AllowedPort['protocol'] {
  // Of an address nothing in the connection need say which host is meant.
  if (isIP(host) > 0) return 'TCP';
  if (host.startsWith('*')) {
    if (protocol === 'TCP') throw refuse('a wildcard needs a name in the connection, which TCP has not');
    return protocol ?? (port === 80 ? 'HTTP' : 'TLS');
  }
  return protocol ?? (port === 80 ? 'HTTP' : port === 443 ? 'TLS' : 'TCP');
}

/**
 * Addresses of hosts, beside those that are allocated to resources: for a wildcard, as whoever asks for a name below it gets its address, and the proxy
 * reads the name; for TCP, of which nothing else tells the host.
 */
const PREFIX = '240.241';

/** Each host once, with all its ports. */
export function onePerHost(allowed: readonly Allowed[]): Allowed[] {
  const byHost = new Map<string, Allowed>();
  for (const one of allowed) {
    const before = byHost.get(one.host);
    const within = [...new Set([...(before?.within ?? []), ...(one.within ?? [])])];
    byHost.set(one.host, { ...one, ports: merged([...(before?.ports ?? []), ...one.ports]), ...(within.length > 0 && { within }) });
  }
  return [...byHost.values()];
}

/** Kubernetes objects: a ServiceEntry for each host, and for TLS a VirtualService. `bind`: what becomes of calls that are not wholly the host's. */
export function allowedResources(allowed: readonly Allowed[], bind: 'audit' | 'enforce' = 'enforce'): object[] {
  return onePerHost(allowed).flatMap((one, i) => [serviceEntry(one, `${PREFIX}.${(i + 1) >> 8}.${(i + 1) & 255}`, bind), ...routesOf(one)]);
}

/** Each port once: with all requests if one of several says so, else with those that any of them allows. */
function merged(ports: readonly AllowedPort[]): AllowedPort[] {
  return [...Map.groupBy(ports, ({ port }) => port).values()].map((same) => {
    const { port, protocol } = same[0]!;
    const only = same.flatMap((each) => each.only ?? []);
    return { port, protocol, ...(same.every((each) => each.only) && { only }) };
  });
}

function routesOf({ host, ports }: Allowed): object[] {
  if (host.startsWith('*')) return [];
  const tls = ports.filter(({ protocol }) => protocol === 'TLS').map(({ port }) => namedTls(host, port));
  const plain = ports.filter(({ protocol }) => protocol === 'HTTP');
  const http = plain.some(({ only }) => only) ? plain.flatMap((port) => requestRoutes(host, port)) : [];
  if (tls.length === 0 && http.length === 0) return [];
  const metadata = { name: resourceName(host), namespace: 'default' };
  const spec = { hosts: [host], ...(http.length > 0 && { http }), ...(tls.length > 0 && { tls }) };
  return [{ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata, spec }];
}

/** At the address of a host TLS for any name would be passed on to it: only its own is, so that nobody else behind the same servers is asked for (fronting). */
function namedTls(host: string, port: number): object {
  return { match: [{ port, sniHosts: [host] }], route: [{ destination: { host, port: { number: port } } }] };
}

function requestRoutes(host: string, { port, only }: AllowedPort): object[] {
  const route = [{ destination: { host, port: { number: port } } }];
  return only ? onlyRequests(host, port, only, { match: [{ port }], route }) : [{ match: [{ port }], route }];
}

/** An HTTP route as VirtualServices have it. */
export interface RouteShape {
  readonly match: readonly object[];
  readonly [field: string]: unknown;
}

/** A route for the requests that are allowed, and the answer to all others that it matches. */
export function onlyRequests(host: string, port: number, only: readonly Requests[], route: RouteShape): object[] {
  const wanted = only.flatMap(({ methods, paths }) =>
    (methods.length > 0 ? methods : [undefined]).flatMap((method) =>
      (paths.length > 0 ? paths : [undefined]).map((path) => ({
        ...(method !== undefined && { method: { exact: method } }),
        ...(path !== undefined && { uri: path.endsWith('*') ? { prefix: path.slice(0, -1) } : { exact: path } }),
      })),
    ),
  );
  const body = { string: `sallyport: not allowed: ${host}:${port} is allowed by method and path, and the policy has not this one` };
  return [
    { name: 'allowed', ...route, match: route.match.flatMap((match) => wanted.map((one) => ({ ...match, ...one }))) },
    { name: 'not-allowed', match: route.match, directResponse: { status: 403, body } },
  ];
}

/** Kubernetes' names have dots and no colons. No label begins with a hyphen, so that no name is taken for a wildcard. */
function resourceName(host: string): string {
  return `allow-${host.replace('*', '-any').replace(/::$/, '::0').replaceAll(':', '-')}`;
}

/** Names that say themselves where they lead (RFC 6761 §6.3). */
const LOOPBACK_NAME = /^(?:.*\.)?localhost$/;
const LOOPBACK = ['127.0.0.0/8', '::1'];

function serviceEntry(
  { host, ports, within = LOOPBACK_NAME.test(host) ? LOOPBACK : [], why }: Allowed,
  ownAddress: string,
  bind: string,
): object {
  const isAddress = isIP(host) > 0;
  const isWildcard = host.startsWith('*');
  const needsAddress = !isAddress && (isWildcard || ports.some(({ protocol }) => protocol === 'TCP'));
  const name = resourceName(host);
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: {
      name,
      namespace: 'default',
      annotations: {
        [BIND]: bind,
        ...(within.length > 0 && { [PRIVATE_ADDRESSES]: within.join(',') }),
        ...(why !== undefined && { 'sallyport.dev/why': why }),
      },
    },
    spec: {
      hosts: [isAddress ? `${name.replaceAll('.', '-')}.internal` : host],
      ...(isAddress && { addresses: [host], endpoints: [{ address: host }] }),
      ...(needsAddress && { addresses: [ownAddress] }),
      location: 'MESH_EXTERNAL',
      resolution: isAddress ? 'STATIC' : isWildcard ? 'DYNAMIC_DNS' : 'DNS',
      ports: ports.map(({ port, protocol }) => ({ number: port, name: `${protocol.toLowerCase()}-${port}`, protocol })),
    },
  };
}
