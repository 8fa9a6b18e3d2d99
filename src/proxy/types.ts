/** The seams inside the data plane: what listeners hand to network filters, what clusters offer to them, and what a log line holds. */

import type { Socket } from 'node:net';
import type { Certificate } from '../http/connection.ts';
import type { KeepAliveOptions } from '../http/h2/options.ts';
import type { HeaderMap } from '../http/header-map.ts';
import type { DynamicMetadata } from '../http/rbac/subject.ts';
import type { ResponseFlag } from '../http/response-flag.ts';
import type { Cluster as ClusterConfig } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { StreamSocket } from './net/stream-socket.ts';

export interface Address {
  /** An IP address, or the path of a unix socket with port 0. */
  readonly ip: string;
  readonly port: number;
}

export type PeerCertificate = Certificate;

/** A downstream connection after listener filters, filter-chain match and, where the chain has one, the TLS handshake. */
export interface Downstream {
  readonly id: number;
  /** Plain or a TLS socket. Paused, without data listeners; whoever takes it over adds its own and its error listener. */
  readonly socket: StreamSocket;
  /** What was read already and not consumed; comes before what the socket gives. */
  readonly head: Buffer | undefined;
  readonly remoteAddress: Address;
  /** The original destination where one was restored, else the socket's own. */
  readonly localAddress: Address;
  /** The connection's own address, where `remoteAddress` is what x-forwarded-for says. */
  readonly directRemoteAddress: Address;
  readonly directLocalAddress: Address;
  readonly localAddressRestored: boolean;
  readonly listenerName: string;
  readonly filterChainName: string;
  /** The name or address that a client of the explicit proxy asked for; absent for others. */
  readonly asked?: string | undefined;
  /** SNI, or empty; also of TLS that is passed through. */
  readonly serverName: string;
  /** The ALPN that was negotiated (terminated TLS), or empty. */
  readonly alpn: string;
  readonly tls:
    | {
        readonly version: string;
        readonly cipher: string;
        readonly peer: PeerCertificate | undefined;
        /** The certificate that was served: x-forwarded-client-cert names its URI. */
        readonly local?: PeerCertificate | undefined;
      }
    | undefined;
  /** What else its filter chain was chosen by; absent for connections of the proxy's own. */
  readonly arrival?: Arrival | undefined;
  /** Milliseconds since the epoch. */
  readonly startTime: number;
  /**
   * Set on connections of the explicit proxy that carry absolute-form requests. The HTTP connection calls it, between two requests, when the
   * next request's authority is not the one for which this filter chain was chosen: it gives the socket and the unread bytes back,
   * and the listener chooses anew.
   */
  readonly reenter: ((unread: Buffer) => void) | undefined;
}

export interface Arrival {
  /** The listener that accepted it, which may have handed it over. */
  readonly accepting: string;
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
}

/** The terminal network filter of a filter chain: takes a connection over. One instance a filter chain, shared by its connections. */
export interface ConnectionHandler {
  onConnection(downstream: Downstream): void;
  /** Logs a connection that is refused, and that is closed without it; only where connections are logged. `details`: of its termination. */
  refused?(downstream: Downstream, refusal: { readonly details: string; readonly flag: ResponseFlag | undefined }): void;
  /** Keep-alive connections are told to close, running requests go on. Called once, when the chain is replaced or the process ends. */
  drain(): void;
  /** Connections that are still open. */
  readonly active: number;
  /** Of a TCP proxy: the clusters among which it would choose. */
  readonly clusters?: (downstream: Downstream) => readonly string[];
  /** Makes connections of this proxy's own: of an internal listener. */
  readonly dial?: Dial | undefined;
}

/** `done` is called once, never before the call returns; its failure names the forward proxy. Returns what abandons it. */
export type Dial = (context: DialContext, done: (failure: UpstreamFailure | undefined, socket: Socket) => void) => () => void;

/** An internal listener, as what makes connections. */
export interface InternalWay {
  readonly dial: Dial | undefined;
  /** Why the control plane has it lead nowhere. */
  readonly refusal: string | undefined;
}

