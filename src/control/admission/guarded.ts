/** What a command line says of the guard. */
import { SallyportError } from '../../lib/errors.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import type { GuardOptions } from './guard-options.ts';

/** As they are written on the command line. */
export interface GuardedOptions {
  readonly guardEgress?: GuardOptions['namespaces'];
  readonly allowWideningBy: readonly string[];
  readonly webhook?: SocketAddress;
}

/** Undefined where nothing is guarded. @throws SallyportError `usage` */
export function guardFrom({ guardEgress: namespaces, allowWideningBy: allowed, webhook }: GuardedOptions): GuardOptions | undefined {
  if (namespaces !== undefined && !webhook)
    throw new SallyportError('usage', '--guard-egress is done at the webhook: say where API servers ask, with --webhook');
  if (namespaces === undefined && allowed.length > 0)
    throw new SallyportError('usage', '--allow-widening-by is about what is guarded: it needs --guard-egress');
  return namespaces && { namespaces, allowed };
}
