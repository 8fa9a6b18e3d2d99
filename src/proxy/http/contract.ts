/**
 * The seams inside a connection manager, so that nothing knows more of its neighbours than it needs: codecs and the exchange of one request (the same for
 * HTTP/1 and HTTP/2, downstream and upstream), the exchange and what sends it on, and what both know of their manager. Types alone.
 */
import type { Injected } from '../../http/credentials.ts';
import type { HttpFilter, Tokens } from '../../http/filters/filter.ts';
import type { OutgoingRequest } from '../../http/h1/encode.ts';
import type { Head } from '../../http/head.ts';
import type { HeaderMap } from '../../http/header-map.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { ManagerOptions } from '../../http/options.ts';
import type { Direction } from '../../http/response.ts';
import type { CompiledRoute, RouteTable } from '../../http/routes/route.ts';
import type { TracingOptions } from '../../http/tracing/settings.ts';
import type { UpstreamAlpn } from '../../http/upstream-alpn.ts';
import type { CredentialSource } from '../../lib/contained.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type {
  AccessRecord,
  Address,
  ChoiceContext,
  Cluster,
  ClusterManager,
  Downstream,
  RecordSink,
  ResponseFlag,
  UpstreamFailure,
  UpstreamHost,
} from '../types.ts';
import type { Turns } from './h2/turns.ts';
import type { Timers } from './timers.ts';

// --- the client's side

/**
 * The client's side of one request, as the exchange drives it. Heads, data and trailers may be held back until `flush`, which whoever
 * produced them calls once it has nothing more at hand.
 */
export interface DownstreamStream {
  /** The final head. `end`: nothing follows. Status 101, and 2xx to CONNECT, open a tunnel where the exchange upgraded. */
  sendHead(status: number, headers: HeaderMap, end: boolean): void;
  sendInformational(status: number, headers: HeaderMap): void;
  sendData(data: Buffer): void;
  /** The end of the response, once, unless the head ended it. */
  sendEnd(trailers: HeaderMap | undefined): void;
  /** Where requests follow one another on a connection: none follows this one. */
  closeAfterResponse(): void;
  /** False if the client reads slower than this: `exchange.downstreamDrained()` follows. */
  flush(): boolean;
  /** Cuts a response that can't be completed. */
  reset(): void;
  pauseRequest(): void;
  resumeRequest(): void;
}

/** A connection of the manager, whatever its protocol. */
export interface ServerConnection {
  /** No new requests: the connection closes after those that run. */
  drain(): void;
}

// --- the upstream's side

/** The server's side of one attempt, as the attempt drives it. */
export interface UpstreamStream {
  readonly localAddress: Address | undefined;
  /** The connection had been idle long enough for its server to have closed it unnoticed. */
  readonly wasIdle: boolean;
  sendHead(head: UpstreamRequest, end: boolean): void;
  sendData(data: Buffer): void;
  sendEnd(trailers: HeaderMap | undefined): void;
  flush(): boolean;
  /** Gives the stream up: nothing more is heard of it. */
  reset(): void;
  pauseResponse(): void;
  resumeResponse(): void;
}

export interface UpstreamRequest extends OutgoingRequest {
  readonly scheme: string;
}

/** How an upstream stream ended without a whole response: Envoy's stream reset reasons. */
export type ResetKind = 'connection-termination' | 'remote-reset' | 'remote-refused' | 'local-reset' | 'protocol-error';

/** What an upstream stream tells. After `upstreamReset` or the end of the response nothing more comes. */
export interface UpstreamEvents {
  upstreamInformational(status: number, headers: HeaderMap): void;
  upstreamHead(status: number, headers: HeaderMap, end: boolean): void;
  upstreamData(data: Buffer): void;
  upstreamEnd(trailers: HeaderMap | undefined): void;
  /** Everything that one read brought has been told. */
  upstreamFlush(): void;
  upstreamDrained(): void;
  upstreamReset(kind: ResetKind, detail: string): void;
}

/** Who wants a stream. Exactly one of poolReady and poolFailed is called, possibly before `acquire` returns. */
export interface PoolClient extends UpstreamEvents {
  readonly downstream: Downstream | undefined;
  readonly authority: string;
  /** Raw bytes without a request: a CONNECT that ends here. */
  readonly tunnel: boolean;
  poolReady(stream: UpstreamStream): void;
  poolFailed(failure: UpstreamFailure): void;
}

export interface Pool {
  /** A stream for `client`, now or when a connection is there. */
  acquire(client: PoolClient): void;
  /** A client that waits no longer. */
  cancel(client: PoolClient): void;
}

