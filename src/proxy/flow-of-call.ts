/** The flow of a call: what its record says, as whoever watches is told it. */
import type { ProxyFlow, Verdict } from '../flows/flow.ts';
import type { PlacedOrigin } from '../lib/origin.ts';
import { addressText } from '../lib/socket-address.ts';
import { table } from '../lib/table.ts';
import { PASSTHROUGH_CLUSTER } from '../xds/names.ts';
import { throughProxyAt } from '../xds/through.ts';
import { failureOf, verdictOf } from './observed.ts';
import type { AccessRecord, Downstream, ResponseFlag, UpstreamHost } from './types.ts';

/** The explicit proxy's destination for a name that has none. */
const NO_ADDRESS = '0.0.0.0';
const DEFAULT_PORTS: Readonly<Record<string, number | undefined>> = table({ http: 80, https: 443 });
/** Hosts and paths that are longer are cut. */
const LONGEST = 1024;

/** The server was reached, and did not answer to the end. */
const BROKEN: ReadonlySet<ResponseFlag> = new Set(['UC', 'UT', 'UR', 'LR', 'UPE', 'SI', 'FI', 'DT', 'OM']);

/** What a call's record does not say. */
export interface FlowNames {
  /** Workload of the proxy, `namespace/name`, where it is the one that calls. */
  readonly workload: string | undefined;
  /** The name for which a client was answered this address, where that is known. */
  readonly nameOf: (ip: string) => string | undefined;
}

/** What a flow is made of. A connection's socket is no part of it: it would be held for as long as the call is remembered. */
export type Told = Pick<
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
  readonly downstream: Pick<Downstream, 'remoteAddress' | 'localAddress' | 'localAddressRestored' | 'asked' | 'serverName'> & {
    readonly tls: { readonly peer: { readonly uriSans: readonly string[] } | undefined } | undefined;
  };
  readonly upstreamHost: Pick<UpstreamHost, 'address'> | undefined;
};

/** @param id the same for the end */
export function beginOf(told: Told, id: string, names: FlowNames): ProxyFlow {
  return { kind: 'begin', time: timeOf(told.startTime), id, ...factsOf(told, names) };
}

export function endOf(told: Told, id: string, names: FlowNames): ProxyFlow {
  const duration = Math.max(0, told.ended - told.started);
  return {
    kind: 'end',
    time: timeOf(told.startTime + duration),
    id,
    ...factsOf(told, names),
    ...outcomeOf(told),
    duration: rounded(duration),
  };
}

function factsOf(
  record: Told,
  { workload: own, nameOf }: FlowNames,
): Pick<ProxyFlow, 'source' | 'host' | 'port' | 'protocol'> & Partial<ProxyFlow> {
  const { downstream, method, path, upstreamCluster: cluster, routeName: route } = record;
  const workload = downstream.tls?.peer?.uriSans[0] ?? own;
  const http = record.protocol !== '';
  const origins = originsOf(record);
  return {
    ...(workload !== undefined && { workload }),
    source: addressText(downstream.remoteAddress),
    ...(downstream.localAddress.ip !== NO_ADDRESS && { destination: addressText(downstream.localAddress) }),
    ...calledBy(record, nameOf),
    protocol: http ? 'http' : downstream.serverName !== '' || downstream.tls ? 'tls' : 'tcp',
    ...(http && { method }),
    ...(http && path !== '' && { path: cut(withoutQuery(path)) }),
    ...(cluster !== '' && { cluster }),
    ...(cluster === PASSTHROUGH_CLUSTER && { undeclared: true }),
    ...(route !== '' && { route }),
    ...(origins.length > 0 && { origins }),
  };
}

function calledBy({ downstream, protocol, authority, scheme }: Told, nameOf: FlowNames['nameOf']): Pick<ProxyFlow, 'host' | 'port'> {
  const { localAddress, localAddressRestored, serverName, asked } = downstream;
  const http = protocol !== '';
  const [, named = '', written] = http ? (/^(.*?)(?::(\d+))?$/.exec(authority) ?? []) : [];
  // A gateway's own port is not the one that was called.
  const port = written ?? (http && !localAddressRestored ? DEFAULT_PORTS[scheme] : undefined);
  const host = named || withinMesh(serverName) || asked || nameOf(localAddress.ip) || localAddress.ip;
  return { host: cut(host.replace(/^\[|\]$/g, '')), port: port === undefined ? localAddress.port : Number(port) };
}

/** Of a record that is at its end, without what it holds on to. */
export function toldOf(record: AccessRecord): Told {
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

export function cut(text: string): string {
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

/** @param ms since the epoch */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** To microseconds. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
