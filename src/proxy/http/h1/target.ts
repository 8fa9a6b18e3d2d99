/** The forms of a request target (RFC 9112 §3.2) as authority and path. */
import { AUTHORITY, consistsOf } from './chars.ts';
import { CodecError } from './error.ts';
import type { RequestHead } from './head.ts';

export interface Target {
  /** Undefined if neither the target nor Host names one. */
  readonly authority: string | undefined;
  /** With query; empty for CONNECT. */
  readonly path: string;
}

const BAD_URL = new CodecError('bad request target', 'http1.invalid_url');

/** `allowAbsolute`: the absolute form replaces Host. */
export function readTarget({ method, target, host }: RequestHead, allowAbsolute: boolean): Target | CodecError {
  if (method === 'CONNECT') {
    return /^(\[[0-9a-fA-F:.]+\]|[^/:?#@[\]]+):\d{1,5}$/.test(target) ? { authority: target, path: '' } : BAD_URL;
  }
  const first = target.charCodeAt(0);
  if (first === 47) return { authority: host, path: target };
  if (target === '*') return { authority: host, path: target };
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(target);
  if (!scheme) return BAD_URL;
  if (!allowAbsolute) return { authority: host, path: target };
  const name = scheme[1]!.toLowerCase();
  if (name !== 'http' && name !== 'https') return new CodecError('scheme of the request target', 'http1.invalid_scheme');
  const rest = target.slice(scheme[0].length);
  const end = rest.search(/[/?#]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  if (authority === '' || authority.includes('@') || !consistsOf(authority, AUTHORITY)) return BAD_URL;
  const path = end < 0 ? '/' : rest.slice(end);
  return { authority, path: path.charCodeAt(0) === 47 ? path : `/${path}` };
}
