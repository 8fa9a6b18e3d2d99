/** Finds in the proxies' logs which calls left the mesh: one entry for each host, port and protocol. Pure. */
import { addressOf, declaredHost, hostOf, isAllocated, isDeclarable, isInside, portOf } from './hosts.ts';
import type { LogRecord } from './records.ts';

export interface Observed {
  /** A name, or an address where the calls named none. */
  readonly host: string;
  /** As the application calls it. */
  readonly port: number;
  readonly protocol: 'HTTP' | 'TLS' | 'TCP';
  /** The port at which a gateway originated TLS for it; undefined where none did. */
  readonly originatedAt: number | undefined;
  /** Addresses that applications connected to for it, those that a mesh gives to names left out; at most 16. */
  readonly addresses: readonly string[];
  /** Addresses of the callers; undefined unless all of them are known. */
  readonly clients: readonly string[] | undefined;
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

/** Calls through the mesh that no resource can be written for. */
interface Unplaced {
  readonly host: string;
  readonly port: number;
  readonly why: string;
  readonly count: number;
}

export interface Observation {
  readonly records: number;
  readonly calls: readonly RecordedCall[];
  /** Calls that were not kept apart by path and client, as there were too many; they stand in `calls` as one of their kind. */
  readonly folded: number;
  /** Sorted by host, port and protocol. */
  readonly observed: readonly Observed[];
  readonly unplaced: readonly Unplaced[];
  /** Records of calls that stayed in the mesh, came in, or were answered by a proxy. */
  readonly inside: number;
  /** Records of calls that were refused. */
  readonly refused: number;
}

const REFUSED = /\b(?:NR|NC|RBAC|UAEX|RL|RLSE|DPE|FI)\b/;
/** Ports at which the sidecar takes calls that it was not redirected. */
const OWN_PORTS = new Set([15_001, 15_006, 15_080]);
const MOST_ADDRESSES = 16;
const MOST_CLIENTS = 1000;
/** Calls that are kept apart by method, path and client; beyond them memory would grow with the log. */
const MOST_CALLS = 20_000;
const LONGEST_PATH = 1024;

/** Where it was seen: at a sidecar that goes to a gateway, at a sidecar that leaves, or at a gateway. */
type Place = 'relayed' | 'sidecar' | 'gateway';

interface Sighting {
  readonly host: string;
  readonly port: number;
  readonly protocol: Observed['protocol'];
  readonly at: Place;
  /** TLS was originated for it. */
  readonly secured: boolean;
  /** The address that the client connected to; empty if it is not known. */
  readonly dialled: string;
}

interface Entry extends Pick<Sighting, 'host' | 'port' | 'protocol' | 'at'> {
  readonly addresses: Set<string>;
  /** Undefined once one is not known, or there are too many. */
  clients: Set<string> | undefined;
  secured: boolean;
  count: number;
  lastSeen: string;
}

interface KeptCall extends Pick<Sighting, 'at'> {
  readonly call: Omit<RecordedCall, 'count'>;
  count: number;
}

/** Takes records one by one; what it keeps grows with the number of hosts, not with that of records. */
export class Observer {
  readonly #entries = new Map<string, Entry>();
  readonly #calls = new Map<string, KeptCall>();
  readonly #unplaced = new Map<string, { -readonly [K in keyof Unplaced]: Unplaced[K] }>();
  #records = 0;
  #folded = 0;
  #inside = 0;
  #refused = 0;

  /** Returns what was called if it is the first of its host, port and protocol. */
  add(record: LogRecord): Pick<Observed, 'host' | 'port' | 'protocol'> | undefined {
    this.#records++;
    if (isRefused(record)) {
      this.#refused++;
      return undefined;
    }
    const sighting = sightingOf(record);
    if (!sighting) {
      this.#inside++;
      return undefined;
    }
    if (isInside(sighting.host) || !isDeclarable(sighting.host)) {
      this.#leaveOut(sighting);
      return undefined;
    }
    this.#keepCall(sighting, { ...record, from: addressOf(record.remote), count: 1 });
    return this.#keepEntry(sighting, { time: record.time, client: addressOf(record.remote), count: 1 }) ? sighting : undefined;
  }