/** What of a request decides about its pool. */
export interface PoolRequest {
  readonly authority: string;
  readonly protocol: string;
  /** As `RequestHead.upgrade`. */
  readonly upgrade?: string;
}

/** All upstream HTTP connections of a thread. */
export interface Pools {
  readonly timers: Timers;
  /** In which the client connections of the thread begin their requests. */
  readonly turns: Turns;
  /** The pool that serves a request to a host. @param alpn of the connection manager */
  pool(cluster: Cluster, host: UpstreamHost, request: PoolRequest, alpn?: UpstreamAlpn): Pool;
}

// --- one request and its response

/**
 * `filtering`: filters have the request, or one holds it; `forwarding`: it is on its way upstream; `responding`: the head of the response has gone out;
 * `tunnel`: an upgrade is open, and the request's end is the connection's; `done`: the response is complete or given up, and the record is written.
 */
export type ExchangePhase = 'filtering' | 'forwarding' | 'responding' | 'tunnel' | 'done';

/** An exchange as seen by what sends it upstream. */
export interface ForwardedExchange extends ChoiceContext {
  readonly core: ManagerCore;
  readonly stream: DownstreamStream;
  readonly head: Head;
  readonly record: AccessRecord;
  readonly route: CompiledRoute | undefined;
  readonly phase: ExchangePhase;
  readonly downstream: Downstream;
  readonly requestTrailers: HeaderMap | undefined;
  /** Credentials that are written in as the request goes out; in no head. */
  readonly injected: readonly Injected[] | undefined;
  hash: bigint | undefined;
  hashCookie: string | undefined;
  addFlag(flag: ResponseFlag): void;
  /** Streams without bytes in either direction for `ms` end. 0: never. */
  setIdleTimeout(ms: number): void;
  /** The stream may take `ms` from its start. 0: as long as it will. */
  setStreamDuration(ms: number): void;
  reply(reply: LocalReply): void;
  respond(status: number, headers: HeaderMap, end: boolean): void;
  respondInformational(status: number, headers: HeaderMap): void;
  responseData(data: Buffer): void;
  responseEnd(trailers: HeaderMap | undefined): void;
  /** False: the client is slow, stop reading the upstream until `downstreamDrained`. */
  responseFlush(): boolean;
  /** The upstream failed after the head of its response had gone out: the client must see that the body is not whole. */
  responseCut(flag: ResponseFlag, details: string): void;
}

// --- the manager

/** Route configurations that come by name (RDS), compiled; asked at each request, so that a change holds from the next request on. */
export interface RouteSource {
  get(name: string): RouteTable | undefined;
}

export interface HttpManagerLogger {
  warn(message: string): void;
}

export interface HttpManagerDeps {
  readonly clusters: ClusterManager;
  readonly routes: RouteSource;
  /** Upstream connections; one for all connection managers of a thread (`createHttpPools`). */
  readonly pools: Pools;
  readonly sink: RecordSink;
  /** A random integer, 0 ≤ n < 2^53. */
  readonly random: () => number;
  /** Milliseconds that only grow (`performance.now`). */
  readonly now: () => number;
  /** Milliseconds since the epoch at which `now` was 0 (`performance.timeOrigin`). */
  readonly timeOrigin: number;
  /** `traffic_direction` of the listener: decides who sets `x-envoy-decorator-operation`. */
  readonly direction: Direction;
  readonly logger: HttpManagerLogger;
  /** Who holds the values of credentials; without, there are none to be had. */
  readonly credentials?: CredentialSource | undefined;
  /** Whether a request may begin: false while what is to be audited can't be. */
  readonly admits?: (() => boolean) | undefined;
  /** The proxy's own cluster, as its node says; empty without one. */
  readonly serviceCluster?: string | undefined;
  /** Of local rate limits; without, there are none to be had. */
  readonly tokens?: Tokens | undefined;
  /** Takes the spans of finished requests; undefined where they are reported nowhere. */
  readonly tracer?: ((options: TracingOptions) => Tracer | undefined) | undefined;
}

/** What exchanges and connections know of their connection manager. */
export interface ManagerCore {
  readonly deps: HttpManagerDeps;
  readonly options: ManagerOptions;
  /** The router is the last of them. */
  readonly filters: readonly HttpFilter[];
  readonly timers: Timers;
  readonly tracer: Tracer | undefined;
  /** The routes as they are now; undefined as long as the named configuration has not come. */
  routes(): RouteTable | undefined;
  /** The value of `date`, made once a second. */
  date(): string;
}
