/** A call that a filter makes for its own sake while it holds a request, e.g. to an authorizer. */
import type { HeaderMap } from './header-map.ts';

export interface SideCall {
  readonly cluster: string;
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: HeaderMap;
  /** Empty for none. */
  readonly body: Buffer;
  /** For the whole of it, ms. */
  readonly timeoutMs: number;
  /** It leaves the mesh: nothing tells the server of the proxy. */
  readonly leaves?: boolean;
}

/** The whole response. */
export interface SideAnswer {
  readonly status: number;
  readonly headers: HeaderMap;
  readonly body: Buffer;
  readonly trailers: HeaderMap | undefined;
}
