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
  return a !== undefined && b !== undefined && rangeCovers(a, b);
}

/** The same of ranges that are read. */
export function rangeCovers(wide: IpRange, narrow: IpRange): boolean {
  return wide.address.kind() === narrow.address.kind() && wide.length <= narrow.length && narrow.address.match(wide.address, wide.length);
}

/** Whether an address of one is in the other. */
export function cidrsOverlap(a: string, b: string): boolean {
  return cidrCovers(a, b) || cidrCovers(b, a);
}

/** An address of `range` that is in none of `excluded`, or undefined if they cover it. Looks at the ends of the ranges, where every gap begins. */
export function sampleOutside(range: string, excluded: readonly string[]): string | undefined {
  const parsed = parseRange(range);
  if (!parsed) return undefined;
  const candidates = [firstOf(parsed), ...excluded.flatMap((text) => afterLast(text))];
  return candidates.find((ip) => cidrCovers(range, ip) && !excluded.some((text) => cidrCovers(text, ip)));
}

function firstOf({ address, length }: IpRange): string {
  const bytes = address.toByteArray().map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))) & 0xff);
  return ipaddr.fromByteArray(bytes).toString();
}

/** The address after a range's last, or nothing after the end of all addresses. */
function afterLast(text: string): string[] {
  const range = parseRange(text);
  if (!range) return [];
  const bytes = range.address.toByteArray().map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, range.length - i * 8))));
  for (let i = bytes.length - 1; i >= 0; i--) {
    if (bytes[i]! < 255) {
      bytes[i]!++;
      return [ipaddr.fromByteArray(bytes).toString()];
    }
    bytes[i] = 0;
  }
  return [];
}
