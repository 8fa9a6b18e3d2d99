/** The forms of a request target (RFC 9112 §3.2) as authority and path. Pure. */

export interface Target {
  /** Undefined if neither the target nor Host names one. */
  readonly authority: string | undefined;
  /** With query; empty for CONNECT. */
  readonly path: string;
}

/** A target that is refused with 400: why, and `%RESPONSE_CODE_DETAILS%`. */
export interface BadTarget {
  readonly reason: string;
  readonly details: string;
}

export interface RequestLine {
  readonly method: string;
  readonly target: string;
  /** Value of Host, or undefined without one. */
  readonly host: string | undefined;
}

const BAD_URL: BadTarget = { reason: 'bad request target', details: 'http1.invalid_url' };
const BAD_FORM: BadTarget = { reason: 'bad request target', details: 'http1.codec_error' };
const BAD_SCHEME: BadTarget = { reason: 'scheme of the request target', details: 'http1.invalid_scheme' };
/** Host with port, as Envoy lets it through; lists included. */
const AUTHORITY = /^[A-Za-z0-9\-._~%!$&'()*+,;=:[\]]+$/;

/** `allowAbsolute`: the absolute form replaces Host. */
export function readTarget({ method, target, host }: RequestLine, allowAbsolute: boolean): Target | BadTarget {
  if (method === 'CONNECT') {
    return /^(\[[0-9a-fA-F:.]+\]|[^/:?#@[\]]+):\d{1,5}$/.test(target) ? { authority: target, path: '' } : BAD_URL;
  }
  if (target.startsWith('/') || (target === '*' && method === 'OPTIONS')) return { authority: host, path: target };
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(target);
  if (!scheme) return BAD_FORM;
  if (!allowAbsolute) return { authority: host, path: target };
  const name = scheme[1]!.toLowerCase();
  if (name !== 'http' && name !== 'https') return BAD_SCHEME;
  const rest = target.slice(scheme[0].length);
  const end = rest.search(/[/?#]/);
  const named = end < 0 ? rest : rest.slice(0, end);
  if (rest[end] === '#') return BAD_FORM;
  // User information is no part of what the target names.
  const authority = named.slice(named.lastIndexOf('@') + 1);
  if (!AUTHORITY.test(authority) || Number(/:(\d+)$/.exec(authority)?.[1] ?? 0) > 65535) return BAD_URL;
  return { authority, path: end < 0 ? '/' : rest.slice(end) };
}
