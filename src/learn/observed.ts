/** What left the mesh, out of what the proxies logged: one entry for each host, port and protocol. Pure. */
import type { LogRecord } from './records.ts';

export interface Observed {
  /** A name, or an address where the calls named none. */
  readonly host: string;
  /** As the application calls it. */
  readonly port: number;
  readonly protocol: 'HTTP' | 'TLS' | 'TCP';
  /** The port at which a gateway originated TLS for it; undefined where none did. */
  readonly originatedAt: number | undefined;
  readonly count: number;
  /** RFC 3339, or empty where the log has no time. */
  readonly lastSeen: string;
}

/** Calls of one kind, to make again. */
export interface RecordedCall {
  readonly host: string;
  readonly port: number;
  readonly protocol: Observed['protocol'];
  /** Empty but for HTTP. */
  readonly method: string;
  readonly path: string;
  /** The client's address; empty if the log has none. */
  readonly from: string;
  readonly count: number;
}

export interface Observation {
  readonly calls: readonly RecordedCall[];
  /** Sorted by host, port and protocol. */
  readonly observed: readonly Observed[];
  /** Records of calls that stayed in the mesh or came in. */
  readonly inside: number;
  /** Records of calls that were refused. */
  readonly refused: number;
}

const REFUSED = /\b(?:NR|NC|RBAC|UAEX|RL|DPE|DI)\b/;
/** Ports at which the sidecar takes calls that it was not redirected. */
const OWN_PORTS = new Set([15_001, 15_006, 15_080]);

interface Sighting {
  readonly host: string;
  readonly port: number;
  readonly protocol: Observed['protocol'];
  readonly time: string;
  readonly method: string;
  readonly path: string;
  readonly from: string;
  /** Where it was seen: at a sidecar that goes to a gateway, at a sidecar that leaves, or at a gateway. */
  readonly at: 'relayed' | 'sidecar' | 'gateway';
}

export function observe(records: readonly LogRecord[]): Observation {
  const sightings: Sighting[] = [];
  let inside = 0;
  let refused = 0;
  for (const record of records) {
    if (REFUSED.test(record.flags) || record.cluster === 'BlackHoleCluster' || record.cluster === 'block_all') refused++;
    else {
      const sighting = sightingOf(record);
      if (sighting) sightings.push(sighting);
      else inside++;
    }
  }
  const relayed = new Set(sightings.flatMap(({ at, host }) => (at === 'relayed' ? [host] : [])));
  const entries = new Map<string, Observed>();
  const calls = new Map<string, RecordedCall>();
  for (const { host, port, protocol, time, at, method, path, from } of sightings) {
    // A gateway logs again what a sidecar sent to it.
    if (at === 'gateway' && relayed.has(host)) continue;
    const originated = at === 'gateway' && protocol === 'HTTP' && port === 443;
    const asked = originated ? 80 : port;
    const key = `${host} ${asked} ${protocol}`;
    const call = { host, port: asked, protocol, method, path, from };
    const callKey = JSON.stringify(call);
    calls.set(callKey, { ...call, count: (calls.get(callKey)?.count ?? 0) + 1 });
    const known = entries.get(key);
    entries.set(key, {
      host,
      port: asked,
      protocol,
      originatedAt: originated ? port : at === 'relayed' ? originationOf(sightings, host, asked) : known?.originatedAt,
      count: (known?.count ?? 0) + 1,
      lastSeen: known && known.lastSeen > time ? known.lastSeen : time,
    });
  }
  const observed = [...entries.values()].sort((a, b) => compare(a.host, b.host) || a.port - b.port || compare(a.protocol, b.protocol));
  return { calls: [...calls.values()], observed, inside, refused };
}

/** Where a gateway sent HTTP on to another port than it was called at, it originated TLS there. */
function originationOf(sightings: readonly Sighting[], host: string, port: number): number | undefined {
  const elsewhere = sightings.find((one) => one.at === 'gateway' && one.host === host && one.protocol === 'HTTP' && one.port !== port);
  return elsewhere?.port === 443 ? 443 : undefined;
}

function sightingOf(record: LogRecord): Sighting | undefined {
  const { cluster, authority, serverName, local, upstream, time, method, path } = record;
  const common = { time, method, path, from: addressOf(record.remote) };
  const [direction, clusterPort, , service = ''] = cluster.split('|');
  if (direction === 'inbound') return undefined;
  const named = nameOf(authority) || serverName.toLowerCase();
  const protocol = record.protocol.startsWith('HTTP') || record.method !== '' ? 'HTTP' : serverName !== '' ? 'TLS' : 'TCP';
  const dialled = portOf(local);
  const asked = dialled !== undefined && !OWN_PORTS.has(dialled) ? dialled : undefined;
  if (isInside(service)) {
    if (named === '' || isInside(named)) return undefined;
    return asked === undefined ? undefined : { ...common, host: named, port: asked, protocol, at: 'relayed' };
  }
  const port = clusterPort ? Number(clusterPort) : (asked ?? portOf(upstream));
  const host =
    service !== '' && !service.startsWith('*') ? service : named || addressOf(service === '' && asked !== undefined ? local : upstream);
  if (host === '' || port === undefined || isInside(host)) return undefined;
  return { ...common, host, port, protocol, at: clusterPort && asked !== undefined && asked !== port ? 'gateway' : 'sidecar' };
}

function isInside(host: string): boolean {
  return /\.svc(?:\.|$)|^localhost$/.test(host) || (host !== '' && !/[.:*]/.test(host));
}

/** The authority without its port, in lower case. */
function nameOf(authority: string): string {
  return authority.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase();
}

function portOf(address: string): number | undefined {
  const port = /:(\d+)$/.exec(address)?.[1];
  return port === undefined ? undefined : Number(port);
}

function addressOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
