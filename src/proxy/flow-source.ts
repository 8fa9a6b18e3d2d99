/**
 * What a data plane tells of its calls while somebody watches; made from what access logs are made from. Of the calls before, it remembers the last ones as the
 * records they are: making flows of all would cost a good part of what a proxied request does.
 */
import { type Flow, type FlowDelivery, MOST_RECENT, type ProxyFlow, type Verdict } from '../flows/flow.ts';
import { Ring } from '../flows/ring.ts';
import type { PlacedOrigin } from '../lib/origin.ts';
import { addressText } from '../lib/socket-address.ts';
import { table } from '../lib/table.ts';
import { throughProxyAt } from '../xds/through.ts';
import { failureOf, PASSTHROUGH, type TurnedAway, verdictOf } from './observed.ts';
import type { AccessRecord, Downstream, RecordSink, ResponseFlag, UpstreamHost } from './types.ts';

/** The explicit proxy's destination for a name that has none. */
const NO_ADDRESS = '0.0.0.0';
const DEFAULT_PORTS: Readonly<Record<string, number | undefined>> = table({ http: 80, https: 443 });
/** Hosts and paths that are longer are cut. */
const LONGEST = 1024;

/** The server was reached, and did not answer to the end. */
const BROKEN: ReadonlySet<ResponseFlag> = new Set(['UC', 'UT', 'UR', 'LR', 'UPE', 'SI', 'FI', 'DT', 'OM']);

export interface FlowSourceOptions {
  /** Workload of the proxy, `namespace/name`, where it is the one that calls. */
  readonly workload: string | undefined;
  /** Milliseconds: monotonic, and since the epoch. */
  readonly now: () => number;
  readonly date: () => number;
  /** The name for which a client was answered this address, where that is known. */
  readonly nameOf: (ip: string) => string | undefined;
  /** Takes the end of every call, whether or not somebody watches. */
  readonly audit?: ((flow: ProxyFlow) => void) | undefined;
}

/** What a flow is made of. A connection's socket is no part of it: it would be held for as long as the call is remembered. */
type Told = Pick<
  AccessRecord,
  | 'protocol'
  | 'startTime'
  | 'started'
  | 'ended'
  | 'method'
  | 'path'
  | 'authority'
  | 'scheme'
  | 'responseCode'
  | 'responseCodeDetails'
  | 'connectionTerminationDetails'
  | 'flags'
  | 'bytesReceived'
  | 'bytesSent'
  | 'routeName'
  | 'routeMetadata'
  | 'clusterMetadata'
  | 'upstreamCluster'
  | 'upstreamTransportFailureReason'
> & {
  readonly downstream: Pick<Downstream, 'remoteAddress' | 'localAddress' | 'localAddressRestored' | 'asked' | 'serverName' | 'tls'>;
  readonly upstreamHost: Pick<UpstreamHost, 'address'> | undefined;
};

export class DataPlaneFlows implements RecordSink {
  readonly #options: FlowSourceOptions;
  #deliver: FlowDelivery | undefined;
  /** Of calls that have begun while somebody watched. */
  #begun = new WeakMap<AccessRecord, string>();
  #since = 0;
  #ids = 0;
  /** Ends of calls. */
  readonly #recent = new Ring<() => ProxyFlow>(MOST_RECENT);

  constructor(options: FlowSourceOptions) {
    this.#options = options;
  }

  /** From now on flows go there, or nowhere. */
  watch(deliver: FlowDelivery | undefined): void {
    if (deliver && !this.#deliver) {
      this.#since = this.#options.now();
      this.#begun = new WeakMap();
    }
    this.#deliver = deliver;
  }

