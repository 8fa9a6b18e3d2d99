/**
 * What format strings see of a request or connection. It mirrors the data plane's access record without depending on it, so that header changes, access
 * logs and simulations share one formatter.
 */
import type { HeaderMap } from '../header-map.ts';

export interface FormatAddress {
  readonly ip: string;
  readonly port: number;
}

export interface FormatCertificate {
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly subject: string;
  readonly sha256: string;
  readonly issuer?: string;
  readonly serial?: string;
  /** Milliseconds since the epoch. */
  readonly validFrom?: number;
  readonly validTo?: number;
  readonly pem?: string;
}

export interface FormatTls {
  readonly version: string;
  readonly cipher: string;
  readonly peer: FormatCertificate | undefined;
  readonly local?: FormatCertificate | undefined;
  readonly sessionId?: string;
}

interface FormatDownstream {
  readonly id: number;
  readonly remoteAddress: FormatAddress;
  readonly localAddress: FormatAddress;
  /** The connection's own, whatever x-forwarded-for says. */
  readonly directRemoteAddress: FormatAddress;
  readonly directLocalAddress: FormatAddress;
  readonly filterChainName: string;
  readonly serverName: string;
  readonly alpn: string;
  readonly tls: FormatTls | undefined;
  readonly startTime: number;
}

/** Field by field as `AccessRecord` of the data plane; see there for units. Optional fields print as missing where they are not set. */
export interface FormatRecord {
  readonly downstream: FormatDownstream;
  readonly protocol: string;
  readonly startTime: number;
  readonly started: number;
  readonly requestReceived: number;
  readonly upstreamFirstByteSent: number;
  readonly responseStarted: number;
  /** 0 if the client did not get it whole. */
  readonly responseEnded: number;
  readonly ended: number;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly requestHeaders: HeaderMap | undefined;
  readonly responseHeaders: HeaderMap | undefined;
  readonly responseTrailers: HeaderMap | undefined;
  readonly responseCode: number;
  readonly responseCodeDetails: string;
  readonly connectionTerminationDetails: string;
  readonly flags: readonly string[];
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly routeName: string;
  readonly upstreamCluster: string;
  readonly upstreamHost: { readonly address: FormatAddress; readonly text: string; readonly hostname: string } | undefined;
  readonly upstreamLocalAddress: FormatAddress | undefined;
  readonly upstreamTransportFailureReason: string;
  readonly attempts: number;
  readonly upstreamTls?: FormatTls | undefined;
  readonly upstreamProtocol?: string;
  /** Dynamic metadata by filter name. */
  readonly dynamicMetadata?: Readonly<Record<string, unknown>>;
  readonly routeMetadata?: Readonly<Record<string, unknown>>;
  readonly clusterMetadata?: Readonly<Record<string, unknown>>;
  readonly filterState?: ReadonlyMap<string, string>;
}
