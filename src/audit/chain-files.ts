/** The files of a chain: a folder with a segment in each, of which every line ends with a newline. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { checkRegular, readFlags } from '../lib/regular-file.ts';
import { hashOf, LONGEST_LINE, NOTHING_BEFORE, readLine } from './chain/line.ts';
import type { Head } from './chain/verify.ts';

const NAME = /^audit-(\d{8}|[1-9]\d{8,14})\.jsonl$/;
const NEWLINE = 10;
const PIECE = 256 * 1024;

export interface SegmentFile {
  readonly number: number;
  readonly path: string;
}

export function segmentPath(folder: string, number: number): string {
  return join(folder, `audit-${String(number).padStart(8, '0')}.jsonl`);
}

/** In the order of their numbers. Throws what reading a folder throws. */
export function segmentsIn(folder: string): readonly SegmentFile[] {
  return readdirSync(folder)
    .flatMap((name) => {
      const match = NAME.exec(name);
      return match ? [{ number: Number(match[1]), path: join(folder, name) }] : [];
    })
    .sort((a, b) => a.number - b.number);
}

export interface LineReader {
  /** A line, without its newline. */
  line(text: string): void;
  /** What stands after the last newline; may be empty. */
  tail(bytes: Uint8Array): void;
}

/** Reads a file piece by piece. A line that is longer than any of ours comes in several. Throws what reading throws. */
export function readLines(path: string, reader: LineReader): void {
  const fd = openSync(path, readFlags(path));
  try {
    checkRegular(path, fstatSync(fd));
    const piece = Buffer.allocUnsafe(PIECE);
    let rest = Buffer.alloc(0);
    for (;;) {
      const count = readSync(fd, piece, 0, PIECE, null);
      if (count === 0) break;
      const bytes = Buffer.concat([rest, piece.subarray(0, count)]);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        reader.line(decoded(bytes.subarray(start, end)));
        start = end + 1;
      }
      rest = bytes.subarray(start);
      if (rest.length > 4 * LONGEST_LINE) throw new Error(`${path}: a line is longer than any of an audit`);
    }
    reader.tail(rest);
  } finally {
    closeSync(fd);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes that are no UTF-8 must not read as if they were the character that stands for such. */
function decoded(bytes: Buffer): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}

export interface ChainEnd {
  /** The last line; undefined where there is none. */
  readonly head: Head | undefined;
  /** Number of the last file; 0 where there is none. */
  readonly segment: number;
  /** What stands after the last line, or in place of lines; undefined where nothing does. */
  readonly cut: { readonly bytes: number; readonly sha256: string } | undefined;
  /** Whole lines are in it that are none of an audit. */
  readonly changed: boolean;
}

/** Where a chain was left: read from its last file that has a line. Throws what reading throws. */
export function endOfChain(folder: string): ChainEnd {
  const files = segmentsIn(folder);
  const segment = files.at(-1)?.number ?? 0;
  const after: Buffer[] = [];
  for (const file of [...files].reverse()) {
    const rest: Buffer[] = [];
    let head: Head | undefined;
    let changed = false;
    readLines(file.path, {
      line(text) {
        const line = readLine(text);
        if (line) head = { seq: line.seq, hash: hashOf(text) };
        else changed = true;
        if (changed) rest.push(Buffer.from(`${text}\n`));
      },
      tail: (bytes) => void rest.push(Buffer.from(bytes)),
    });
    after.unshift(...rest);
    if (head) return { head, segment, changed, cut: cutOf(after) };
  }
  return { head: undefined, segment, changed: false, cut: cutOf(after) };
}

function cutOf(pieces: readonly Buffer[]): ChainEnd['cut'] {
  const bytes = Buffer.concat(pieces);
  return bytes.length === 0 ? undefined : { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Of a chain that has no line yet. */
export const BEGINNING: Head = { seq: 0, hash: NOTHING_BEFORE };
