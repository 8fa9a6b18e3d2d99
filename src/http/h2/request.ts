/** What a connection manager makes of a request's header block in HTTP/2 (RFC 9113 §8.3.1). */
import { isAuthority } from '../authority.ts';
import { SEEN } from '../fields.ts';
import { Head } from '../head.ts';
import type { HeaderMap } from '../header-map.ts';
import type { ManagerOptions } from '../options.ts';
import type { RouteRequest } from '../routes/model.ts';
import { receivedHeaders } from './headers.ts';

export interface Http2Request {
  readonly method: string;
  /** Undefined if neither `:authority` nor `host` names one. */
  readonly authority: string | undefined;
  readonly path: string;
  /** `http` or `https`; empty where the client names neither. */
  readonly scheme: string;
  readonly upgrade: string;
  readonly headers: HeaderMap;
  /** Bits of SEEN. */
  readonly seen: number;
  /** Why the stream is to be reset, as `%RESPONSE_CODE_DETAILS%`; undefined for a request that is taken. */
  readonly refusal: string | undefined;
}

/** `raw`: name, value, name, value, …; a library has checked that pseudo-headers come first, once each, and which are there. */
export function readRequest(raw: readonly string[], options: Pick<ManagerOptions, 'underscores' | 'maxHeadBytes'>): Http2Request {
  const pseudo = pseudoHeaders(raw);
  const { headers, seen } = receivedHeaders(raw);
  const authority = pseudo.authority ?? hostOf(raw);
  const upgrade = pseudo.method === 'CONNECT' ? (pseudo.protocol === '' ? 'connect' : pseudo.protocol.toLowerCase()) : '';
  return {
    // An extended CONNECT is the upgrade of HTTP/1 (RFC 8441 §4): routes see it as one.
    method: upgrade !== '' && upgrade !== 'connect' ? 'GET' : pseudo.method,
    authority,
    path: pseudo.path,
    scheme: pseudo.scheme === 'http' || pseudo.scheme === 'https' ? pseudo.scheme : '',
    upgrade,
    headers,
    seen,
    refusal: refusalOf(raw, seen, authority, options),
  };
}

/** The head as it goes through the proxy. `end`: nothing follows it; `random`: the request's random integer. */
export function toHead(request: Http2Request, end: boolean, tls: RouteRequest['tls'], random: number): Head {
  const { method, authority, path, headers, seen, upgrade } = request;
  const scheme = request.scheme || (tls ? 'https' : 'http');
  return new Head('HTTP/2', method, authority ?? '', path, scheme, headers, seen, upgrade, !end || upgrade !== '', random, tls);
}

/** Limits that clients may ignore although they are told (RFC 9113 §6.5.2). */
function refusalOf(
  raw: readonly string[],
  seen: number,
  authority: string | undefined,
  options: Pick<ManagerOptions, 'underscores' | 'maxHeadBytes'>,
): string | undefined {
  if (authority !== undefined && authority !== '' && !isAuthority(authority)) return 'http2.invalid_authority';
  if (options.underscores === 'reject' && (seen & SEEN.underscore) !== 0) return 'http2.unexpected_underscore';
  let bytes = 0;
  for (const part of raw) bytes += part.length;
  return bytes > options.maxHeadBytes ? 'http2.header_list_size_too_large' : undefined;
}

interface PseudoHeaders {
  method: string;
  path: string;
  authority: string | undefined;
  protocol: string;
  scheme: string;
}

function pseudoHeaders(raw: readonly string[]): PseudoHeaders {
  const pseudo: PseudoHeaders = { method: '', path: '', authority: undefined, protocol: '', scheme: '' };
  for (let i = 0; i < raw.length; i += 2) {
    const value = raw[i + 1]!;
    switch (raw[i]) {
      case ':method':
        pseudo.method = value;
        break;
      case ':path':
        pseudo.path = value;
        break;
      case ':authority':
        pseudo.authority = value;
        break;
      case ':scheme':
        pseudo.scheme = value;
        break;
      case ':protocol':
        pseudo.protocol = value;
        break;
      default:
        // The pseudo-headers come first.
        if (raw[i]!.charCodeAt(0) !== 58) return pseudo;
    }
  }
  return pseudo;
}

function hostOf(raw: readonly string[]): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i] === 'host') return raw[i + 1];
  return undefined;
}
