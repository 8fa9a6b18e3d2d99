/** A line of an audit chain: its form, its hash, and what a signature is made over. docs/audit.md describes it for other programs. */
import { createHash } from 'node:crypto';

/** Of what is written here; stands in each segment's first line. */
export const FORMAT = 1;

/** The hash that the first line of all names as the one before. */
export const NOTHING_BEFORE = '0'.repeat(64);

/** No line is longer, in characters; what is longer is no line of ours. */
export const LONGEST_LINE = 64 * 1024;

/** Sets what is signed here apart from whatever else the key signs. */
const SIGNED_AS = 'sallyport-audit-signature/1\n';

export type Json = string | number | boolean | null | undefined | readonly Json[] | { readonly [name: string]: Json };

/** What a line tells, under its kind. */
export interface Entry {
  readonly kind: string;
  readonly [name: string]: Json;
}

export interface Line {
  readonly entry: Entry;
  /** Hash of the line before. */
  readonly prev: string;
  /** Counts the lines of the whole chain, from 1 on. */
  readonly seq: number;
}

/** RFC 8785: names in order, no space, numbers and strings as JavaScript writes them. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((one: Json) => canonical(one)).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(typeof value === 'string' ? value.toWellFormed() : value);
  const fields = value as { readonly [name: string]: Json };
  const names = Object.keys(fields).filter((name) => fields[name] !== undefined);
  return `{${names
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(fields[name])}`)
    .join()}}`;
}

/** @param entry in canonical form */
export function lineText(entry: string, prev: string, seq: number): string {
  return `{"entry":${entry},"prev":"${prev}","seq":${seq}}`;
}

/** SHA-256 of its bytes without the newline, hexadecimal. */
export function hashOf(line: string): string {
  return createHash('sha256').update(line).digest('hex');
}

/** Undefined for what is not a line in its one form. */
export function readLine(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Partial<Line> | null;
    const { entry, prev, seq } = line ?? {};
    if (typeof entry?.kind !== 'string' || typeof prev !== 'string' || !Number.isSafeInteger(seq)) return undefined;
    return canonical(line as unknown as Json) === text ? { entry, prev, seq: seq! } : undefined;
  } catch {
    // No JSON, or nested deeper than anything of ours.
    return undefined;
  }
}

/** What the key signs: a signature's line without the signature itself. It names the hash of the line before, and so all before it. */
export function signedBytes({ entry, prev, seq }: Line): Buffer {
  const { signature: _, ...rest } = entry;
  return Buffer.from(SIGNED_AS + lineText(canonical(rest), prev, seq));
}

/** How a key is named: SHA-256 of its public half (SubjectPublicKeyInfo, DER), hexadecimal. */
export function keyId(publicKey: Uint8Array): string {
  return createHash('sha256').update(publicKey).digest('hex');
}