  /** Goes on from what was seen before. */
  resume({ host, port, protocol, count, lastSeen }: Observed): void {
    const sighting: Sighting = { host, port, protocol, at: 'sidecar', secured: false, dialled: '' };
    const isHttp = protocol === 'HTTP';
    this.#keepCall(sighting, { method: isHttp ? 'GET' : '', path: isHttp ? '/' : '', from: '', count });
    this.#keepEntry(sighting, { time: lastSeen, client: '', count });
  }

  #leaveOut({ host, port }: Sighting): void {
    const shown = host.slice(0, 80);
    const key = `${shown} ${port}`;
    const known = this.#unplaced.get(key);
    if (known) known.count++;
    else if (this.#unplaced.size < 100) this.#unplaced.set(key, { host: shown, port, why: whyUnplaced(host), count: 1 });
  }

  /** Returns whether it is new. */
  #keepEntry(
    { host, port, protocol, at, secured, dialled }: Sighting,
    { time, client, count }: { readonly time: string; readonly client: string; readonly count: number },
  ): boolean {
    const key = `${at} ${host} ${port} ${protocol}`;
    let entry = this.#entries.get(key);
    const isNew = entry === undefined;
    if (!entry) {
      entry = { host, port, protocol, at, addresses: new Set(), clients: new Set(), secured, count: 0, lastSeen: '' };
      this.#entries.set(key, entry);
    }
    entry.count += count;
    entry.secured ||= secured;
    if (time > entry.lastSeen) entry.lastSeen = time;
    if (client === '' || (entry.clients && entry.clients.size >= MOST_CLIENTS)) entry.clients = undefined;
    else entry.clients?.add(client);
    if (dialled !== '' && entry.addresses.size < MOST_ADDRESSES) entry.addresses.add(dialled);
    return isNew;
  }

  #keepCall(
    { host, port, protocol, at }: Sighting,
    { method, path, from, count }: Pick<RecordedCall, 'method' | 'path' | 'from' | 'count'>,
  ): void {
    const kind = { host, port, protocol, method };
    const whole = { ...kind, path, from };
    const isKnown = this.#calls.has(`${at} ${JSON.stringify(whole)}`);
    if (isKnown || (this.#calls.size < MOST_CALLS && path.length <= LONGEST_PATH)) {
      this.#count(at, whole, count);
    } else {
      this.#folded += count;
      this.#count(at, { ...kind, path: protocol === 'HTTP' ? '/' : '', from: '' }, count);
    }
  }

  #count(at: Place, call: KeptCall['call'], count: number): void {
    const key = `${at} ${JSON.stringify(call)}`;
    const known = this.#calls.get(key);
    if (known) known.count += count;
    else this.#calls.set(key, { at, call, count });
  }

  observation(): Observation {
    const entries = [...this.#entries.values()];
    const relayed = new Set(entries.flatMap(({ at, host }) => (at === 'relayed' ? [host] : [])));
    const secured = new Set(entries.flatMap((entry) => (entry.at === 'gateway' && entry.secured ? [entry.host] : [])));
    // A gateway logs again what a sidecar sent to it.
    const counts = ({ at, host }: { at: Place; host: string }) => at !== 'gateway' || !relayed.has(host);
    const observed = new Map<string, Observed>();
    for (const entry of entries.filter(counts)) {
      const { host, port, protocol, at } = entry;
      const key = `${host} ${port} ${protocol}`;
      const known = observed.get(key);
      const originates = protocol === 'HTTP' && port !== 443 && (entry.secured || (at === 'relayed' && secured.has(host)));
      observed.set(key, {
        host,
        port,
        protocol,
        originatedAt: originates ? 443 : known?.originatedAt,
        addresses: [...new Set([...(known?.addresses ?? []), ...entry.addresses])].sort().slice(0, MOST_ADDRESSES),
        clients: known && !known.clients ? undefined : entry.clients && [...new Set([...(known?.clients ?? []), ...entry.clients])].sort(),
        count: (known?.count ?? 0) + entry.count,
        lastSeen: known && known.lastSeen > entry.lastSeen ? known.lastSeen : entry.lastSeen,
      });
    }
    return {
      records: this.#records,
      calls: this.#callsThat((kept) => counts({ at: kept.at, host: kept.call.host })),
      folded: this.#folded,
      observed: [...observed.values()].sort((a, b) => compare(a.host, b.host) || a.port - b.port || compare(a.protocol, b.protocol)),
      unplaced: [...this.#unplaced.values()],
      inside: this.#inside,
      refused: this.#refused,
    };
  }

  #callsThat(counts: (kept: KeptCall) => boolean): RecordedCall[] {
    const calls = new Map<string, RecordedCall>();
    for (const kept of this.#calls.values()) {
      if (!counts(kept)) continue;
      const key = JSON.stringify(kept.call);
      calls.set(key, { ...kept.call, count: (calls.get(key)?.count ?? 0) + kept.count });
    }
    return [...calls.values()];
  }
}

