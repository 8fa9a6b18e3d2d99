/**
 * Messages as bytes. The big ones are put together from parts that are encoded once in their life, so that of ten thousand virtual hosts only the one
 * that changed is encoded again: on the wire a field that holds a message is a tag, a length and the message's own bytes, and
 * fields may stand in any order (https://protobuf.dev/programming-guides/encoding/).
 */
import { hash } from 'node:crypto';
import { type DescMessage, type Message, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.js';
import { tagOf, varintSize, writeVarint } from './wire.ts';

export interface Encoded {
  readonly bytes: Uint8Array;
  /** A hash of the content: the same in every process. */
  readonly version: string;
}

/** The first 16 hexadecimal digits of the SHA-256. */
export function contentHash(content: string | Uint8Array): string {
  // Not a slice of the whole text, which would stay in memory behind it.
  return hash('sha256', content, 'buffer').toString('hex', 0, 8);
}

/** Where the bytes of a part are: in those of the message that it was last a part of, so that they are not held twice. */
interface Part {
  readonly version: string;
  readonly length: number;
  buffer: Uint8Array;
  start: number;
}

const parts = new WeakMap<Message, Part>();

/** The fields of the big messages that are encoded by themselves. */
const PARTS: ReadonlyMap<string, readonly string[]> = new Map([
  [RouteConfigurationSchema.typeName, ['virtualHosts']],
  [ListenerSchema.typeName, ['filterChains', 'defaultFilterChain']],
]);

/** The message must not be changed afterwards. */
export function encoded<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Encoded {
  return PARTS.has(schema.typeName) ? encodeWithParts(schema, message) : encodeWhole(schema, message);
}

function encodeWhole<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Encoded {
  const bytes = toBinary(schema, message);
  return { bytes, version: contentHash(bytes) };
}

/** A part and the field in which it stands. */
interface Placed {
  readonly message: Message;
  readonly tag: number;
  readonly part: Part;
}

function encodeWithParts<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Encoded {
  const fields = message as unknown as Record<string, unknown>;
  const rest: Record<string, unknown> = { ...fields };
  const placed: Placed[] = [];
  for (const name of PARTS.get(schema.typeName)!) {
    const field = schema.field[name]!;
    const of = field.message!;
    const value = fields[name] as Message | readonly Message[] | undefined;
    const list = field.fieldKind === 'list' ? (value as readonly Message[]) : value === undefined ? [] : [value as Message];
    rest[name] = field.fieldKind === 'list' ? [] : undefined;
    const tag = tagOf(field.number);
    for (const each of list) placed.push({ message: each, tag, part: partOf(of, each) });
  }
  const frame = toBinary(schema, rest as MessageShape<Desc>);
  const bytes = joined(frame, placed);
  return { bytes, version: contentHash([contentHash(frame), ...placed.map(({ tag, part }) => `${tag}:${part.version}`)].join()) };
}

function partOf(schema: DescMessage, message: Message): Part {
  const known = parts.get(message);
  if (known) return known;
  const buffer = toBinary(schema, message);
  const part: Part = { version: contentHash(buffer), length: buffer.length, buffer, start: 0 };
  parts.set(message, part);
  return part;
}

/** Lets the parts point into the result. */
function joined(frame: Uint8Array, placed: readonly Placed[]): Uint8Array {
  const size = placed.reduce((sum, { tag, part }) => sum + varintSize(tag) + varintSize(part.length) + part.length, frame.length);
  const bytes = new Uint8Array(size);
  bytes.set(frame);
  let at = frame.length;
  for (const { tag, part } of placed) {
    at = writeVarint(bytes, at, tag);
    at = writeVarint(bytes, at, part.length);
    bytes.set(part.buffer.subarray(part.start, part.start + part.length), at);
    part.buffer = bytes;
    part.start = at;
    at += part.length;
  }
  return bytes;
}
