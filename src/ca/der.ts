/** Writes ASN.1 in DER (X.690), as far as certificates need it. */

/** Tags, of the universal class where nothing else is said. */
const TAG = { boolean: 1, integer: 2, bitString: 3, octetString: 4, oid: 6, utf8: 12, sequence: 48, set: 49, time: 24 } as const;

export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return [0x80 | bytes.length, ...bytes];
}

export const sequence = (...contents: readonly Uint8Array[]) => der(TAG.sequence, ...contents);
export const set = (...contents: readonly Uint8Array[]) => der(TAG.set, ...contents);
export const octetString = (content: Uint8Array) => der(TAG.octetString, content);
export const utf8 = (text: string) => der(TAG.utf8, Buffer.from(text, 'utf8'));
export const boolean = (value: boolean) => der(TAG.boolean, Buffer.from([value ? 0xff : 0]));
/** The number of unused bits at the end comes first. */
export const bitString = (content: Uint8Array, unused = 0) => der(TAG.bitString, Buffer.from([unused]), content);

/** A positive number, most significant byte first. */
export function integer(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const shortest = start < 0 ? Buffer.from([0]) : Buffer.from(bytes.subarray(start));
  return der(TAG.integer, shortest[0]! >= 0x80 ? Buffer.from([0]) : Buffer.alloc(0), shortest);
}

/** `1.2.840…` */
export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return der(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** Milliseconds since the epoch, to the second; X.509 wants the short form up to 2049. */
export function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, '');
  const year = Number(digits.slice(0, 4));
  return year < 2050 ? der(23, Buffer.from(digits.slice(2))) : der(TAG.time, Buffer.from(digits));
}
