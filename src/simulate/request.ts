/**
 * What a connection manager makes of a request before it looks for a route, and what the router makes of it before it goes out: the codec's checks, path and
 * authority, the headers that configurations work with. Pure.
 */

import { stripHost } from '../http/authority.ts';
import type { FormatRecord } from '../http/format/record.ts';
import type { HeaderMap } from '../http/header-map.ts';
import { HTTP1_METHODS } from '../http/methods.ts';
import { normalizePath, pathOptions } from '../http/path-normalization.ts';
import { readTarget } from '../http/request-target.ts';
import type { ClusterChoice, CompiledRoute, ForwardAction, RouteRequest } from '../http/routes/route.ts';
import type { HttpConnectionManager } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { Call, HttpRequest } from './call.ts';

/** A request that the proxy answers before it looks for a route. */
export interface Refused {
  readonly status: number;
  readonly flag: string;
  readonly details: string;
  readonly why: string;
  readonly location?: string;
  readonly headers?: HeaderMap | undefined;
  /** Whether it is given in the route's place: what the route changes of responses it changes of this. */
  readonly ofRoute?: boolean;
  /** Whether chance or a fixed rule answers so, not something that this request alone has. */
  readonly always?: boolean;
}

const DECODE_ERROR = { status: 400, flag: 'DPE', details: 'http1.codec_error' };

/** `terminated`: the proxy has taken the call out of TLS. The result is the caller's to change. */
export function prepare(config: HttpConnectionManager, call: Call, terminated: boolean): RouteRequest | Refused {
  const request = call.payload.http!;
  const read = request.version === '2' ? { authority: request.authority, path: request.path } : readHead(config, request);
  if ('status' in read) return read;
  if (!read.path.startsWith('/') && request.method !== 'CONNECT')
    return { status: 404, flag: '', details: 'absolute_path_rejected', why: `the path ${read.path} is refused` };
  const path = normalizePath(read.path, pathOptions(config));
  if (typeof path !== 'string') {
    return path.kind === 'redirect'
      ? {
          status: 307,
          flag: '',
          details: 'path_normalization_failed',
          why: `redirects to the normalised path ${path.path}`,
          location: path.path,
        }
      : { status: 400, flag: '', details: 'path_normalization_failed', why: `the path ${read.path} is refused` };
  }
  const stripPort =
    config.stripPortMode.case === 'stripAnyHostPort' && config.stripPortMode.value
      ? 'any'
      : config.stripMatchingHostPort
        ? 'matching'
        : 'none';
  const headers = request.headers.clone();
  const own = terminated ? 'https' : 'http';
  for (const name of JOINED) if (headers.has(name)) headers.set(name, headers.all(name).join());
  const told = headers.get('x-forwarded-proto');
  const edge = isEdge(config);
  if (edge) {
    headers.set('x-forwarded-proto', own);
    if (!config.skipXffAppend) {
      const forwarded = headers.all('x-forwarded-for');
      headers.set('x-forwarded-for', [...forwarded, call.source.ip].join());
    }
  } else if (told === undefined) headers.append('x-forwarded-proto', own);
  return {
    method: request.method,
    authority: stripHost(read.authority, call.destination.port, { stripPort, stripTrailingHostDot: config.stripTrailingHostDot }),
    path,
    scheme: schemeOf(request, edge ? undefined : told, own),
    headers,
    random: 0,
    tls: terminated ? { presented: false, validated: false } : undefined,
    internal: false,
  };
}

function schemeOf({ version, scheme }: HttpRequest, told: string | undefined, own: string): string {
  if (version === '2') return scheme ?? own;
  return told === 'http' || told === 'https' ? told : own;
}

/** Fields of which the codec makes one where they are repeated. */
const JOINED = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'];

/** At the edge a proxy believes its own connection, not what a client says of the scheme. */
export function isEdge({ useRemoteAddress, xffNumTrustedHops }: HttpConnectionManager): boolean {
  return (useRemoteAddress ?? false) && xffNumTrustedHops === 0;
}

/** The checks of the HTTP/1 codec that depend on what a call says. */
function readHead(config: HttpConnectionManager, request: HttpRequest): { authority: string; path: string } | Refused {
  const http1 = config.httpProtocolOptions;
  if (!HTTP1_METHODS.has(request.method) && !http1?.allowCustomMethods)
    return { ...DECODE_ERROR, why: `"${request.method}" is no method of HTTP/1: the request is refused` };
  if (request.version === '1.0' && !http1?.acceptHttp10)
    return { status: 426, flag: 'DPE', details: 'low_version', why: 'HTTP/1.0 is refused' };
  const line = { method: request.method, target: request.path, host: request.authority === '' ? undefined : request.authority };
  const target = readTarget(line, http1?.allowAbsoluteUrl ?? true);
  if ('details' in target) return { status: 400, flag: 'DPE', details: target.details, why: `${target.reason}: ${request.path}` };
  const authority = target.authority ?? (request.version === '1.0' ? http1?.defaultHostForHttp10 : undefined);
  if (!authority) return { status: 400, flag: '', details: 'missing_host_header', why: 'the request names no host' };
  return { authority, path: target.path };
}

/** The request as it goes upstream. */
export function finalize(
  route: CompiledRoute,
  action: ForwardAction,
  choice: ClusterChoice,
  request: RouteRequest,
  call: Call,
): HttpRequest {
  const headers = request.headers.clone();
  const target = { method: request.method, authority: request.authority, path: request.path };
  // Rewrites see the request as it came, header changes apply to what goes out.
  const host = choice.hostRewriteLiteral ?? (action.hostRewrite?.kind === 'value' ? action.hostRewrite.rewrite(request) : undefined);
  // Formats see what the removals before them have left.
  const record = recordOf(route, { ...request, headers }, call);
  choice.requestMutations?.apply(headers, record, target);
  route.requestMutations?.apply(headers, record, target);
  const authority = host ?? target.authority;
  const path = action.rewritesPath && target.path !== '' ? action.rewritePath(target.path) : target.path;
  return { method: target.method, authority, path, headers, version: call.payload.http!.version, scheme: request.scheme };
}

/** What formats in header values may ask of the request; times, sizes and the like are not simulated. */
export function recordOf(route: CompiledRoute, request: RouteRequest, { source, destination, payload }: Call): FormatRecord {
  const { method, path, authority, scheme, headers } = request;
  return {
    downstream: {
      id: 0,
      remoteAddress: source,
      localAddress: destination,
      directRemoteAddress: source,
      directLocalAddress: destination,
      filterChainName: '',
      serverName: payload.tls?.serverName ?? '',
      alpn: '',
      tls: undefined,
      startTime: 0,
    },
    protocol: payload.http?.version === '2' ? 'HTTP/2' : `HTTP/${payload.http?.version}`,
    startTime: 0,
    started: 0,
    requestReceived: 0,
    upstreamFirstByteSent: 0,
    responseStarted: 0,
    responseEnded: 0,
    ended: 0,
    method,
    path,
    authority,
    scheme,
    requestHeaders: headers,
    responseHeaders: undefined,
    responseTrailers: undefined,
    responseCode: 0,
    responseCodeDetails: '',
    connectionTerminationDetails: '',
    flags: [],
    bytesReceived: 0,
    bytesSent: 0,
    routeName: route.name,
    upstreamCluster: '',
    upstreamHost: undefined,
    upstreamLocalAddress: undefined,
    upstreamTransportFailureReason: '',
    attempts: 0,
  };
}
