/** Who the client is: x-forwarded-for, the trusted address in it, x-envoy-external-address and x-envoy-internal. */

import { cidrContains, isLoopback, parseIp } from '../lib/ip.ts';
import type { ClientConnection, SocketEnd } from './connection.ts';
import { SEEN } from './fields.ts';
import type { HeaderMap } from './header-map.ts';
import type { ManagerOptions } from './options.ts';

export interface ClientFacts {
  /** The address that counts as the client's; undefined if it is the connection's. */
  readonly trusted: SocketEnd | undefined;
  readonly internal: boolean;
  /** A request that enters the mesh here from outside: what its headers claim of the mesh is dropped. */
  readonly edge: boolean;
}

const PLAIN_CLIENT: ClientFacts = { trusted: undefined, internal: false, edge: false };
const EDGE_CLIENT: ClientFacts = { trusted: undefined, internal: false, edge: true };

/** Finds the client and, at the edge, appends the connection's address to x-forwarded-for and resets x-forwarded-proto. */
export function identifyClient(headers: HeaderMap, seen: number, connection: ClientConnection, options: ManagerOptions): ClientFacts {
  const forwarded = (seen & SEEN.forwardedFor) === 0 ? undefined : joined(headers);
  if (!options.useRemoteAddress) {
    if (forwarded === undefined) return PLAIN_CLIENT;
    const ip = addressAt(forwarded, options.trustedHops);
    if (ip === undefined) return PLAIN_CLIENT;
    const single = !forwarded.includes(',');
    return { trusted: { ip, port: 0 }, internal: single && isInternal(ip, options), edge: false };
  }
  const { remoteAddress } = connection;
  const behindProxies = options.trustedHops > 0 && forwarded !== undefined;
  const ip = behindProxies ? addressAt(forwarded, options.trustedHops - 1) : undefined;
  if (!options.skipXffAppend) {
    const hop = parseIp(remoteAddress.ip);
    // A client on this machine is no address that anyone behind could use.
    const appended = hop && isLoopback(hop) ? connection.localAddress.ip : remoteAddress.ip;
    headers.set('x-forwarded-for', forwarded ? `${forwarded},${appended}` : appended);
  }
  if (believesConnection(options) || !headers.has('x-forwarded-proto')) headers.set('x-forwarded-proto', connection.tls ? 'https' : 'http');
  if (options.appendForwardedPort && (options.trustedHops === 0 || !headers.has('x-forwarded-port'))) {
    headers.set('x-forwarded-port', String(connection.localAddress.port));
  }
  const internal = options.internalRanges.length > 0 && forwarded === undefined && isInternal(remoteAddress.ip, options);
  if (!internal) {
    headers.set('x-envoy-external-address', ip ?? remoteAddress.ip);
    if (ip === undefined) return EDGE_CLIENT;
  }
  return { trusted: ip === undefined ? undefined : { ip, port: 0 }, internal, edge: !internal };
}

/** A field that comes several times is one list (RFC 9110 §5.3): its last entry is the nearest proxy's. */
function joined(headers: HeaderMap): string | undefined {
  const all = headers.all('x-forwarded-for');
  return all.length > 1 ? all.filter((each) => each !== '').join(',') : all[0];
}

/** At the edge a proxy believes its own connection, not what a client says of the scheme. */
export function believesConnection({ useRemoteAddress, trustedHops }: Pick<ManagerOptions, 'useRemoteAddress' | 'trustedHops'>): boolean {
  return useRemoteAddress && trustedHops === 0;
}

/** The address `hops` from the right, if it is one. */
function addressAt(forwarded: string, hops: number): string | undefined {
  const parts = forwarded.split(',');
  const text = parts[parts.length - 1 - hops]?.trim();
  if (!text) return undefined;
  return parseIp(text) ? text : undefined;
}

function isInternal(ip: string, options: ManagerOptions): boolean {
  const words = parseIp(ip);
  return words !== undefined && options.internalRanges.some((range) => cidrContains(range, words));
}

/** Headers by which a client inside the mesh steers a proxy; from anyone else they are dropped. */
const INTERNAL_ONLY = [
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-upstream-stream-duration-ms',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
];

const EDGE_ONLY = [
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-original-path',
  'x-envoy-original-host',
];

/** Drops the `x-envoy-*` that this client has no say in. */
export function sanitizeEnvoyHeaders(headers: HeaderMap, client: ClientFacts): void {
  headers.remove('x-envoy-internal');
  if (client.internal) return;
  if (client.edge) for (const name of EDGE_ONLY) headers.remove(name);
  for (const name of INTERNAL_ONLY) headers.remove(name);
}
