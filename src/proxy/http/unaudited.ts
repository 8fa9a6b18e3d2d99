/** The answer to requests that cannot be audited, where each has to be. */
import { AUDIT_UNAVAILABLE } from '../../audit/seat.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { HttpManagerDeps } from './contract.ts';

const REPLY: LocalReply = {
  status: 503,
  body: 'sallyport: refused, as the audit cannot be written (--audit-on-failure refuse)',
  details: AUDIT_UNAVAILABLE,
};

/** Undefined where the request may go on. */
export function unaudited({ admits }: HttpManagerDeps): LocalReply | undefined {
  return admits?.() === false ? REPLY : undefined;
}
