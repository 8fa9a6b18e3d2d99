/** What a simulated call did: hop by hop, each step with the resources that caused it, and the outcome. */
import type { PlacedOrigin } from '../lib/origin.ts';
import type { Endpoint, Payload } from './call.ts';
import type { SeenResponse } from './response.ts';
import type { OriginatedTls } from './security.ts';

export interface Step {
  readonly kind: 'listener' | 'filter-chain' | 'tls' | 'virtual-host' | 'route' | 'policy' | 'mirror' | 'cluster' | 'endpoint';
  /** The xDS object's name; for `endpoint` the address. */
  readonly name: string;
  /** What was decided here, as a clause. */
  readonly text: string;
  readonly origins: readonly PlacedOrigin[];
}

export interface Sent {
  /** Undefined where `host` is yet to be looked up. */
  readonly endpoint: Endpoint | undefined;
  readonly host: string;
  readonly port: number;
  readonly payload: Payload;
  /** The address is the one that the call was made to. */
  readonly dialled: boolean;
  /** The caller may choose the address, and no name or range stands in its way. */
  readonly anyAddress: boolean;
  /** Undefined where this proxy originates no TLS. */
  readonly originates: OriginatedTls | undefined;
  /** The forward proxy that is asked for the host, `host:port`, and that looks its name up; absent where there is none. */
  readonly through?: string;
  /** Its address, where that is known. */
  readonly throughEndpoint?: Endpoint;
}

export interface Hop {
  readonly proxy: string;
  /** What it took the call for; undefined where it came to no filter. */
  readonly protocol: 'http' | 'tcp' | undefined;
  readonly steps: readonly Step[];
  /** The cluster that took the call; empty if none was asked for or it does not exist. */
  readonly cluster: string;
  /** What was followed from here on is a copy of the request, which the application never hears of. */
  readonly copy: boolean;
  /** The port on which it first waits for what the client says, to tell what it is, and does nothing without; undefined where the client spoke, or need not. */
  readonly waitsOn?: number;
  /** TLS ended here, and only clients with a certificate that is trusted got in. */
  readonly demandsCertificate?: boolean;
  /** The response flag in the access log of this proxy, or empty. */
  readonly flag: string;
  /** What the proxy sends on; undefined where the call ended here. */
  readonly next: Sent | undefined;
}

export type Outcome =
  | ({ readonly kind: 'upstream' } & Sent)
  | { readonly kind: 'reply'; readonly status: number; readonly location: string | undefined; readonly details: string }
  | { readonly kind: 'closed'; readonly details: string }
  | { readonly kind: 'undecided'; readonly details: string };

export interface Trace {
  readonly hops: readonly Hop[];
  readonly outcome: Outcome;
  /** What an application that spoke HTTP sees; undefined where nobody answers it, or a copy was followed. */
  readonly response?: SeenResponse | undefined;
}
