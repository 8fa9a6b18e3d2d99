/** The seams between codecs and the exchange of one request: the same for HTTP/1 and HTTP/2, downstream and upstream. */
import type { HeaderMap } from '../../http/header-map.ts';
import type { Address } from '../types.ts';

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
  /** Cuts a response that can't be completed. `refused`: nothing was done for the request. */
  reset(): void;
  pauseRequest(): void;
  resumeRequest(): void;
}

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

export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: HeaderMap;
  /** The upgrade that was asked for, e.g. `websocket`; `connect` for CONNECT; else empty. */
  readonly upgrade: string;
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
