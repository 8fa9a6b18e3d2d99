/** Names and addresses of hosts as logs write them, and the names that resources give to addresses. Pure. */
import { cidrCovers, isIp, parseRange, rangeCovers } from '../lib/ip.ts';

/** The authority without its port and brackets, in lower case. */
export function hostOf(authority: string): string {
  return authority
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** The port of `address:port`; undefined if it has none. */
export function portOf(address: string): number | undefined {
  const port = /:(\d+)$/.exec(address)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** The address of `address:port`, brackets taken off. */
export function addressOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

/** The host by which resources declare it: an address gets a name. */
export function declaredHost(host: string): string {
  return isIp(host) ? `${slug(host)}.external` : host;
}

/** The part of an object's name that stands for a host. */
export function slug(host: string): string {
  const name = host
    .replace(/^\*/, 'any')
    .replace(/[^a-z0-9]+/gi, '-')
    .replace(/^-|-$/g, '')
    .toLowerCase();
  // Object names have at most 253 characters, and callers append to this one.
  return isIp(host) ? `address-${name}` : name.slice(0, 200).replace(/-$/, '');
}

/** Names that only the cluster or the machine itself knows: of Services, and those without a dot. */
export function isInside(host: string): boolean {
  return /\.svc(?:\.|$)|^localhost$/.test(host) || (host !== '' && !/[.:*]/.test(host));
}

/** What a name must be for a ServiceEntry to declare it (RFC 1123); a last label of digits would be an address. */
export function isDeclarable(host: string): boolean {
  if (isIp(host)) return true;
  return host.length <= 253 && /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(host);
}

const SPECIAL: readonly (readonly [string, string])[] = [
  ['169.254.169.254/32', 'the metadata service of cloud machines: a caller that reaches it may get credentials'],
  ['169.254.0.0/16', 'a link-local address'],
  ['127.0.0.0/8', 'an address of the machine itself'],
  ['10.0.0.0/8', 'a private address'],
  ['172.16.0.0/12', 'a private address'],
  ['192.168.0.0/16', 'a private address'],
  ['100.64.0.0/10', 'an address of a carrier or a cluster'],
  ['::1/128', 'an address of the machine itself'],
  ['fc00::/7', 'a private address'],
  ['fe80::/10', 'a link-local address'],
];

/** Why an address may not be an outside host; undefined if nothing is special about it. */
export function specialAddress(host: string): string | undefined {
  return isIp(host) ? SPECIAL.find(([range]) => cidrCovers(range, host))?.[1] : undefined;
}

/** Ranges from which a mesh allocates addresses for names; no network uses them. */
const ALLOCATED = ['240.0.0.0/4', '2001:2::/48'].map((range) => parseRange(range)!);

export function isAllocated(address: string): boolean {
  const range = parseRange(address);
  return range !== undefined && ALLOCATED.some((allocated) => rangeCovers(allocated, range));
}

/** Whether names that share this suffix have one owner, as far as its form tells: `co.uk` and `com` belong to everybody. */
export function isOwnSuffix(suffix: string): boolean {
  const labels = suffix.split('.');
  if (labels.length < 2) return false;
  return !(labels.length === 2 && labels[1]!.length === 2 && /^(?:co|com|net|org|gov|edu|ac|go|or|ne|gob|gouv)$/.test(labels[0]!));
}
