/** What is told of the calls of a contained command: made from the records that access logs are made from. */
import { type Contained, NOT_ALLOWED, type ObservedCall } from '../lib/contained.ts';
import { refusedBy } from '../lib/refused-host.ts';
import { BLACK_HOLE_CLUSTER, BLOCK_ALL, PASSTHROUGH_CLUSTER } from '../xds/names.ts';
import type { InterceptedConnection, InterceptionWatch } from './listener/interception.ts';
import type { AccessRecord, Address, RecordSink } from './types.ts';

/** A call that came to nothing before there was a record of it. */
export interface TurnedAway {
  readonly verdict: 'refused' | 'failed';
  readonly protocol: 'http' | 'tcp' | 'dns';
  readonly host: string;
  /** 0 for a question for a name. */
  readonly port: number;
  readonly client: Address;
  readonly reason: string;
  /** Nothing declares what was called, and it was not refused for that. */
  readonly undeclared?: boolean;
}

/** Routes by which translation refuses: of what nothing declares, in Istio's words, and of what cannot be honoured. */
const REFUSING: ReadonlySet<string> = new Set([BLOCK_ALL, 'refused']);
/** So many names are remembered by the addresses that were answered for them. */
const MOST_NAMES = 10_000;

export class Observer implements RecordSink {
  readonly #observe: Contained['observe'];
  readonly #turnedAway: (call: TurnedAway) => void;
  readonly #names = new Map<string, string>();
  /** Connections whose TLS is intercepted, and on which no request has come. */
  readonly #silent = new Set<number>();

  /** @param turnedAway hears of calls of which there is no record */
  constructor(observe: Contained['observe'], turnedAway: (call: TurnedAway) => void) {
    this.#observe = observe;
    this.#turnedAway = turnedAway;
  }

  /** Of connections whose TLS is intercepted. */
  readonly interception: InterceptionWatch = {
    failed: (connection, failure) => this.#distrusts(connection, failure),
    began: ({ id }) => void this.#silent.add(id),
    // The records of its requests come first.
    closed: (connection) =>
      void setImmediate(() => {
        if (this.#silent.delete(connection.id)) this.#distrusts(connection, 'it ended the connection once it had seen it');
      }),
  };

  #distrusts({ host, port, client }: InterceptedConnection, failure: string): void {
    const reason =
      `the client did not go on with the certificate by which its TLS is intercepted (${alertText(failure)}): it knows the host's own, or trusts other CAs than ` +
      'those that the variables name (SSL_CERT_FILE and the like). Leave tls.intercept out for the host, or have the client trust that file';
    this.#observe({ ...NOTHING, verdict: 'failed', host, port, client, reason, notable: true });
    this.#turnedAway({ verdict: 'failed', protocol: 'tcp', host, port, client, reason });
  }

  nameOf(ip: string): string | undefined {
    return this.#names.get(ip);
  }