  begin(record: AccessRecord): void {
    if (this.#deliver === undefined) return;
    const id = String(++this.#ids);
    this.#begun.set(record, id);
    this.#deliver({ kind: 'begin', time: timeOf(record.startTime), id, ...this.#facts(record) });
  }

  /** The end. What was decided before the call got anywhere begins here; what began before anybody watched only ends. */
  record(record: AccessRecord): void {
    const deliver = this.#deliver;
    const { audit } = this.#options;
    if (deliver === undefined && audit === undefined) {
      const told = toldOf(record);
      const id = ++this.#ids;
      this.#recent.add(() => this.#end(told, String(id)));
      return;
    }
    if (deliver && !this.#begun.has(record) && record.started >= this.#since) this.begin(record);
    const end = this.#end(record, this.#begun.get(record) ?? String(++this.#ids));
    this.#recent.add(() => end);
    audit?.(end);
    deliver?.(end);
  }

  /** The ends of the last calls, oldest first. */
  get recent(): readonly ProxyFlow[] {
    return this.#recent.all.map((flow) => flow());
  }

  #end(record: Told, id: string): ProxyFlow {
    const duration = Math.max(0, record.ended - record.started);
    return {
      kind: 'end',
      time: timeOf(record.startTime + duration),
      id,
      ...this.#facts(record),
      ...outcomeOf(record),
      duration: rounded(duration),
    };
  }

  turnedAway({ verdict, protocol, host, port, client, reason, undeclared }: TurnedAway): void {
    const { workload } = this.#options;
    const call = {
      time: timeOf(this.#options.date()),
      id: String(++this.#ids),
      ...(workload !== undefined && { workload }),
      source: addressText(client),
      host: cut(host),
      port,
      protocol,
      ...(undeclared && { undeclared }),
    };
    const end = { kind: 'end', ...call, verdict, reason, bytesSent: 0, bytesReceived: 0, duration: 0 } as const;
    this.#recent.add(() => end);
    this.#options.audit?.(end);
    this.#deliver?.({ kind: 'begin', ...call });
    this.#deliver?.(end);
  }

  #facts(record: Told): Pick<ProxyFlow, 'source' | 'host' | 'port' | 'protocol'> & Partial<ProxyFlow> {
    const { downstream, method, path, upstreamCluster: cluster, routeName: route } = record;
    const workload = downstream.tls?.peer?.uriSans[0] ?? this.#options.workload;
    const http = record.protocol !== '';
    const origins = originsOf(record);
    return {
      ...(workload !== undefined && { workload }),
      source: addressText(downstream.remoteAddress),
      ...(downstream.localAddress.ip !== NO_ADDRESS && { destination: addressText(downstream.localAddress) }),
      ...this.#called(record),
      protocol: http ? 'http' : downstream.serverName !== '' || downstream.tls ? 'tls' : 'tcp',
      ...(http && { method }),
      ...(http && path !== '' && { path: cut(withoutQuery(path)) }),
      ...(cluster !== '' && { cluster }),
      ...(cluster === PASSTHROUGH && { undeclared: true }),
      ...(route !== '' && { route }),
      ...(origins.length > 0 && { origins }),
    };
  }

  #called({ downstream, protocol, authority, scheme }: Told): Pick<Flow, 'host' | 'port'> {
    const { localAddress, localAddressRestored, serverName, asked } = downstream;
    const http = protocol !== '';
    const [, named = '', written] = http ? (/^(.*?)(?::(\d+))?$/.exec(authority) ?? []) : [];
    // A gateway's own port is not the one that was called.
    const port = written ?? (http && !localAddressRestored ? DEFAULT_PORTS[scheme] : undefined);
    const host = named || withinMesh(serverName) || asked || this.#options.nameOf(localAddress.ip) || localAddress.ip;
    return { host: cut(host.replace(/^\[|\]$/g, '')), port: port === undefined ? localAddress.port : Number(port) };
  }
}

function toldOf(record: AccessRecord): Told {
  const { downstream, upstreamHost } = record;
  const { remoteAddress, localAddress, localAddressRestored, asked, serverName, tls } = downstream;
  return {
    downstream: { remoteAddress, localAddress, localAddressRestored, asked, serverName, tls },
    protocol: record.protocol,
    startTime: record.startTime,
    started: record.started,
    ended: record.ended,
    method: record.method,
    path: cut(record.path),
    authority: record.authority,
    scheme: record.scheme,
    responseCode: record.responseCode,
    responseCodeDetails: record.responseCodeDetails,
    connectionTerminationDetails: record.connectionTerminationDetails,
    flags: record.flags,
    bytesReceived: record.bytesReceived,
    bytesSent: record.bytesSent,
    routeName: record.routeName,
    routeMetadata: record.routeMetadata,
    clusterMetadata: record.clusterMetadata,
    upstreamCluster: record.upstreamCluster,
    upstreamHost: upstreamHost && { address: upstreamHost.address },
    upstreamTransportFailureReason: record.upstreamTransportFailureReason,
  };
}

/** Between two proxies a server name holds the port, the subset and the host: `outbound_.443_.v1_.www.example.com` (Istio's SNI DNAT). */
function withinMesh(serverName: string): string {
  return /^outbound_\.\d+_\.[^_]*_\.(.+)$/.exec(serverName)?.[1] ?? serverName;
}

function withoutQuery(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

function cut(text: string): string {
  return text.length > LONGEST ? text.slice(0, LONGEST) : text;
}

/** As translation writes them. */
function originsOf({ routeMetadata, clusterMetadata }: Told): readonly PlacedOrigin[] {
  const all = [routeMetadata, clusterMetadata].flatMap((metadata) => {
    const own = metadata?.sallyport as { readonly origins?: unknown } | undefined;
    return Array.isArray(own?.origins) ? (own.origins as PlacedOrigin[]) : [];
  });
  const same = (a: PlacedOrigin, b: PlacedOrigin) => a.kind === b.kind && a.namespace === b.namespace && a.name === b.name;
  return all.filter((origin, i) => all.findIndex((other) => same(origin, other)) === i);
}

function outcomeOf(record: Told): Partial<ProxyFlow> {
  const { flags, responseCode: status, responseCodeDetails: code, connectionTerminationDetails: termination, upstreamHost } = record;
  const { verdict, reason } = judged(record);
  const details = code || termination;
  return {
    verdict,
    ...(reason !== '' && { reason }),
    ...(status > 0 && { status }),
    ...(upstreamHost && { upstream: throughProxyAt(upstreamHost.address.ip) ?? addressText(upstreamHost.address) }),
    ...(flags.length > 0 && { responseFlags: [...flags] }),
    ...(details !== '' && { responseCodeDetails: details }),
    bytesSent: record.bytesReceived,
    bytesReceived: record.bytesSent,
  };
}

function judged(record: Told): { readonly verdict: Verdict; readonly reason: string } {
  const { verdict, reason } = verdictOf(record);
  switch (verdict) {
    case 'refused':
    case 'failed':
      return { verdict, reason };
    default: {
      const failed = record.flags.some((flag) => BROKEN.has(flag)) || (verdict === 'undeclared' && record.upstreamHost === undefined);
      if (failed) return { verdict: 'failed', reason: failureOf(record) };
      return { verdict: 'allowed', reason: verdict === 'undeclared' ? 'nothing declares it' : reason };
    }
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** To microseconds. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
