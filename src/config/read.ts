import { type BigIntStats, promises as fs } from 'node:fs';
import { DECODING_CODES, type DecodingCode } from '../api/codes.ts';
import { type Decoded, type DecodeOptions, decodeDocuments } from '../api/documents.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import { fileOrigin } from '../lib/origin.ts';
import { irregularity, readFlags } from '../lib/regular-file.ts';
import { isPassing } from './passing.ts';

/** Larger files are refused: parsing takes about a tenth of a second a megabyte, and its values several times the file's size. */
export const LARGEST_FILE = 32 * 1024 * 1024;

/** What came of reading a file. */
export type FileRead =
  /** `mark` is that of these very bytes: while the file has it, they are what it holds. */
  | { readonly kind: 'content'; readonly bytes: Buffer; readonly mark: string }
  | { readonly kind: 'too-large'; readonly size: number; readonly mark: string }
  | { readonly kind: 'missing' }
  /** Not now, for a reason that passes: no descriptors are left, or it is being written all the while. */
  | { readonly kind: 'later'; readonly reason: string }
  /** Not until somebody changes the file or its permissions. */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** How often a file is read anew that was written while it was read. */
const TRIES = 3;

/** Why a file is not read, by whose it is and who may write it; undefined where it is. */
export type FileGuard = (file: { readonly uid: number; readonly mode: number }) => string | undefined;

/** Reads a file. Its mark is taken of the descriptor that the content comes from, and holds only if it is the same before and after. */
export async function readMarked(path: string, guard?: FileGuard): Promise<FileRead> {
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const read = await readOnce(path, guard);
      if (read) return read;
    }
    return { kind: 'later', reason: 'it is being written' };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { kind: 'missing' };
    return { kind: isPassing(error) ? 'later' : 'unreadable', reason: messageOf(error) };
  }
}

/** Undefined if the file was written meanwhile. */
async function readOnce(path: string, guard: FileGuard | undefined): Promise<FileRead | undefined> {
  // Before it is opened: that of a device may do something.
  const irregular = irregularity(path, await fs.stat(path));
  if (irregular !== undefined) return { kind: 'unreadable', reason: `it is ${irregular}` };
  const file = await fs.open(path, readFlags(path));
  try {
    const stats = await file.stat({ bigint: true });
    const replaced = irregularity(path, stats);
    if (replaced !== undefined) return { kind: 'unreadable', reason: `it is ${replaced}` };
    const refused = guard?.({ uid: Number(stats.uid), mode: Number(stats.mode) });
    if (refused !== undefined) return { kind: 'unreadable', reason: refused };
    const mark = markOf(stats);
    if (stats.size > LARGEST_FILE) return { kind: 'too-large', size: Number(stats.size), mark };
    const bytes = await file.readFile();
    return markOf(await file.stat({ bigint: true })) === mark ? { kind: 'content', bytes, mark } : undefined;
  } finally {
    await file.close();
  }
}

/** The mark that the file at the path has now; undefined if it cannot be seen. */
export async function presentMark(path: string): Promise<string | undefined> {
  return fs.stat(path, { bigint: true }).then(markOf, () => undefined);
}

/** Pipes and the like give their content once, so that they never look changed. */
function markOf(stats: BigIntStats): string {
  const { mtimeNs, ctimeNs, size, ino, dev } = stats;
  return stats.isFile() ? `${mtimeNs}/${ctimeNs}/${size}/${ino}/${dev}` : 'stream';
}

/** Reads a stream, usually standard input, to its end and decodes it. */
export async function readStream(stream: AsyncIterable<Uint8Array | string>, name: string, options: DecodeOptions): Promise<Decoded> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of stream) {
      const bytes = typeof part === 'string' ? Buffer.from(part) : part;
      size += bytes.length;
      if (size > LARGEST_FILE) return tooLarge(name, size);
      parts.push(bytes);
    }
  } catch (error) {
    return unreadable(name, messageOf(error));
  }
  return decodeBytes(Buffer.concat(parts), name, options);
}

/** What a file holds that could not be read: nothing, and why. */
export function unreadable(file: string, reason: string): Decoded {
  return broken('SP0002', file, `can't be read: ${reason}`);
}

export function tooLarge(file: string, size: number): Decoded {
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1024 / 1024)} MiB`;
  return broken('SP0003', file, `has ${megabytes(size)}, more than the ${megabytes(LARGEST_FILE)} that one file may have: split it`);
}

export function decodeBytes(bytes: Uint8Array, file: string, options: DecodeOptions): Decoded {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    return broken('SP0004', file, `is not UTF-8 text${utf16 ? ' but UTF-16' : ''}: save it as UTF-8`);
  }
  return decodeDocuments(text, file, options);
}

/** A file that gives nothing but one finding. */
function broken(code: DecodingCode, file: string, message: string): Decoded {
  return {
    resources: [],
    findings: [{ code, level: DECODING_CODES[code].level, message, origin: fileOrigin(file), position: { file, line: 1, column: 1 } }],
  };
}
