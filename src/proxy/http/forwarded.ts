/** Who the client is: x-forwarded-for, the trusted address in it, x-envoy-external-address and x-envoy-internal. */

import type { HeaderMap } from '../../http/header-map.ts';
import { cidrContains, isLoopback, parseIp } from '../../lib/ip.ts';
import type { Address, Downstream } from '../types.ts';
import { SEEN } from './h1/fields.ts';
import type { ManagerOptions } from './options.ts';

export interface ClientFacts {
  /** The address that counts as the client's; undefined if it is the connection's. */
  readonly trusted: Address | undefined;
  readonly internal: boolean;
  /** A request that enters the mesh here from outside: what its headers claim of the mesh is dropped. */
  readonly edge: boolean;
}

const PLAIN_CLIENT: ClientFacts = { trusted: undefined, internal: false, edge: false };
const EDGE_CLIENT: ClientFacts = { trusted: undefined, internal: false, edge: true };

/** Finds the client and, at the edge, appends the connection's address to x-forwarded-for and resets x-forwarded-proto. */
export function identifyClient(headers: HeaderMap, seen: number, downstream: Downstream, options: ManagerOptions): ClientFacts {
  const forwarded = (seen & SEEN.forwardedFor) === 0 ? undefined : headers.get('x-forwarded-for');
  if (!options.useRemoteAddress) {
    if (forwarded === undefined) return PLAIN_CLIENT;
    const ip = addressAt(forwarded, options.trustedHops);
    if (ip === undefined) return PLAIN_CLIENT;
    const single = !forwarded.includes(',');
    return { trusted: { ip, port: 0 }, internal: single && isInternal(ip, options), edge: false };
  }
  const { remoteAddress } = downstream;
  const behindProxies = options.trustedHops > 0 && forwarded !== undefined;
  const ip = behindProxies ? addressAt(forwarded, options.trustedHops - 1) : undefined;
  if (!options.skipXffAppend) {
    const hop = parseIp(remoteAddress.ip);
    // A client on this machine is no address that anyone behind could use.
    const appended = hop && isLoopback(hop) ? downstream.localAddress.ip : remoteAddress.ip;
    headers.set('x-forwarded-for', forwarded ? `${forwarded},${appended}` : appended);
  }
  if (options.trustedHops === 0 || !headers.has('x-forwarded-proto')) headers.set('x-forwarded-proto', downstream.tls ? 'https' : 'http');
  if (options.appendForwardedPort && (options.trustedHops === 0 || !headers.has('x-forwarded-port'))) {
    headers.set('x-forwarded-port', String(downstream.localAddress.port));
  }
  const internal = options.internalRanges.length > 0 && forwarded === undefined && isInternal(remoteAddress.ip, options);
  if (!internal) {
    headers.set('x-envoy-external-address', ip ?? remoteAddress.ip);
    if (ip === undefined) return EDGE_CLIENT;
  }
  return { trusted: ip === undefined ? undefined : { ip, port: 0 }, internal, edge: !internal };
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