  /** A client learned that the name has these addresses. */
  answered(name: string, ips: readonly string[]): void {
    if (this.#names.size > MOST_NAMES) this.#names.clear();
    for (const ip of ips) this.#names.set(ip, name);
  }

  unresolved(name: string, client: Address): void {
    const reason = 'nothing declares the name';
    this.#observe({ ...NOTHING, verdict: 'unresolved', host: name, port: 0, client, reason });
    this.#turnedAway({ verdict: 'refused', protocol: 'dns', host: name, port: 0, client, reason });
  }

  refused(target: { readonly host: string; readonly port: number }, client: Address, protocol: 'http' | 'tcp', reason = NOT_ALLOWED): void {
    this.#observe({ ...NOTHING, ...target, verdict: 'refused', client, reason });
    this.#turnedAway({ ...target, verdict: 'refused', protocol, client, reason });
  }

  /** A name that nothing declares was to be called, and is not, as it has no address. */
  undeclared(target: { readonly host: string; readonly port: number }, client: Address): void {
    this.#observe({ ...NOTHING, ...target, verdict: 'undeclared', client, reason: '' });
  }

  record(record: AccessRecord): void {
    const { downstream, bytesReceived: bytesSent, bytesSent: bytesReceived } = record;
    this.#silent.delete(downstream.id);
    const { ip, port } = downstream.localAddress;
    const authority = record.authority.replace(/:\d+$/, '');
    const host = downstream.serverName || authority || downstream.asked || this.#names.get(ip) || ip;
    this.#observe({ ...verdictOf(record), host, port, client: downstream.directRemoteAddress, bytesSent, bytesReceived });
  }
}

/** What the client said, of OpenSSL's text; else that text. */
function alertText(failure: string): string {
  return /alert ([a-z ]+)/.exec(failure)?.[0].trim() ?? failure;
}

/** The policy has the proxy itself answer. */
const ANSWERED: ReadonlySet<string> = new Set(['direct_response', 'cors_response']);

/** What responses and connections say of themselves that nothing declares; what else leads nowhere is not understood, or out of time. */
const UNDECLARED: ReadonlySet<string> = new Set(['', 'route_not_found', 'filter_chain_not_found']);

const NOTHING = { bytesSent: 0, bytesReceived: 0 };

/** What the verdict depends on. */
type Judged = Pick<
  AccessRecord,
  | 'responseCode'
  | 'responseCodeDetails'
  | 'connectionTerminationDetails'
  | 'upstreamCluster'
  | 'flags'
  | 'clusterMetadata'
  | 'routeMetadata'
  | 'routeName'
  | 'upstreamTransportFailureReason'
> & { readonly upstreamHost: object | undefined };

/** What became of a call. */
export function verdictOf(record: Judged): {
  readonly verdict: ObservedCall['verdict'];
  readonly reason: string;
} {
  const { responseCode, responseCodeDetails, connectionTerminationDetails, upstreamCluster, upstreamHost, flags } = record;
  const { clusterMetadata, routeMetadata } = record;
  const why = refusalOf(routeMetadata) ?? refusalOf(clusterMetadata) ?? refusedBy(upstreamCluster);
  if (why !== undefined) return { verdict: 'refused', reason: why };
  const judged = [responseCodeDetails, connectionTerminationDetails].find((details) =>
    /^(?:audit_|rbac_|jwt_authn_|binding_refused\{|credential_)/.test(details),
  );
  if (judged !== undefined) return { verdict: 'refused', reason: judged };
  if (ANSWERED.has(responseCodeDetails) && !REFUSING.has(record.routeName)) {
    if (responseCode < 400) return { verdict: 'allowed', reason: '' };
    return { verdict: 'refused', reason: `a route answers ${responseCode} itself: others of the host's requests may be allowed` };
  }
  const unrouted = upstreamCluster === '' && !UNDECLARED.has(responseCodeDetails) && !REFUSING.has(record.routeName);
  if (unrouted && flags.includes('DC')) return { verdict: 'failed', reason: failureOf(record) };
  if (unrouted)
    return {
      verdict: 'refused',
      reason: `the proxy ${responseCode > 0 ? `answers ${responseCode}` : 'closes'} itself: ${responseCodeDetails}`,
    };
  if (upstreamCluster === '' || upstreamCluster === BLACK_HOLE_CLUSTER) return { verdict: 'refused', reason: NOT_ALLOWED };
  if (upstreamCluster === PASSTHROUGH_CLUSTER) return { verdict: 'undeclared', reason: '' };
  if (upstreamHost === undefined || flags.includes('UF')) return { verdict: 'failed', reason: failureOf(record) };
  return { verdict: 'allowed', reason: connectionTerminationDetails.startsWith('binding_audit{') ? connectionTerminationDetails : '' };
}

/** Why a call came to nothing, in Envoy's words or flags. */
export function failureOf({ upstreamTransportFailureReason, responseCodeDetails, flags }: Failure): string {
  return upstreamTransportFailureReason || responseCodeDetails || flags.join(',');
}

type Failure = Pick<AccessRecord, 'upstreamTransportFailureReason' | 'responseCodeDetails' | 'flags'>;

/** As translation writes it. */
function refusalOf(metadata: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const own = metadata?.sallyport as { readonly refusal?: unknown } | undefined;
  return typeof own?.refusal === 'string' ? own.refusal : undefined;
}
