/** Whether a call disagrees with itself about its destination, as the data plane would find. */
import { boundDisagreement } from '../http/binding.ts';
import { isWildcard } from '../lib/hostname.ts';
import { type Binding, type Disagreement, disagreementText } from '../xds/match/binding.ts';
import type { HopContext } from './hop-options.ts';
import { connectionOf } from './policy.ts';

/** What disagrees, and what the trace says of it. */
export interface Unbound {
  readonly found: Disagreement;
  /** Of a call that stands for others: whether some of them may agree. */
  readonly othersMayAgree: boolean;
}

/**
 * Undefined where the call agrees, or is not bound. `authority` of a request; undefined where no HTTP is spoken. The address of a call that stands for others
 * is as good as any: those that dial another are refused besides.
 */
export function unbound(
  hop: HopContext,
  binding: Binding | undefined,
  authority: string | undefined,
  domains: readonly string[] = [],
): Unbound | undefined {
  if (!binding) return undefined;
  const { options, serverName, chain, proxy } = hop;
  const localAddressRestored = proxy.type === 'sidecar' && options.representative !== true;
  const found = boundDisagreement(binding, { ...connectionOf(hop, undefined), localAddressRestored }, authority);
  if (!found) return undefined;
  const names = chain.config.filterChainMatch?.serverNames ?? [];
  const isExact = (serverName === '' || names.includes(serverName)) && !domains.some(isWildcard);
  return { found, othersMayAgree: options.representative === true && authority !== undefined && !isExact };
}

/** As a clause. */
export function unboundText({ mode, hosts }: Binding, { found }: Unbound): string {
  const what = `bound to ${hosts.join(', ')} (sallyport.dev/bind): ${disagreementText(found)}`;
  return mode === 'audit' ? `${what}; the call goes on, and the access log says so` : what;
}
