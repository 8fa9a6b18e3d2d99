/** Lists of hosts for which a proxy is not asked. */
import { hostCovers } from './hostname.ts';
import { cidrContains, parseIp, parseRange } from './ip.ts';

/**
 * Whether one of the entries (names, `*.suffix` or `.suffix`, addresses and CIDR ranges, in lower case) is for a host. Names are not looked up: a range is
 * for hosts that are addresses, or all of whose declared addresses lie in it.
 */
export function isHostCoveredBy(entries: readonly string[], hostname: string, addresses: readonly string[]): boolean {
  return entries.some((entry) => {
    const range = parseRange(entry);
    if (range) return addresses.length > 0 && addresses.every((address) => contains(range, address));
    const pattern = entry.startsWith('.') ? `*${entry}` : entry;
    return pattern !== '' && hostCovers(pattern, hostname);
  });
}

function contains(range: NonNullable<ReturnType<typeof parseRange>>, address: string): boolean {
  const ip = parseIp(address);
  return ip !== undefined && cidrContains(range, ip);
}
