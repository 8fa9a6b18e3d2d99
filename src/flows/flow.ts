/** A flow: what is told of one call of one proxy, when it begins and when it ends, while somebody watches. Its JSON Schema: `schema.ts`. */
import type { PlacedOrigin } from '../lib/origin.ts';

/** `refused`: the policy does not allow it; `failed`: it was allowed, and the server was not reached or did not answer to the end. */
export const VERDICTS = ['allowed', 'refused', 'failed'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** What was understood of the call: `dns` is a question for a name that was not answered. */
export const PROTOCOLS = ['http', 'tls', 'tcp', 'dns'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** What a data plane knows of a call. Header values and queries are never in it. */
export interface ProxyFlow {
  readonly kind: 'begin' | 'end';
  /** RFC 3339, UTC. */
  readonly time: string;
  /** The same for the beginning and the end of a call. */
  readonly id: string;
  /** Who calls, as the certificate of mutual TLS says it (a SPIFFE ID); without one, as the proxy knows it. */
  readonly workload?: string;
  /** `address:port` of the client's socket. */
  readonly source: string;
  /** `address:port` where the client wanted to go; absent for a name that has no address. */
  readonly destination?: string;
  /** Authority, server name, or the name or address that was asked for; without a port. */
  readonly host: string;
  /** 0 for a question for a name. */
  readonly port: number;
  readonly protocol: Protocol;
  readonly method?: string;
  /** Without its query. */
  readonly path?: string;
  readonly cluster?: string;
  /** Nothing declares what is called, and it is not refused for that (`ALLOW_ANY`). */
  readonly undeclared?: true;
  /** Name of the route. */
  readonly route?: string;
  /** The resources by which the route and the cluster came about. */
  readonly origins?: readonly PlacedOrigin[];
  /** At the end alone, as is all that follows. */
  readonly verdict?: Verdict;
  /** Why it was refused or failed. */
  readonly reason?: string;
  /** HTTP status. */
  readonly status?: number;
  /** `address:port` of the server, or of the next proxy, that was called. */
  readonly upstream?: string;
  /** Envoy's. */
  readonly responseFlags?: readonly string[];
  readonly responseCodeDetails?: string;
  /** By the client and to the client: of bodies for HTTP, of the connection otherwise. */
  readonly bytesSent?: number;
  readonly bytesReceived?: number;
  /** In ms. */
  readonly duration?: number;
}

export interface Flow extends ProxyFlow {
  /** `namespace/name` of the proxy's workload. */
  readonly proxy: string;
  readonly role: 'sidecar' | 'router';
  /** The gateway of this process to which the proxy passed the call on, `namespace/name`. */
  readonly gateway?: string;
  /** The program that calls, where it is known. */
  readonly process?: FlowProcess;
}

export interface FlowProcess {
  readonly pid: number;
  readonly name: string;
}

/** So many flows were left out since the line before, as nobody took them in time. */
export interface Dropped {
  readonly kind: 'dropped';
  readonly time: string;
  readonly count: number;
}

/** So many ended calls are remembered by each thread that carries traffic. */
export const MOST_RECENT = 256;

export type FlowDelivery<F extends ProxyFlow = ProxyFlow> = (flow: F) => void;

/** What carries a proxy's traffic, for whoever watches; or what hears of several proxies, whose flows say which it is. */
export interface FlowSource<F extends ProxyFlow = ProxyFlow> {
  /**
   * From now on flows go to `deliver`, or nowhere. Resolves when that is so.
   * @param dropped is told how many were left out before the next one, and of which proxy where that is another's to say; empty where it is not known
   * @param sparing of very many calls that go well some may be left out, so that traffic does not pay for all
   */
  watchFlows(deliver: FlowDelivery<F> | undefined, dropped: (count: number, proxy?: string) => void, sparing?: boolean): Promise<void>;
  /** The ends of the calls that ended last, whether somebody watched or not, oldest first; no more than `MOST_RECENT` of each thread. */
  recentFlows(): Promise<readonly F[]>;
}
