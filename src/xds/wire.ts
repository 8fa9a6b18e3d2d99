/**
 * Parts of an encoded message without the rest of it: a message with ten thousand entries in one field is taken apart into their bytes, and one is put
 * together of parts that are bytes already.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

export interface SplitMessage {
  /** The message without the field, as bytes of their own. */
  readonly rest: Uint8Array;
  /** The field's values in their order: views into the message. */
  readonly parts: readonly Uint8Array[];
}

/** Takes a repeated field of messages out of a message. Throws as decoding does if the bytes are no message. */
export function splitMessage(bytes: Uint8Array, field: number): SplitMessage {
  const parts: Uint8Array[] = [];
  const others: Uint8Array[] = [];
  eachField(bytes, (number, type, reader, start) => {
    if (number === field && type === WireType.LengthDelimited) {
      parts.push(reader.bytes());
    } else {
      reader.skip(type, number);
      others.push(bytes.subarray(start, reader.pos));
    }
  });
  return { rest: concatenated(others), parts };
}

/** The value of a field of strings or messages that stands once; of several, the last. Undefined without one. */
export function lastValue(bytes: Uint8Array, field: number): Uint8Array | undefined {
  let value: Uint8Array | undefined;
  eachField(bytes, (number, type, reader) => {
    if (number === field && type === WireType.LengthDelimited) value = reader.bytes();
    else reader.skip(type, number);
  });
  return value;
}

function eachField(bytes: Uint8Array, take: (field: number, type: WireType, reader: BinaryReader, start: number) => void): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, type] = reader.tag();
    take(number, type, reader, start);
  }
}

function concatenated(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** The tag of a field that holds a message, a string or bytes. */
export function tagOf(field: number): number {
  return (field << 3) | WireType.LengthDelimited;
}

export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) size += 1;
  return size;
}

/** Returns where it ends. */
export function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}