function whyUnplaced(host: string): string {
  if (!isInside(host)) return 'it is no host name';
  return host.includes('.') ? 'it is a Service of the cluster' : 'a name without a domain is one of the machine or the cluster';
}

function isRefused({ flags, cluster, route }: LogRecord): boolean {
  return REFUSED.test(flags) || cluster === 'BlackHoleCluster' || route === 'block_all';
}

function sightingOf(record: LogRecord): Sighting | undefined {
  const { cluster, authority, serverName, local, upstream, details, method } = record;
  const [direction, clusterPort, , service = ''] = cluster.split('|');
  if (direction === 'inbound' || (cluster === '' && details === 'direct_response')) return undefined;
  const called = hostOf(authority) || serverName.toLowerCase();
  // A name that resources have given to an address.
  const named = called === declaredHost(addressOf(local)) ? addressOf(local) : called;
  const protocol = record.protocol.startsWith('HTTP') || method !== '' ? 'HTTP' : serverName !== '' ? 'TLS' : 'TCP';
  const at = portOf(local);
  const asked = at !== undefined && !OWN_PORTS.has(at) ? at : undefined;
  const dialled = asked === undefined || isAllocated(addressOf(local)) ? '' : addressOf(local);
  if (isInside(service)) {
    if (named === '' || isInside(named) || asked === undefined) return undefined;
    return { host: named, port: asked, protocol, at: 'relayed', secured: false, dialled };
  }
  const port = clusterPort ? Number(clusterPort) : (asked ?? portOf(upstream));
  const host = hostFor(service, named, { local, upstream, asked });
  if (host === '' || port === undefined || (isInside(host) && cluster !== 'PassthroughCluster')) return undefined;
  const atGateway = clusterPort !== undefined && clusterPort !== '' && asked !== undefined && asked !== port;
  const secured = protocol === 'HTTP' && clusterPort !== undefined && (port === 443 || portOf(upstream) === 443) && atGateway;
  return {
    host,
    // Applications call port 80 of what is originated at 443.
    port: secured && port === 443 ? 80 : port,
    protocol,
    at: atGateway ? 'gateway' : 'sidecar',
    secured,
    dialled: atGateway ? '' : dialled,
  };
}

/** The service's own name, else what the call names, else the address that it went to. */
function hostFor(
  service: string,
  named: string,
  { local, upstream, asked }: { readonly local: string; readonly upstream: string; readonly asked: number | undefined },
): string {
  if (service !== '' && !service.startsWith('*')) {
    const address = addressOf(upstream);
    // A name that resources have given to an address.
    return service === declaredHost(address) ? address : service;
  }
  return named || addressOf(service === '' && asked !== undefined ? local : upstream);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
