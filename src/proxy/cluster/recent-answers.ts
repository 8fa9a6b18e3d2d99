/** Which addresses names had lately: a client may have asked a little before this proxy does, and been told others. */
import { parseIp, sameIp } from '../../lib/ip.ts';
import type { DnsResolver } from '../dns/resolver.ts';

/** How long an address counts after the answer that had it was over, in ms. */
const GRACE_MS = 60_000;
/** Names that are remembered; then all are forgotten, and asked for anew. */
const MOST_NAMES = 10_000;

export class RecentAnswers {
  readonly #resolver: DnsResolver;
  readonly #now: () => number;
  /** When an address of a name stops to count. */
  readonly #known = new Map<string, Map<string, number>>();

  constructor({ resolver, now }: { readonly resolver: DnsResolver; readonly now: () => number }) {
    this.#resolver = resolver;
    this.#now = now;
  }

  /** Whether the name has the address, or had it a grace ago. False also where nobody answers. */
  async leadTo(name: string, ip: string): Promise<boolean> {
    const wanted = parseIp(ip);
    const answer = await this.#resolver.resolve(name, wanted?.length === 1 ? 'v4' : 'v6');
    const now = this.#now();
    if (this.#known.size > MOST_NAMES) this.#known.clear();
    const known = this.#known.get(name) ?? new Map<string, number>();
    for (const [address, until] of known) if (until < now) known.delete(address);
    if (answer.kind === 'found') for (const address of answer.ips) known.set(address, now + answer.ttlMs + GRACE_MS);
    if (known.size > 0) this.#known.set(name, known);
    else this.#known.delete(name);
    return wanted !== undefined && [...known.keys()].some((address) => sameIp(parseIp(address)!, wanted));
  }
}