export interface DialContext {
  /** The forward proxy, for messages: `host:port`, else the listener's name. */
  readonly proxy: string;
  /** What the cluster's endpoint says to the internal listener, by the names of filters. */
  readonly metadata: DynamicMetadata;
  /** For whom; undefined where the proxy calls for itself. */
  readonly downstream: Downstream | undefined;
}

/** One address of a cluster. The same object for as long as the address stays in the cluster, so that pools can hang on it. */
export interface UpstreamHost {
  readonly address: Address;
  /** `ip:port` or the path, as logs print it. */
  readonly text: string;
  /** The name it was resolved from or that the endpoint gives; for SNI and Host rewriting; may be empty. */
  readonly hostname: string;
  /** Requests or connections in flight: least request reads it, router and TCP proxy count it. */
  active: number;
  /** False once the address has left the cluster: pools on it let no new request in and close when idle. */
  readonly live: boolean;
}

/** What the choice of a host may depend on. */
export interface ChoiceContext {
  readonly downstream: Downstream | undefined;
  /** Host and port that a dynamic forward proxy resolves (from the authority, or from SNI); port 0 is the default of the cluster's protocol. */
  readonly target: Address | undefined;
  /** Of 64 bits. */
  readonly hash: bigint | undefined;
}

/** Why there is no upstream connection; `failure.ts` maps it to a reply and Envoy's response flag. */
export type UpstreamFailure =
  | { readonly kind: 'no-cluster' }
  | { readonly kind: 'no-host' }
  | { readonly kind: 'overflow' }
  | { readonly kind: 'dns'; readonly reason: string }
  | { readonly kind: 'connect'; readonly reason: string }
  | { readonly kind: 'connect-timeout' }
  /** A forward proxy on the way gives no connection to the host. */
  | { readonly kind: 'through'; readonly reason: string }
  | { readonly kind: 'tls'; readonly reason: string }
  | { readonly kind: 'reset'; readonly reason: ResetReason };

/** Why a stream or an established connection ended before its time, in Envoy's words. */
export type ResetReason = 'connection termination' | 'remote reset' | 'remote refused stream reset' | 'local reset' | 'protocol error';

export interface UpstreamConnectOptions {
  readonly downstream: Downstream | undefined;
  /** Authority of the request: `auto_sni` and `auto_san_validation` take the name from it. */
  readonly authority: string | undefined;
  /** ALPN to offer where the cluster's TLS context names none; without it, what the cluster's protocol asks for. */
  readonly alpn?: readonly string[] | undefined;
  /** ALPN to offer in place of what the cluster's TLS context names. */
  readonly alpnInPlace?: readonly string[] | undefined;
  /** Set by who handles a peer that closes one direction: the socket stays open then. Without `alpn`, none of HTTP is offered. */
  readonly halfOpen?: boolean | undefined;
  /** Set by who asks for something over it before a transport has it: the socket is a `net.Socket`. */
  readonly nodeSocket?: boolean | undefined;
}

/** An upstream connection being made; `done` is called exactly once, never before `connect` returns. */
export type UpstreamConnectDone = (failure: UpstreamFailure | undefined, socket: StreamSocket, alpn: string) => void;

export interface ResourceLimit {
  readonly max: number;
  used: number;
}

/** Hears how hosts do, to leave out those that fail (`outlier_detection`). */
export interface OutlierMonitor {
  /** The status of a response. */
  answered(host: UpstreamHost, status: number): void;
  /** No connection, a reset or a timeout. */
  failed(host: UpstreamHost, timedOut: boolean): void;
  /** `final`: nothing else will be heard of this connection (TCP). */
  connected(host: UpstreamHost, final: boolean): void;
}

