/**
 * The one way in which this product serves HTTP of its own (admin, status): for tools on this machine and in the cluster, never for web pages. A page
 * that somebody opens here can send requests to any local port, and by DNS rebinding read the answers; both show in the request's head.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import { isIP } from 'node:net';
import { createServer } from './node-http.ts';

/** Bounds of each phase of a connection, so that a silent client holds nothing for long. */
const HEAD_MS = 10_000;
const REQUEST_MS = 30_000;
const IDLE_MS = 5_000;
/** A client that does not read its answer is let go after so long without progress. */
const STALLED_MS = 60_000;
const MOST_CONNECTIONS = 512;
const HEAD_BYTES = 16 * 1024;

export interface LocalServerOptions {
  /** How often connections are held against the bounds, ms. */
  readonly checkEveryMs?: number;
  readonly headMs?: number;
  /** Other names by which it is called. */
  readonly hosts?: readonly string[];
  /** Served over TLS 1.2 or newer with this certificate and key, PEM. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

/** For connections from now on. */
export function renewTls(server: Server, { cert, key }: NonNullable<LocalServerOptions['tls']>): void {
  (server as unknown as TlsServer).setSecureContext({ cert, key, minVersion: 'TLSv1.2' });
}

/** A server whose handler sees only requests that no web page can have made. */
export function createLocalServer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  { checkEveryMs = 2_000, headMs = HEAD_MS, hosts = [], tls }: LocalServerOptions = {},
): Server {
  const bounds = {
    headersTimeout: headMs,
    requestTimeout: Math.max(headMs, REQUEST_MS),
    keepAliveTimeout: IDLE_MS,
    connectionsCheckingInterval: checkEveryMs,
    maxHeaderSize: HEAD_BYTES,
  };
  const place = { hosts, scheme: tls ? 'https' : 'http' } as const;
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const refusal = refusalOf(request.headers, place);
    if (refusal === undefined) {
      handle(request, response);
      return;
    }
    request.resume();
    response.writeHead(403, { 'content-type': 'text/plain; charset=UTF-8', 'x-content-type-options': 'nosniff', connection: 'close' });
    response.end(`${refusal}\n`);
  };
  const server = tls ? createTlsServer({ ...bounds, ...tls }, answer) : createServer(bounds, answer);
  server.maxConnections = MOST_CONNECTIONS;
  server.setTimeout(STALLED_MS);
  return server;
}

function createTlsServer(options: object, answer: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const { createServer: createSecure } = process.getBuiltinModule('node:https');
  return createSecure({ ...options, minVersion: 'TLSv1.2', handshakeTimeout: HEAD_MS }, answer) as unknown as Server;
}

interface Head {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'sec-fetch-site'?: string | string[] | undefined;
}

interface Place {
  /** Names beside the local ones. */
  readonly hosts?: readonly string[];
  readonly scheme?: 'http' | 'https';
}

/** Why a request is not answered; undefined if it is. */
export function refusalOf({ host, origin, 'sec-fetch-site': site }: Head, { hosts = [], scheme = 'http' }: Place = {}): string | undefined {
  // A name may be anybody's, and lead here today and elsewhere tomorrow (DNS rebinding); an address and localhost are what they say.
  if (host !== undefined && !isLocalName(hostOf(host)) && !hosts.includes(hostOf(host).toLowerCase()))
    return `requests for "${host}" are not answered here: call the server by its IP address, or as localhost`;
  // Fetch Metadata (W3C): `none` is a user's own navigation.
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    return 'requests from web pages of other sites are not answered here';
  if (origin !== undefined && origin !== `${scheme}://${host}`) return `requests from web pages of ${origin} are not answered here`;
  return undefined;
}

function hostOf(authority: string): string {
  return authority.startsWith('[') ? authority.slice(1, Math.max(1, authority.indexOf(']'))) : authority.replace(/:\d*$/, '');
}

function isLocalName(host: string): boolean {
  return isIP(host) !== 0 || /^(?:[a-z0-9-]+\.)*localhost$/i.test(host);
}
