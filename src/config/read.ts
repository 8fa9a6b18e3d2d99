import { promises as fs } from 'node:fs';
import { DECODING_CODES, type DecodingCode } from '../api/codes.ts';
import { type Decoded, type DecodeOptions, decodeDocuments } from '../api/documents.ts';
import { messageOf } from '../lib/errors.ts';
import { fileOrigin } from '../lib/origin.ts';

/** Larger files are refused: parsing takes about a tenth of a second a megabyte, and its values several times the file's size. */
export const LARGEST_FILE = 32 * 1024 * 1024;

/** Reads and decodes a file. What is wrong with the file itself is a finding, never an exception. */
export async function readDecoded(path: string, options: DecodeOptions): Promise<Decoded> {
  try {
    const { size } = await fs.stat(path);
    return size > LARGEST_FILE ? tooLarge(path, size) : decodeBytes(await fs.readFile(path), path, options);
  } catch (error) {
    return broken('SP0002', path, `can't be read: ${messageOf(error)}`);
  }
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
    return broken('SP0002', name, `can't be read: ${messageOf(error)}`);
  }
  return decodeBytes(Buffer.concat(parts), name, options);
}

/** A file that gives nothing but one finding. */
export function broken(code: DecodingCode, file: string, message: string): Decoded {
  return {
    resources: [],
    findings: [{ code, level: DECODING_CODES[code].level, message, origin: fileOrigin(file), position: { file, line: 1, column: 1 } }],
  };
}

function decodeBytes(bytes: Uint8Array, file: string, options: DecodeOptions): Decoded {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    return broken('SP0004', file, `is not UTF-8 text${utf16 ? ' but UTF-16' : ''}: save it as UTF-8`);
  }
  return decodeDocuments(text, file, options);
}

function tooLarge(file: string, size: number): Decoded {
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1024 / 1024)} MiB`;
  return broken('SP0003', file, `has ${megabytes(size)}, more than the ${megabytes(LARGEST_FILE)} that one file may have: split it`);
}
