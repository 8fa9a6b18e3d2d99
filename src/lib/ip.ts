/**
 * IP addresses and CIDR ranges, as resources write them and as the data plane matches them: numbers, so that a match makes no strings.
 * An IPv4-mapped IPv6 address is its IPv4 address everywhere, as a dual-stack socket means it. Texts are read as strictly as inet_pton reads them.
 */
import { SallyportError } from './errors.ts';

/** An address as 32-bit words, most significant first: one for IPv4, four for IPv6. */
export type IpWords = readonly number[];

/** A range with its host bits cleared. */
export interface Cidr {
  readonly words: IpWords;
  readonly length: number;
}

/** The words of an address; undefined if `text` is none. A zone (`fe80::1%eth0`) is read and left out. */
export function parseIp(text: string): IpWords | undefined {
  if (!text.includes(':')) return parseIpv4(text);
  const words = parseIpv6(text);
  return words && isMapped(words) ? [words[3]!] : words;
}

export function isIp(text: string): boolean {
  return parseIp(text) !== undefined;
}

function isMapped(words: IpWords): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
}

/** Four decimal numbers without leading zeros, which some would read as octal. */
function parseIpv4(text: string): IpWords | undefined {
  let value = 0;
  let part = -1;
  let parts = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) : 46;
    if (c === 46) {
      if (part < 0) return undefined;
      value = value * 256 + part;
      part = -1;
      parts++;
    } else if (c >= 48 && c <= 57) {
      if (part === 0) return undefined;
      part = (part < 0 ? 0 : part * 10) + c - 48;
      if (part > 255) return undefined;
    } else return undefined;
  }
  return parts === 4 ? [value >>> 0] : undefined;
}

function parseIpv6(input: string): IpWords | undefined {
  const zone = input.indexOf('%');
  if (zone >= 0 && !/^[0-9A-Za-z.:-]+$/.test(input.slice(zone + 1))) return undefined;
  let text = zone < 0 ? input : input.slice(0, zone);
  if (text.includes('.')) {
    const lastColon = text.lastIndexOf(':');
    const v4 = parseIpv4(text.slice(lastColon + 1))?.[0];
    if (v4 === undefined) return undefined;
    text = `${text.slice(0, lastColon + 1)}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`;
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const left = groups(halves[0]!);
  const right = halves.length === 2 ? groups(halves[1]!) : [];
  if (!left || !right) return undefined;
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...left, ...new Array<number>(missing).fill(0), ...right];
  return [0, 2, 4, 6].map((i) => ((all[i]! << 16) | all[i + 1]!) >>> 0);
}

function groups(text: string): number[] | undefined {
  if (text === '') return [];
  const out: number[] = [];
  for (const group of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    out.push(Number.parseInt(group, 16));
  }
  return out;
}

/** The canonical spelling of an address: dotted for IPv4, RFC 5952 for IPv6. */
export function formatIp(words: IpWords): string {
  if (words.length === 1) return bytesOf(words[0]!).join('.');
  const all = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let [start, length] = [0, 0];
  for (let i = 0; i < all.length; i++) {
    let end = i;
    while (all[end] === 0) end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? hex(all) : `${hex(all.slice(0, start))}::${hex(all.slice(start + length))}`;
}

function bytesOf(word: number): number[] {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255];
}

/** An address (a range of one) or a CIDR range; undefined if the text is neither. */
export function parseRange(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) {
    const words = parseIp(text);
    return words && { words, length: words.length * 32 };
  }
  const length = text.slice(slash + 1);
  return /^(?:0|[1-9]\d{0,2})$/.test(length) && !text.includes('%') ? rangeOf(text.slice(0, slash), Number(length)) : undefined;
}

/** Envoy's `CidrRange`. Throws `xds-invalid` if it is none. */
export function compileCidr({
  addressPrefix,
  prefixLen = 0,
}: {
  readonly addressPrefix: string;
  readonly prefixLen?: number | undefined;
}): Cidr {
  const range = rangeOf(addressPrefix, prefixLen);
  if (!range) throw new SallyportError('xds-invalid', `"${addressPrefix}/${prefixLen}" is no CIDR range`);
  return range;
}

