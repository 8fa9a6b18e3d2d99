/** The head of a request, from the codec that read it to the codec that writes it. */
import type { SocketEnd } from './connection.ts';
import { SEEN } from './fields.ts';
import type { HeaderMap } from './header-map.ts';
import type { PseudoHeaderTarget, RouteRequest } from './routes/model.ts';
import type { TraceContext } from './tracing/context.ts';

export type Protocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';

/** One shape for every request: it is read all along the way, and nothing else of the request is copied. */
export class Head implements RouteRequest, PseudoHeaderTarget {
  readonly protocol: Protocol;
  method: string;
  /** Host or :authority; empty if there was none. */
  authority: string;
  /** With query; empty for CONNECT. */
  path: string;
  /** That of the connection, unless HTTP/2 names one or a client that is believed tells one. */
  scheme: string;
  readonly headers: HeaderMap;
  /** Bits of SEEN of the head as received. */
  readonly seen: number;
  /** The upgrade that is asked for, in lower case: `websocket`, …, `connect`; empty for none. */
  readonly upgrade: string;
  /** Something follows the head. */
  readonly hasBody: boolean;
  /** Random integer of the request: fractions, weights. */
  readonly random: number;
  readonly tls: RouteRequest['tls'];
  /** A filter has put something in that no parser has read. */
  edited = false;
  internal = false;
  /** A request from outside of the mesh, at its edge. */
  edge = false;
  /** The client that x-forwarded-for names, where that is believed; else undefined. */
  client: SocketEnd | undefined = undefined;
  /** Its part in a trace; undefined where none is followed. */
  trace: TraceContext | undefined = undefined;

  constructor(
    protocol: Protocol,
    method: string,
    authority: string,
    path: string,
    scheme: string,
    headers: HeaderMap,
    seen: number,
    upgrade: string,
    hasBody: boolean,
    random: number,
    tls: RouteRequest['tls'],
  ) {
    this.protocol = protocol;
    this.method = method;
    this.authority = authority;
    this.path = path;
    this.scheme = scheme;
    this.headers = headers;
    this.seen = seen;
    this.upgrade = upgrade;
    this.hasBody = hasBody;
    this.random = random;
    this.tls = tls;
  }
}

/** The downstream's TLS as route matching wants it; undefined without TLS. */
export function routeTls(tls: { readonly peer: unknown } | undefined): RouteRequest['tls'] {
  if (tls === undefined) return undefined;
  const presented = tls.peer !== undefined;
  // A handshake with a certificate that does not verify is refused before this, so what is presented is validated.
  return { presented, validated: presented };
}

/** Whether the proxy itself answers the client's `expect: 100-continue`; the field goes no further then. */
export function takesExpectation(headers: HeaderMap, seen: number, proxyContinue: boolean): boolean {
  if ((seen & SEEN.expect) === 0 || proxyContinue || headers.get('expect')?.toLowerCase() !== '100-continue') return false;
  headers.remove('expect');
  return true;
}
