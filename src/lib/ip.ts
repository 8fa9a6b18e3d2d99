/** IP addresses and CIDR ranges as resources write them. Not for the hot path, which has xds/match/cidr.ts. */
import ipaddr from 'ipaddr.js';

export interface IpRange {
  readonly address: ipaddr.IPv4 | ipaddr.IPv6;
  readonly length: number;
}

/** An address (a range of one) or a CIDR range; undefined if the text is neither. */
export function parseRange(text: string): IpRange | undefined {
  try {
    if (text.includes('/')) {
      const [address, length] = ipaddr.parseCIDR(text);
      return { address, length };
    }
    if (!ipaddr.isValid(text) || (!text.includes(':') && text.split('.').length !== 4)) return undefined;
    const address = ipaddr.parse(text);
    return { address, length: address.kind() === 'ipv4' ? 32 : 128 };
  } catch {
    return undefined;
  }
}

/** Whether every address of `narrow` is in `wide`; false if either is no range. */
export function cidrCovers(wide: string, narrow: string): boolean {
  const a = parseRange(wide);
  const b = parseRange(narrow);
  return (
    a !== undefined &&
    b !== undefined &&
    a.address.kind() === b.address.kind() &&
    a.length <= b.length &&
    b.address.match(a.address, a.length)
  );
}

/** Whether an address of one is in the other. */
export function cidrsOverlap(a: string, b: string): boolean {
  return cidrCovers(a, b) || cidrCovers(b, a);
}
