/** IP addresses and CIDR ranges as numbers, for matching without allocation of strings. */
import { SallyportError } from '../../lib/errors.ts';
import type { CidrRange } from '../gen/envoy/config/core/v3/address_pb.js';

/** An address as 32-bit words, most significant first: one for IPv4, four for IPv6. */
export type IpWords = readonly number[];

/** The words of an address; undefined if `text` is none. An IPv4-mapped IPv6 address is its IPv4 address, as a dual-stack socket means it. */
export function parseIp(text: string): IpWords | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): IpWords | undefined {
  let value = 0;
  let part = -1;
  let parts = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) : 46;
    if (c === 46) {
      if (part < 0 || part > 255) return undefined;
      value = value * 256 + part;
      part = -1;
      parts++;
    } else if (c >= 48 && c <= 57) {
      part = (part < 0 ? 0 : part * 10) + c - 48;
      if (part > 255) return undefined;
    } else return undefined;
  }
  return parts === 4 ? [value >>> 0] : undefined;
}

function parseIpv6(input: string): IpWords | undefined {
  const zone = input.indexOf('%');
  let text = zone < 0 ? input : input.slice(0, zone);
  const lastColon = text.lastIndexOf(':');
  if (text.includes('.')) {
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
  const all = [...left, ...new Array<number>(halves.length === 2 ? missing : 0).fill(0), ...right];
  const words = [0, 2, 4, 6].map((i) => ((all[i]! << 16) | all[i + 1]!) >>> 0);
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff ? [words[3]!] : words;
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

export interface Cidr {
  readonly words: IpWords;
  readonly length: number;
}

/** A range with its host bits cleared. Throws `xds-invalid` if it is none. */
export function compileCidr(range: CidrRange): Cidr {
  const words = parseIp(range.addressPrefix);
  const length = range.prefixLen ?? 0;
  if (!words || length > words.length * 32) {
    throw new SallyportError('xds-invalid', `"${range.addressPrefix}/${length}" is no CIDR range`);
  }
  return { words: maskWords(words, length), length };
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

/** True for 127.0.0.0/8 and ::1. */
export function isLoopback(ip: IpWords): boolean {
  return ip.length === 1 ? ip[0]! >>> 24 === 127 : ip[0] === 0 && ip[1] === 0 && ip[2] === 0 && ip[3] === 1;
}

export function sameIp(a: IpWords, b: IpWords): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}

/** Values by range, looked up by the longest range that holds an address; a range that holds every address is a fallback of its own. */
export class CidrMap<T> {
  readonly #byLength: { readonly family: number; readonly length: number; readonly values: Map<string, T> }[] = [];
  #any: T | undefined;

  /** The value of the range, made by `create` when it is new. Undefined stands for «any address, also none». */
  ensure(range: Cidr | undefined, create: () => T): T {
    if (!range) {
      this.#any ??= create();
      return this.#any;
    }
    const family = range.words.length;
    let level = this.#byLength.find((entry) => entry.family === family && entry.length === range.length);
    if (!level) {
      level = { family, length: range.length, values: new Map() };
      this.#byLength.push(level);
      this.#byLength.sort((a, b) => b.length - a.length);
    }
    const key = range.words.join(':');
    const known = level.values.get(key);
    if (known !== undefined) return known;
    const value = create();
    level.values.set(key, value);
    return value;
  }

  get(ip: IpWords | undefined): T | undefined {
    if (ip) {
      for (const level of this.#byLength) {
        if (level.family !== ip.length) continue;
        const value = level.values.get(
          level.family === 1
            ? String((ip[0]! & (level.length === 0 ? 0 : 0xffffffff << (32 - level.length))) >>> 0)
            : maskWords(ip, level.length).join(':'),
        );
        if (value !== undefined) return value;
      }
    }
    return this.#any;
  }

  get size(): number {
    return this.#byLength.reduce((sum, level) => sum + level.values.size, 0) + (this.#any === undefined ? 0 : 1);
  }
}
