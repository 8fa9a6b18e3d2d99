/** What may be called, written short: `--allow registry.example.com`, as the ServiceEntries that it stands for. Pure. */
import type { AllowedRequests } from '../api/allow-list.ts';
import { isAllowedHost } from '../api/rules/egress-policy.ts';
import { SallyportError } from '../lib/errors.ts';
import { isIp } from '../lib/ip.ts';
import { directObjects } from './direct.ts';
import { type AllowedPort, type BindMode, type HostPlan, type Protocol, type Requests, resourceName } from './plan.ts';

export type { AllowedPort } from './plan.ts';

/** One host, and ports of it. */
export interface Allowed {
  /** A name, `*.suffix`, or an address; in lower case. */
  readonly host: string;
  readonly ports: readonly AllowedPort[];
  /** Why, for whoever reads the resources. */
  readonly why?: string;
  /** Who answers for it. */
  readonly owner?: string;
  readonly bind?: BindMode;
}

const SCHEMES: Readonly<Record<string, { readonly protocol: Protocol; readonly port?: number }>> = {
  http: { protocol: 'HTTP', port: 80 },
  https: { protocol: 'TLS', port: 443 },
  tls: { protocol: 'TLS', port: 443 },
  tcp: { protocol: 'TCP' },
};

/**
 * Reads `[SCHEME://]HOST[:PORT]`. Without a port: 80 for HTTP and 443 for TLS. A port of its own carries any protocol, for a wildcard TLS alone, as there
 * the name in the connection is all that tells.
 * @throws SallyportError `usage`
 */
export function parseAllowed(text: string): Allowed {
  const refuse = (why: string) => new SallyportError('usage', `--allow ${text}: ${why}; write HOST, HOST:PORT or tcp://HOST:PORT.`);
  const match = /^(?:([a-z]+):\/\/)?(?:\[([0-9a-f:.]+)\]|([^:/[\]]+))(?::(\d{1,5}))?\/?$/i.exec(text);
  if (!match) throw refuse('it names no host');
  const scheme = match[1] === undefined ? undefined : SCHEMES[match[1].toLowerCase()];
  if (match[1] !== undefined && !scheme) throw refuse(`the scheme ${match[1]} is none of ${Object.keys(SCHEMES).join(', ')}`);
  const host = (match[2] ?? match[3]!).toLowerCase().replace(/\.$/, '');
  if (match[2] !== undefined ? !isIp(host) || !host.includes(':') : !isAllowedHost(host))
    throw refuse(`${host} is neither a name nor an address`);
  const given = match[4] === undefined ? scheme?.port : Number(match[4]);
  if (given !== undefined && (given < 1 || given > 65_535)) throw refuse('ports are from 1 to 65535');
  if (given === undefined && scheme) throw refuse('it needs a port');
  if (host.startsWith('*') && scheme?.protocol === 'TCP') throw refuse('a wildcard needs a name in the connection, which TCP has not');
  return { host, ports: allowedPorts(host, given === undefined ? [80, 443] : [given], scheme?.protocol) };
}

/** The ports that an entry of a list or policy stands for; that nothing is wrong with it says `allowedProblem`. */
export function portsOf(host: string, { ports, protocol: stated, methods, paths }: AllowedRequests): AllowedPort[] {
  const byRequest = methods.length > 0 || paths.length > 0;
  const protocol = byRequest ? 'HTTP' : stated;
  const numbers = ports.length > 0 ? ports : protocol === 'HTTP' ? [80] : protocol === 'TLS' ? [443] : [80, 443];
  const allowed = allowedPorts(host, numbers, protocol);
  return byRequest ? allowed.map((port) => ({ ...port, only: [{ methods, paths }] })) : allowed;
}

function allowedPorts(host: string, ports: readonly number[], protocol: Protocol | undefined): AllowedPort[] {
  return ports.map((port) => ({ port, protocol: protocolOf(host, port, protocol) }));
}

function protocolOf(host: string, port: number, protocol: Protocol | undefined): Protocol {
  // Of an address nothing in the connection need say which host is meant.
  if (isIp(host)) return 'TCP';
  return protocol ?? (port === 80 ? 'HTTP' : port === 443 || host.startsWith('*') ? 'TLS' : 'TCP');
}

/** Addresses of hosts, in the order of the list, beside those that are allocated to resources (`HostPlan.address`). */
const PREFIX = '240.241';

/** Each host once, with all its ports. */
export function onePerHost(allowed: readonly Allowed[]): Allowed[] {
  const byHost = new Map<string, Allowed>();
  for (const one of allowed) {
    const known = byHost.get(one.host);
    byHost.set(one.host, { ...known, ...one, ports: merged([...(known?.ports ?? []), ...one.ports]) });
  }
  return [...byHost.values()];
}

/** Kubernetes objects: a ServiceEntry for each host, and where calls are told apart a VirtualService. */
export function allowedResources(allowed: readonly Allowed[]): object[] {
  return onePerHost(allowed).flatMap((one, i) =>
    directObjects(planOf(one, `${PREFIX}.${(i + 1) >> 8}.${(i + 1) & 255}`)).map(({ kind, name, spec, annotations = {} }) => ({
      apiVersion: 'networking.istio.io/v1',
      kind,
      metadata: { name, namespace: 'default', ...(Object.keys(annotations).length > 0 && { annotations }) },
      spec,
    })),
  );
}

function planOf({ host, ports, why, owner, bind }: Allowed, address: string): HostPlan {
  return {
    host,
    name: resourceName('allow', host),
    namespace: 'default',
    address,
    reason: why,
    owner,
    bind,
    ports: ports.map(({ port, protocol, only }) => ({ port, protocol, through: 'direct', rules: [{ ...(only && { only }) }] })),
  };
}

/** Each port once: with all requests if one of several says so, else with those that any of them allows. */
function merged(ports: readonly AllowedPort[]): AllowedPort[] {
  return [...Map.groupBy(ports, ({ port }) => port).values()].map((same) => {
    const { port, protocol } = same[0]!;
    const only: Requests[] = same.flatMap((each) => each.only ?? []);
    return { port, protocol, ...(same.every((each) => each.only) && { only }) };
  });
}
