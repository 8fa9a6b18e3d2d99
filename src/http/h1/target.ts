/** The forms of a request target (RFC 9112 §3.2) as authority and path. */
import { isAuthority } from '../authority.ts';
import { CodecError } from './error.ts';
import type { RequestHead } from './head.ts';

const BAD_URL = new CodecError('bad request target', 'http1.invalid_url');
const BAD_FORM = new CodecError('bad request target');
const BAD_SCHEME = new CodecError('scheme of the request target', 'http1.invalid_scheme');
const BAD_AUTHORITY = new CodecError('the authority is no host and port', 'http.invalid_authority');

/** Finds the authority and the path that a head names. `allowAbsolute`: the absolute form replaces Host. Returns what is wrong with the target. */
export function readTarget(head: RequestHead, allowAbsolute: boolean): CodecError | undefined {
  const { method, target, host } = head;
  // Nearly every request.
  if (target.charCodeAt(0) === 47 && method !== 'CONNECT') return named(head, host, target);
  if (method === 'CONNECT') return isAuthority(target) && /:0*[1-9]\d*$/.test(target) ? named(head, target, '') : BAD_URL;
  if (target === '*' && method === 'OPTIONS') return named(head, host, target);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(target);
  if (!scheme) return BAD_FORM;
  if (!allowAbsolute) return named(head, host, target);
  const name = scheme[1]!.toLowerCase();
  if (name !== 'http' && name !== 'https') return BAD_SCHEME;
  const rest = target.slice(scheme[0].length);
  const end = rest.search(/[/?#]/);
  const before = end < 0 ? rest : rest.slice(0, end);
  if (rest[end] === '#') return BAD_FORM;
  // User information (RFC 3986 §3.2.1) is no part of what the target names.
  const authority = before.replace(/^[A-Za-z0-9\-._~%!$&'()*+,;=:]*@/, '');
  if (!isAuthority(authority)) return BAD_URL;
  return named(head, authority, end < 0 ? '/' : rest.slice(end));
}

/** An empty authority is none of any virtual host. */
function named(head: RequestHead, authority: string | undefined, path: string): CodecError | undefined {
  if (authority !== undefined && authority !== '' && !isAuthority(authority)) return BAD_AUTHORITY;
  head.authority = authority;
  head.path = path;
  return undefined;
}
