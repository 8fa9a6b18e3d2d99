/** Who answers which question: the mesh itself, other name servers, or nobody, as a question that is passed on could carry data out. Pure. */
import { formatIp, parseIp } from '../../lib/ip.ts';
import type { NameIndex } from '../../xds/name-index.ts';
import type { WireQuestion } from './question.ts';

export type AnsweredBy =
  /** By what the mesh says of the host; of another type than addresses it has no records. */
  { readonly kind: 'mesh'; readonly ips: readonly string[] } | { readonly kind: 'others' } | { readonly kind: 'nobody' };

/** Types of records (IANA). */
const TYPE = { A: 1, PTR: 12, AAAA: 28, SRV: 33, SVCB: 64, HTTPS: 65, ANY: 255 } as const;
/** They say addresses, or what stands for them: of a host whose addresses are the mesh's, others would lead past it. */
const ADDRESSING: ReadonlySet<number> = new Set([TYPE.A, TYPE.AAAA, TYPE.SVCB, TYPE.HTTPS, TYPE.ANY]);
/** RFC 2782, of a host: names of services have 15 characters at most (RFC 6335 §5.1). */
const SERVICE = /^_[a-z0-9-]{1,15}\._(?:tcp|udp|tls|sctp)\.(?=.)/;

/** As Istio's agent, but that what nothing declares is asked of nobody: SRV of what is declared, and PTR of its addresses, are for other name servers. */
export function answeredBy({ name, type }: Pick<WireQuestion, 'name' | 'type'>, names: NameIndex): AnsweredBy {
  const address = type === TYPE.PTR ? reversed(name) : undefined;
  if (address !== undefined && names.hasAddress(address)) return { kind: 'others' };
  const service = type === TYPE.SRV ? SERVICE.exec(name) : undefined;
  const ips = names.lookup(service ? name.slice(service[0].length) : name);
  if (!ips) return { kind: 'nobody' };
  return ips.length > 0 && ADDRESSING.has(type) ? { kind: 'mesh', ips } : { kind: 'others' };
}

/** The address of which a name is the reverse (RFC 1035 §3.5, RFC 3596 §2.5), as it is written canonically. */
function reversed(name: string): string | undefined {
  const v4 = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name)?.[1];
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  const labels = (v4 ?? v6)?.split('.').filter(Boolean).reverse();
  if (!labels) return undefined;
  const words = parseIp(v4 ? labels.join('.') : labels.join('').replace(/(.{4})(?=.)/g, '$1:'));
  return words && formatIp(words);
}
