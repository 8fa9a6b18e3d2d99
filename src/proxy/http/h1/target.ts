/** The request target of a head, or the codec's refusal of it. */
import { readTarget as read, type Target } from '../../../http/request-target.ts';
import { CodecError } from './error.ts';
import type { RequestHead } from './head.ts';

export type { Target };

/** `allowAbsolute`: the absolute form replaces Host. */
export function readTarget(head: RequestHead, allowAbsolute: boolean): Target | CodecError {
  const { method, target, host } = head;
  // Nearly every request.
  if (target.charCodeAt(0) === 47 && method !== 'CONNECT') return { authority: host, path: target };
  const found = read(head, allowAbsolute);
  return 'details' in found ? new CodecError(found.reason, found.details) : found;
}
