/** What is told of the calls of a contained command: made from the records that access logs are made from. */
import { type Contained, NOT_ALLOWED, type ObservedCall } from '../lib/contained.ts';
import type { AccessRecord, Address, RecordSink } from './types.ts';

const BLACK_HOLE = 'BlackHoleCluster';
const PASSTHROUGH = 'PassthroughCluster';
/** So many names are remembered by the addresses that were answered for them. */
const MOST_NAMES = 10_000;

export class Observer implements RecordSink {
  readonly #observe: Contained['observe'];
  readonly #names = new Map<string, string>();

  constructor(observe: Contained['observe']) {
    this.#observe = observe;
  }

  /** A client learned that the name has these addresses. */
  answered(name: string, ips: readonly string[]): void {
    if (this.#names.size > MOST_NAMES) this.#names.clear();
    for (const ip of ips) this.#names.set(ip, name);
  }

  unresolved(name: string, client: Address): void {
    this.#observe({ ...NOTHING, verdict: 'unresolved', host: name, port: 0, client, reason: 'nothing declares the name' });
  }

  refused(target: { readonly host: string; readonly port: number }, client: Address): void {
    this.#observe({ ...NOTHING, ...target, verdict: 'refused', client, reason: NOT_ALLOWED });
  }

  /** A name that nothing declares was to be called, and is not, as it has no address. */
  undeclared(target: { readonly host: string; readonly port: number }, client: Address): void {
    this.#observe({ ...NOTHING, ...target, verdict: 'undeclared', client, reason: '' });
  }

  record(record: AccessRecord): void {
    const { downstream, bytesReceived: bytesSent, bytesSent: bytesReceived } = record;
    const { ip, port } = downstream.localAddress;
    const authority = record.authority.replace(/:\d+$/, '');
    const host = downstream.serverName || authority || this.#names.get(ip) || ip;
    this.#observe({ ...verdictOf(record), host, port, client: downstream.directRemoteAddress, bytesSent, bytesReceived });
  }
}

const NOTHING = { bytesSent: 0, bytesReceived: 0 };

function verdictOf({
  responseCode,
  upstreamCluster,
  upstreamHost,
  clusterMetadata,
  routeMetadata,
  flags,
  responseCodeDetails,
}: AccessRecord): {
  readonly verdict: ObservedCall['verdict'];
  readonly reason: string;
} {
  const why = refusalOf(routeMetadata) ?? refusalOf(clusterMetadata);
  if (why !== undefined) return { verdict: 'refused', reason: why };
  if (responseCodeDetails.startsWith('rbac_')) return { verdict: 'refused', reason: responseCodeDetails };
  if (upstreamCluster === '' && responseCodeDetails === 'direct_response')
    return { verdict: 'refused', reason: `a route answers ${responseCode} itself: others of the host's requests may be allowed` };
  if (upstreamCluster === '' || upstreamCluster === BLACK_HOLE) return { verdict: 'refused', reason: NOT_ALLOWED };
  if (upstreamCluster === PASSTHROUGH) return { verdict: 'undeclared', reason: '' };
  if (upstreamHost === undefined || flags.includes('UF')) return { verdict: 'failed', reason: flags.join(',') };
  return { verdict: 'allowed', reason: '' };
}

/** As translation writes it. */
function refusalOf(metadata: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const own = metadata?.sallyport as { readonly refusal?: unknown } | undefined;
  return typeof own?.refusal === 'string' ? own.refusal : undefined;
}
