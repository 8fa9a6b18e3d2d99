/** What policies say of a call at a proxy: the data plane's own engine decides. */
import type { Certificate, SocketEnd } from '../http/connection.ts';
import { deniedDetails } from '../http/rbac/engine.ts';
import { compileNetworkRbac, type NetworkRbac } from '../http/rbac/network.ts';
import { policyOrigins, refusalText } from '../http/rbac/policies.ts';
import type { DynamicMetadata, JudgedConnection } from '../http/rbac/subject.ts';
import { messageOf } from '../lib/errors.ts';
import type { PlacedOrigin } from '../lib/origin.ts';
import type { RBAC } from '../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { HopContext } from './hop-options.ts';
import type { HopResult } from './recorder.ts';

const compiled = new WeakMap<RBAC, NetworkRbac | Error>();

/** The reason, as an error, where it can't be simulated. */
export function compiledRbac(config: RBAC, where: string): NetworkRbac | Error {
  let rbac = compiled.get(config);
  if (!rbac) {
    try {
      rbac = compileNetworkRbac(config, where);
    } catch (error) {
      rbac = error instanceof Error ? error : new Error(messageOf(error));
    }
    compiled.set(config, rbac);
  }
  return rbac;
}

export interface Refused {
  readonly details: string;
  /** As a clause. */
  readonly why: string;
  readonly origins: readonly PlacedOrigin[];
  /** Whether every call that this one stands for is refused. */
  readonly always: boolean;
}

export function refusedBy({ engine, judge }: NetworkRbac, hop: HopContext): Refused | undefined {
  const connection = connectionOf(hop, undefined);
  const { verdict } = judge(connection);
  if (!engine || verdict?.allowed !== false) return undefined;
  const always = judge(connection, { hosts: undefined, peer: !knowsPeer(hop) }).verdict?.allowed === false;
  return { details: deniedDetails(verdict), why: refusalText(engine, verdict), origins: policyOrigins(engine, verdict), always };
}

/** What a filter notes of the call, or may note of one that it stands for. */
export function notedBy({ judge }: NetworkRbac, hop: HopContext): DynamicMetadata {
  const open = hop.options.representative ? { hosts: undefined, peer: !knowsPeer(hop) } : undefined;
  return judge(connectionOf(hop, undefined), open).metadata ?? {};
}

/** Closes the call in place of sending it to the cluster. */
export function refuse({ proxy, options, recorder }: HopContext, { details, why, origins, always }: Refused, cluster: string): HopResult {
  if (proxy.cluster(cluster)) recorder.cluster = cluster;
  recorder.step('policy', '', why, origins);
  return options.representative && !always ? recorder.undecided(`${why}, which other calls may pass`) : recorder.closed('', details);
}

/** What policies see of the call's connection. `client`: what x-forwarded-for says, where that is believed. */
export function connectionOf({ serverName, call, terminated }: HopContext, client: SocketEnd | undefined): JudgedConnection {
  const { source, destination } = call;
  return {
    remoteAddress: client ?? source,
    directRemoteAddress: source,
    localAddress: destination,
    serverName,
    tls: terminated && { peer: identityCertificate(terminated.identity) },
  };
}

/** Whether it is known who the client is: it shows an identity of the mesh, or nothing. */
export function knowsPeer({ terminated }: HopContext): boolean {
  return terminated === undefined || terminated.identity !== undefined || terminated.certificate === 'none';
}

function identityCertificate(identity: string | undefined): Certificate | undefined {
  return identity === undefined ? undefined : { uriSans: [identity], dnsSans: [], subject: '', sha256: '' };
}
