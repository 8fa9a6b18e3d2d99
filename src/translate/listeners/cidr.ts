import ipaddr from 'ipaddr.js';

/** The network of an IP address or CIDR, host bits cleared; undefined if the text is neither. */
export function parseCidr(text: string): { readonly address: string; readonly bits: number } | undefined {
  const [address, suffix] = text.split('/', 2);
  if (!ipaddr.isValid(address!)) return undefined;
  const ip = ipaddr.parse(address!);
  const most = ip.kind() === 'ipv4' ? 32 : 128;
  const bits = suffix === undefined ? most : Number(suffix);
  if (!Number.isInteger(bits) || bits < 0 || bits > most) return undefined;
  const bytes = ip.toByteArray().map((byte, index) => byte & (0xff << Math.min(8, Math.max(0, 8 * (index + 1) - bits))));
  return { address: ipaddr.fromByteArray(bytes.map((byte) => byte & 0xff)).toString(), bits };
}

/** One spelling for one network; empty if the text is none. */
export function canonicalCidr(text: string): string {
  const parsed = parseCidr(text);
  return parsed ? `${parsed.address}/${parsed.bits}` : '';
}

/** The address of a network of one: what a listener can bind in place of a filter chain that matches it. */
export function singleAddress(text: string): string | undefined {
  const parsed = parseCidr(text);
  return parsed && parsed.bits === (parsed.address.includes(':') ? 128 : 32) ? parsed.address : undefined;
}
