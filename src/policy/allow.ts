/** What may be called, written short: `--allow registry.example.com`, as the ServiceEntries that it stands for. Pure. */
import type { BindMode } from '../api/bind.ts';
import { isAllowedHost } from '../api/rules/egress-policy.ts';
import { SallyportError } from '../lib/errors.ts';
import { plainHost } from '../lib/hostname.ts';
import { isIp, parseRange } from '../lib/ip.ts';
import { table } from '../lib/table.ts';
import { directObjects } from './direct.ts';
import { type Injection, plainProblem } from './injection.ts';
import { type AllowedPort, type HostPlan, type Protocol, type Requests, resourceName } from './plan.ts';
import { allowedPorts } from './ports.ts';

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
  /** What becomes of calls that are not wholly the host's. */
  readonly bind?: BindMode;
  /** Ranges in which its name may lead to addresses that are not public: none where it says none. */
  readonly within?: readonly string[];
  /** Credentials for its requests. */
  readonly injections?: readonly Injection[];
}

/** Whether it holds what a command can be kept from only where it is contained: credentials, a key. */
export function hasSecrets({ injections, ports }: Allowed): boolean {
  return injections !== undefined || ports.some(({ intercept, certificate }) => intercept || certificate);
}

const SCHEMES = table<{ readonly protocol: Protocol; readonly port?: number }>({
  http: { protocol: 'HTTP', port: 80 },
  https: { protocol: 'TLS', port: 443 },
  tls: { protocol: 'TLS', port: 443 },
  tcp: { protocol: 'TCP' },
});

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
  const host = plainHost(match[2] ?? match[3]!);
  if (match[2] !== undefined ? !isIp(match[2]) || !match[2].includes(':') : !isAllowedHost(host))
    throw refuse(`${host} is neither a name nor an address`);
  const given = match[4] === undefined ? scheme?.port : Number(match[4]);
  if (given !== undefined && (given < 1 || given > 65_535)) throw refuse('ports are from 1 to 65535');
  if (given === undefined && scheme) throw refuse('it needs a port');
  if (host.startsWith('*') && scheme?.protocol === 'TCP') throw refuse('a wildcard needs a name in the connection, which TCP has not');
  const ports = allowedPorts(host, given === undefined ? [80, 443] : [given], scheme?.protocol);
  return { host, ports, ...(ranges.length > 0 && { within: ranges }) };
}

/** Addresses of hosts, in the order of the list, beside those that are allocated to resources (`HostPlan.address`). */
const PREFIX = '240.241';

/** Each host once, with all its ports. @throws SallyportError `policy-unreadable` where two entries treat the TLS of one port in different ways */
export function onePerHost(allowed: readonly Allowed[]): Allowed[] {
  const byHost = new Map<string, Allowed>();
  for (const one of allowed) {
    const known = byHost.get(one.host);
    const within = [...new Set([...(known?.within ?? []), ...(one.within ?? [])])];
    const ports = merged(one.host, [...(known?.ports ?? []), ...one.ports]);
    const injections = [...(known?.injections ?? []), ...(one.injections ?? [])];
    byHost.set(one.host, { ...known, ...one, ports, ...(within.length > 0 && { within }), ...(injections.length > 0 && { injections }) });
  }
  return [...byHost.values()];
}

/**
 * Kubernetes objects: a ServiceEntry for each host, and where calls are told apart a VirtualService. `bind`: what becomes of calls that are not wholly the host's,
 * where an entry does not say.
 * @throws SallyportError `policy-unreadable` for a credential that would leave in plain, and what `onePerHost` throws
 */
export function allowedResources(allowed: readonly Allowed[], bind: BindMode = 'enforce'): object[] {
  const hosts = onePerHost(allowed);
  for (const host of hosts) {
    const problem = plainProblem(host);
    if (problem !== undefined) throw new SallyportError('policy-unreadable', problem);
  }
  return hosts.flatMap((one, i) =>
    directObjects(planOf({ bind, ...one }, `${PREFIX}.${(i + 1) >> 8}.${(i + 1) & 255}`)).map(({ kind, name, spec, annotations = {} }) => ({
      apiVersion: 'networking.istio.io/v1',
      kind,
      metadata: { name, namespace: 'default', ...(Object.keys(annotations).length > 0 && { annotations }) },
      spec,
    })),
  );
}

function planOf({ host, ports, why, owner, bind, within, injections = [] }: Allowed, address: string): HostPlan {
  return {
    host,
    name: resourceName('allow', host),
    namespace: 'default',
    address,
    reason: why,
    owner,
    bind,
    within,
    credentials: injections.map(({ rule }) => rule),
    ports: ports.map(({ only, ...port }) => ({ ...port, through: 'direct', rules: [{ ...(only && { only }) }] })),
  };
}

/** Each port once: with all requests if one of several says so, else with those that any of them allows. */
function merged(host: string, ports: readonly AllowedPort[]): AllowedPort[] {
  return [...Map.groupBy(ports, ({ port }) => port).values()].map((same) => {
    const { only: _, ...first } = same[0]!;
    if (same.some((each) => tlsOf(each) !== tlsOf(first)))
      throw new SallyportError(
        'policy-unreadable',
        `${host}:${first.port} is allowed twice, and TLS is treated in two ways: write the same tls in both, or leave the other out (--allow ${host} stands for 80 and 443).`,
      );
    const only: Requests[] = same.flatMap((each) => each.only ?? []);
    return { ...first, ...(same.every((each) => each.only) && { only }) };
  });
}

function tlsOf({ originate, intercept, ca, certificate }: AllowedPort): string {
  return JSON.stringify([originate, intercept, ca, certificate?.chain, certificate?.key]);
}