export interface Cluster {
  readonly name: string;
  readonly config: ClusterConfig;
  /** `http1` and `http2` as configured; `downstream` follows the client's; `alpn` what TLS negotiates. */
  readonly protocol: 'http1' | 'http2' | 'downstream' | 'alpn';
  /** Trailers go through HTTP/1 (`enable_trailers`); else they are dropped. */
  readonly trailers: boolean;
  /** Most requests on one upstream connection, 0 for no limit; idle time of one in ms, 0 for none. */
  readonly maxRequestsPerConnection: number;
  readonly idleTimeoutMs: number;
  /** PINGs on upstream connections of HTTP/2, and how many requests one carries at a time. */
  readonly http2KeepAlive: KeepAliveOptions | undefined;
  readonly http2MaxStreams: number;
  /** For a connection, and for a forward proxy's answer to CONNECT, each, in ms. */
  readonly connectTimeoutMs: number;
  readonly limits: {
    readonly connections: ResourceLimit;
    readonly pending: ResourceLimit;
    readonly requests: ResourceLimit;
    readonly retries: ResourceLimit;
  };
  /**
   * A host by the cluster's load-balancing policy. Returns it at once where it can (the common case); calls `later` with it, once, where a name
   * has to be resolved first, and then returns undefined.
   */
  choose(context: ChoiceContext, later: (host: UpstreamHost | UpstreamFailure) => void): UpstreamHost | UpstreamFailure | undefined;
  /** Opens a connection, TLS included, within the cluster's connect timeout. Returns what abandons it. */
  connect(host: UpstreamHost, options: UpstreamConnectOptions, done: UpstreamConnectDone): () => void;
  /** Undefined without outlier detection. */
  readonly outliers: OutlierMonitor | undefined;
  readonly stats: ClusterStats;
}

/** Plain counters, named as Envoy's `cluster.NAME.*`. */
export interface ClusterStats {
  upstreamCxTotal: number;
  upstreamCxActive: number;
  upstreamCxConnectFail: number;
  upstreamCxOverflow: number;
  upstreamRqTotal: number;
  upstreamRqActive: number;
  upstreamRqPendingOverflow: number;
  upstreamRqTimeout: number;
  upstreamRq2xx: number;
  upstreamRq3xx: number;
  upstreamRq4xx: number;
  upstreamRq5xx: number;
  upstreamCxTxBytes: number;
  upstreamCxRxBytes: number;
}

export interface ClusterManager {
  get(name: string): Cluster | undefined;
}

export type { ResponseFlag };

/** What one request or connection leaves behind; access logs and metrics are made from it alone. */
export interface AccessRecord {
  downstream: Downstream;
  /** `HTTP/1.1`, `HTTP/2`, …; empty for TCP. */
  protocol: string;
  /** Milliseconds since the epoch. */
  startTime: number;
  /** performance.now() in ms at the start, at the end of the request, at the first and last byte of the response; 0 where it did not come to it. */
  started: number;
  requestReceived: number;
  upstreamFirstByteSent: number;
  responseStarted: number;
  /** When the client's copy was complete; 0 if it never was. */
  responseEnded: number;
  ended: number;
  method: string;
  path: string;
  authority: string;
  scheme: string;
  /** As received and changed by filters; undefined for TCP. */
  requestHeaders: HeaderMap | undefined;
  responseHeaders: HeaderMap | undefined;
  responseTrailers: HeaderMap | undefined;
  /** 0 where no reply was sent. */
  responseCode: number;
  responseCodeDetails: string;
  connectionTerminationDetails: string;
  flags: ResponseFlag[];
  /** Body bytes for HTTP, connection bytes for TCP. */
  bytesReceived: number;
  bytesSent: number;
  routeName: string;
  /** `metadata.filter_metadata` of the route and of the cluster; undefined where there is none. */
  routeMetadata: Readonly<Record<string, unknown>> | undefined;
  clusterMetadata: Readonly<Record<string, unknown>> | undefined;
  /** What filters noted, by their names. */
  dynamicMetadata: DynamicMetadata | undefined;
  upstreamCluster: string;
  upstreamHost: UpstreamHost | undefined;
  upstreamLocalAddress: Address | undefined;
  upstreamTransportFailureReason: string;
  attempts: number;
}

/** Takes finished records: the access logs of one connection manager or TCP proxy, and the metrics. */
export interface RecordSink {
  /** A request or connection is on its way to its cluster; its record is not finished. Not told of what never gets so far. */
  begin?(record: AccessRecord): void;
  record(record: AccessRecord): void;
}
