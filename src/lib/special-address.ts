/** Addresses of special use, which are not of the public Internet (the IANA registries of special-purpose addresses, RFC 6890). */
import { type Cidr, cidrContains, type IpWords, parseRange, rangeCovers } from './ip.ts';

const RANGES: readonly (readonly [string, string])[] = [
  ['0.0.0.0/8', 'an unspecified address'],
  ['10.0.0.0/8', 'a private address'],
  ['100.64.0.0/10', 'a shared address'],
  ['127.0.0.0/8', 'a loopback address'],
  ['169.254.0.0/16', 'a link-local address'],
  ['172.16.0.0/12', 'a private address'],
  ['192.0.0.0/24', 'a reserved address'],
  ['192.168.0.0/16', 'a private address'],
  ['198.18.0.0/15', 'a reserved address'],
  ['224.0.0.0/4', 'a multicast address'],
  ['240.0.0.0/4', 'a reserved address'],
  ['::/128', 'an unspecified address'],
  ['::1/128', 'a loopback address'],
  ['fc00::/7', 'a private address'],
  ['fe80::/10', 'a link-local address'],
  ['fec0::/10', 'a private address'],
  ['ff00::/8', 'a multicast address'],
];

const KNOWN: readonly (readonly [Cidr, string])[] = RANGES.map(([range, what]) => [parseRange(range)!, what]);

/**
 * Where IPv6 addresses hold one of IPv4, counted in bits, and what they are themselves, if special: IPv4-compatible, NAT64 (RFC 6052, and RFC 8215, whose
 * prefix is for local use), 6to4 (RFC 3056), ISATAP is link-local.
 */
const HOLDERS: readonly (readonly [range: Cidr, start: number, own?: string])[] = [
  [parseRange('::/96')!, 96],
  [parseRange('64:ff9b::/96')!, 96],
  [parseRange('64:ff9b:1::/48')!, 96, 'a reserved address'],
  [parseRange('2002::/16')!, 16],
];

/** What the address is, such as `a loopback address`, or undefined for a public one. */
export function specialUse(ip: IpWords): string | undefined {
  const own = KNOWN.find(([range]) => cidrContains(range, ip))?.[1];
  if (own) return own;
  const holder = HOLDERS.find(([range]) => cidrContains(range, ip));
  return holder && (specialUse([bitsAt(ip, holder[1])]) ?? holder[2]);
}

const NEAR: ReadonlySet<string | undefined> = new Set(['a loopback address', 'a private address']);

/** Whether an address is one of this machine's own, or of a private network. */
export function isNear(ip: IpWords): boolean {
  return NEAR.has(specialUse(ip));
}

/** Whether all addresses of a range (`10.0.0.0/8`, or one address) are. */
export function isNearRange(text: string): boolean {
  const range = parseRange(text);
  return range !== undefined && KNOWN.some(([known, what]) => NEAR.has(what) && rangeCovers(known, range));
}

/** 32 bits of the address, from `start`, a multiple of 16. */
function bitsAt(ip: IpWords, start: number): number {
  const i = start >>> 5;
  return start % 32 === 0 ? ip[i]! : (((ip[i]! & 0xffff) << 16) | (ip[i + 1]! >>> 16)) >>> 0;
}