/** A range among the IPv4-mapped addresses is one of IPv4; one that holds more than these stays a range of IPv6. */
function rangeOf(address: string, length: number): Cidr | undefined {
  const words = address.includes(':') ? parseIpv6(address) : parseIpv4(address);
  if (!words || length > words.length * 32) return undefined;
  return words.length === 4 && isMapped(words) && length >= 96
    ? { words: maskWords([words[3]!], length - 96), length: length - 96 }
    : { words: maskWords(words, length), length };
}

/** The canonical spelling of a network; empty if the text is no range. */
export function canonicalRange(text: string): string {
  const range = parseRange(text);
  return range ? formatRange(range) : '';
}

export function formatRange({ words, length }: Cidr): string {
  return `${formatIp(words)}/${length}`;
}

/** The address of a range that holds one only, in its canonical spelling; undefined for a wider range and for a text that is no range. */
export function singleAddress(text: string): string | undefined {
  const range = parseRange(text);
  return range && range.length === range.words.length * 32 ? formatIp(range.words) : undefined;
}

/** `words` with everything after the first `length` bits cleared. */
export function maskWords(words: IpWords, length: number): IpWords {
  return words.map((word, i) => {
    const bits = length - i * 32;
    return bits >= 32 ? word : bits <= 0 ? 0 : (word & (0xffffffff << (32 - bits))) >>> 0;
  });
}

/** True if the range holds the address; families never match one another. */
export function cidrContains(range: Cidr, ip: IpWords): boolean {
  const { words, length } = range;
  if (words.length !== ip.length) return false;
  for (let i = 0, left = length; left > 0; i++, left -= 32) {
    const mask = left >= 32 ? 0xffffffff : 0xffffffff << (32 - left);
    if (((words[i]! ^ ip[i]!) & mask) !== 0) return false;
  }
  return true;
}

/** Whether every address of `narrow` is in `wide`. */
export function rangeCovers(wide: Cidr, narrow: Cidr): boolean {
  return wide.length <= narrow.length && cidrContains(wide, narrow.words);
}

/** Like `rangeCovers`, for ranges as text; false if either is no range. */
export function cidrCovers(wide: string, narrow: string): boolean {
  const a = parseRange(wide);
  const b = a && parseRange(narrow);
  return a !== undefined && b !== undefined && rangeCovers(a, b);
}

/** An address of `range` that is in none of `excluded`, or undefined if they cover it. Looks at the ends of the ranges, where every gap begins. */
export function sampleOutside(range: string, excluded: readonly string[]): string | undefined {
  const parsed = parseRange(range);
  if (!parsed) return undefined;
  const others = excluded.flatMap((text) => parseRange(text) ?? []);
  const candidates = [parsed.words, ...others.map(afterLast).filter((ip) => ip !== undefined)];
  const found = candidates.find((ip) => cidrContains(parsed, ip) && !others.some((other) => cidrContains(other, ip)));
  return found && formatIp(found);
}

/** The address after a range's last; undefined after the end of all addresses. */
function afterLast({ words, length }: Cidr): IpWords | undefined {
  const next = words.map((word, i) => {
    const bits = length - i * 32;
    return bits >= 32 ? word : (word | (bits <= 0 ? 0xffffffff : 0xffffffff >>> bits)) >>> 0;
  });
  for (let i = next.length - 1; i >= 0; i--) {
    if (next[i] !== 0xffffffff) {
      next[i]!++;
      return next;
    }
    next[i] = 0;
  }
  return undefined;
}

/** True for 127.0.0.0/8 and ::1. */
export function isLoopback(ip: IpWords): boolean {
  return ip.length === 1 ? ip[0]! >>> 24 === 127 : ip[0] === 0 && ip[1] === 0 && ip[2] === 0 && ip[3] === 1;
}

/** True for 0.0.0.0 and ::, which stand for every address where one listens. */
export function isAnyAddress(text: string): boolean {
  return parseIp(text)?.every((word) => word === 0) ?? false;
}

export function sameIp(a: IpWords, b: IpWords): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}
