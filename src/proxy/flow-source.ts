/** What a data plane tells of its calls while somebody watches; made from what access logs are made from. */
import type { Flow, FlowDelivery, ProxyFlow, Verdict } from '../flows/flow.ts';
import type { PlacedOrigin } from '../lib/origin.ts';
import { addressText } from '../lib/socket-address.ts';
import { type TurnedAway, verdictOf } from './observed.ts';
import type { AccessRecord, RecordSink, ResponseFlag } from './types.ts';

/** The explicit proxy's destination for a name that has none. */
const NO_ADDRESS = '0.0.0.0';
const DEFAULT_PORTS: Readonly<Record<string, number | undefined>> = { http: 80, https: 443 };
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
}

export class DataPlaneFlows implements RecordSink {
  readonly #options: FlowSourceOptions;
  #deliver: FlowDelivery | undefined;
  /** Of calls that have begun while somebody watched. */
  #begun = new WeakMap<AccessRecord, string>();
  #since = 0;
  #ids = 0;

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
    if (deliver === undefined) return;
    if (!this.#begun.has(record) && record.started >= this.#since) this.begin(record);
    const duration = Math.max(0, record.ended - record.started);
    const id = this.#begun.get(record) ?? String(++this.#ids);
    deliver({
      kind: 'end',
      time: timeOf(record.startTime + duration),
      id,
      ...this.#facts(record),
      ...outcomeOf(record),
      duration: rounded(duration),
    });
  }

  turnedAway({ verdict, protocol, host, port, client, reason }: TurnedAway): void {
    const deliver = this.#deliver;
    if (deliver === undefined) return;
    const { workload } = this.#options;
    const call = {
      time: timeOf(this.#options.date()),
      id: String(++this.#ids),
      ...(workload !== undefined && { workload }),
      source: addressText(client),
      host: cut(host),
      port,
      protocol,
    };
    deliver({ kind: 'begin', ...call });
    deliver({ kind: 'end', ...call, verdict, reason, bytesSent: 0, bytesReceived: 0, duration: 0 });
  }

  #facts(record: AccessRecord): Pick<ProxyFlow, 'source' | 'host' | 'port' | 'protocol'> & Partial<ProxyFlow> {
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
      ...(route !== '' && { route }),
      ...(origins.length > 0 && { origins }),
    };
  }

  #called({ downstream, protocol, authority, scheme }: AccessRecord): Pick<Flow, 'host' | 'port'> {
    const { localAddress, localAddressRestored, serverName, asked } = downstream;
    const http = protocol !== '';
    const [, named = '', written] = http ? (/^(.*?)(?::(\d+))?$/.exec(authority) ?? []) : [];
    // A gateway's own port is not the one that was called.
    const port = written ?? (http && !localAddressRestored ? DEFAULT_PORTS[scheme] : undefined);
    const host = named || withinMesh(serverName) || asked || this.#options.nameOf(localAddress.ip) || localAddress.ip;
    return { host: cut(host.replace(/^\[|\]$/g, '')), port: port === undefined ? localAddress.port : Number(port) };
  }
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
function originsOf({ routeMetadata, clusterMetadata }: AccessRecord): readonly PlacedOrigin[] {
  const all = [routeMetadata, clusterMetadata].flatMap((metadata) => {
    const own = metadata?.sallyport as { readonly origins?: unknown } | undefined;
    return Array.isArray(own?.origins) ? (own.origins as PlacedOrigin[]) : [];
  });
  const same = (a: PlacedOrigin, b: PlacedOrigin) => a.kind === b.kind && a.namespace === b.namespace && a.name === b.name;
  return all.filter((origin, i) => all.findIndex((other) => same(origin, other)) === i);
}

function outcomeOf(record: AccessRecord): Partial<ProxyFlow> {
  const { flags, responseCode: status, responseCodeDetails: code, connectionTerminationDetails: termination, upstreamHost } = record;
  const { verdict, reason } = judged(record);
  const details = code || termination;
  return {
    verdict,
    ...(reason !== '' && { reason }),
    ...(status > 0 && { status }),
    ...(upstreamHost && { upstream: addressText(upstreamHost.address) }),
    ...(flags.length > 0 && { responseFlags: [...flags] }),
    ...(details !== '' && { responseCodeDetails: details }),
    bytesSent: record.bytesReceived,
    bytesReceived: record.bytesSent,
  };
}

function judged(record: AccessRecord): { readonly verdict: Verdict; readonly reason: string } {
  const { verdict, reason } = verdictOf(record);
  switch (verdict) {
    case 'refused':
      return { verdict, reason };
    case 'failed':
      return { verdict, reason: failureOf(record) };
    case 'undeclared':
      return { verdict: 'allowed', reason: 'nothing declares it' };
    default: {
      const broken = record.flags.some((flag) => BROKEN.has(flag));
      return broken ? { verdict: 'failed', reason: failureOf(record) } : { verdict: 'allowed', reason };
    }
  }
}

function failureOf({ upstreamTransportFailureReason: reason, responseCodeDetails: details, flags }: AccessRecord): string {
  return reason || details || flags.join(',');
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** To microseconds. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
