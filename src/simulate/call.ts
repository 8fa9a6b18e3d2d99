/** A call as an application makes it, before any proxy has seen it. */

import { HeaderMap } from '../http/header-map.ts';
import { isIp } from '../lib/ip.ts';
import { table } from '../lib/table.ts';

export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

export interface HttpRequest {
  readonly method: string;
  /** Host or :authority, as sent; empty: HTTP/1 sends no Host. */
  readonly authority: string;
  /** HTTP/1 sends a Host without a value, which is not the same as none. */
  readonly emptyHost?: boolean;
  /** With the query. */
  readonly path: string;
  /** Names in lower case, without Host. */
  readonly headers: HeaderMap;
  readonly version: '1.0' | '1.1' | '2';
  /** The headers as they may be as well, where proxies have made some by chance or time, or by who calls; see `varying.ts`. */
  readonly varied?: HeaderMap;
  /** What HTTP/2 names as the scheme; undefined: that of the connection. */
  readonly scheme?: string;
}

export interface Tls {
  readonly serverName: string;
  readonly alpn: readonly string[];
  /** Whether the client has a certificate to show, one that is trusted; undefined where that is not known: then it has, if it is asked. */
  readonly certificate?: boolean | undefined;
  /** The SPIFFE ID in it, where it is one of the mesh. */
  readonly identity?: string | undefined;
}

/** What goes over one connection: a layer of TLS or none, and under it HTTP, another layer of TLS, or bytes that say nothing. */
export interface Payload {
  /** Undefined: no TLS (or what is left after it was terminated). */
  readonly tls: Tls | undefined;
  /** Undefined: bytes that are not HTTP. */
  readonly http: HttpRequest | undefined;
  /** TLS that a proxy has put this payload into once more; what comes to light where `tls` ends. */
  readonly inner?: Payload;
}

export interface Call {
  readonly source: Endpoint;
  /** Where the application connects to, after it looked the name up. */
  readonly destination: Endpoint;
  readonly payload: Payload;
}

/** `GET https://host/path`, `tcp://ip:port`, `tls://host:port`: what is called, before names are looked up. */
export interface CallTarget {
  readonly host: string;
  readonly port: number;
  readonly payload: Payload;
}

export interface TargetOptions {
  readonly method?: string;
  /** `name: value` each. A `host` replaces the URL's. */
  readonly headers?: readonly string[];
  /** Replaces the URL's host as SNI; empty for none. */
  readonly serverName?: string;
  readonly httpVersion?: HttpRequest['version'];
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = table({ 'http:': 80, 'https:': 443, 'tls:': 443 });

/** Reads a call's URL. Throws a TypeError that says what is wrong. */
export function parseTarget(text: string, options: TargetOptions = {}): CallTarget {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError(`"${text}" is no URL: write http://host/path, https://host/path, tls://host:port or tcp://address:port`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? DEFAULT_PORTS[url.protocol] : Number(url.port);
  if (!['http:', 'https:', 'tls:', 'tcp:'].includes(url.protocol)) {
    throw new TypeError(`"${url.protocol}//" is no scheme of a call: use http, https, tls or tcp`);
  }
  if (port === undefined || host === '')
    throw new TypeError(`"${text}" lacks a ${host === '' ? 'host' : 'port'}: write tcp://address:port`);
  const serverName = options.serverName ?? (isIp(host) ? '' : host);
  const http = url.protocol === 'http:' || url.protocol === 'https:' ? request(url, port, pathOf(text), options) : undefined;
  const alpn = http ? [http.version === '2' ? 'h2' : 'http/1.1'] : [];
  const tls = url.protocol === 'https:' || url.protocol === 'tls:' ? { serverName, alpn } : undefined;
  return { host, port, payload: { tls, http } };
}

function request(url: URL, port: number, path: string, options: TargetOptions): HttpRequest {
  const headers = new HeaderMap();
  // A CONNECT has an authority with a port for its target, and no path (RFC 9110 §9.3.6).
  const connects = options.method === 'CONNECT';
  let authority = connects ? `${url.hostname}:${port}` : url.host;
  let emptyHost = false;
  for (const line of options.headers ?? []) {
    const colon = line.indexOf(':');
    if (colon <= 0) throw new TypeError(`"${line}" is no header: write 'name: value'`);
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'host') {
      authority = value;
      emptyHost = value === '';
    } else headers.append(name, value);
  }
  return {
    method: options.method ?? 'GET',
    authority,
    path: connects ? '' : path,
    headers,
    version: options.httpVersion ?? '1.1',
    ...(emptyHost && { emptyHost }),
  };
}

/** Path and query as written: what becomes of dot segments and escapes is for the proxies to say. */
function pathOf(url: string): string {
  // However many slashes there are, the host comes next.
  const rest = url.replace(/^[^:]*:[/\\]*/, '');
  const path = (/[/?#\\].*/.exec(rest)?.[0] ?? '/').replace(/#.*$/, '');
  return path.startsWith('/') || path.startsWith('\\') ? path : `/${path}`;
}
