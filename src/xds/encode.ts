/**
 * Messages as bytes. The big ones are put together from parts that are encoded once in their life, so that of ten thousand virtual hosts only the one
 * that changed is encoded again: on the wire a field that holds a message is a tag, a length and the message's own bytes, and
 * fields may stand in any order (https://protobuf.dev/programming-guides/encoding/).
 */
import { hash } from 'node:crypto';
import { type DescMessage, type Message, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { once } from '../lib/once.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.js';
import type { RoutesPatch } from './resources.ts';
import { tagOf, varintSize, writeVarint } from './wire.ts';

export interface Encoded {
  /** Those of a big message are put together when they are first asked for, which mostly they are not: a patch does. */
  readonly bytes: () => Uint8Array;
  /** A hash of the content: the same in every process. */
  readonly version: string;
  /** Of a big message. */
  readonly assembly?: Assembly;
}

/** What a big message is put together from. */
interface Assembly {
  /** Everything but the parts. */
  readonly frame: Uint8Array;
  readonly placed: readonly Placed[];
}

/** The first 16 hexadecimal digits of the SHA-256. */
export function contentHash(content: string | Uint8Array): string {
  // Not a slice of the whole text, which would stay in memory behind it.
  return hash('sha256', content, 'buffer').toString('hex', 0, 8);
}

/** Where the bytes of a part are: in those of the message that was last put together with it, so that they are not held twice. */
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
  return { bytes: () => bytes, version: contentHash(bytes) };
}

/** A part and the field in which it stands. */
interface Placed {
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
    for (const each of list) placed.push({ tag, part: partOf(of, each) });
  }
  const frame = toBinary(schema, rest as MessageShape<Desc>);
  const version = contentHash([contentHash(frame), ...placed.map(({ tag, part }) => `${tag}:${part.version}`)].join());
  return { bytes: once(() => joined(frame, placed)), version, assembly: { frame, placed } };
}

function partOf(schema: DescMessage, message: Message): Part {
  const known = parts.get(message);
  if (known) return known;
  const buffer = toBinary(schema, message);
  const part: Part = { version: contentHash(buffer), length: buffer.length, buffer, start: 0 };
  parts.set(message, part);
  return part;
}

/** From this size on a message is put together in memory that threads share: it is for them. */
const SHARED_BYTES = 64 * 1024;

/** Lets the parts point into the result. */
function joined(frame: Uint8Array, placed: readonly Placed[]): Uint8Array {
  const size = placed.reduce((sum, { tag, part }) => sum + varintSize(tag) + varintSize(part.length) + part.length, frame.length);
  const bytes = new Uint8Array(size < SHARED_BYTES ? new ArrayBuffer(size) : new SharedArrayBuffer(size));
  bytes.set(frame);
  let at = frame.length;
  for (const { tag, part } of placed) {
    at = writeVarint(bytes, at, tag);
    at = writeVarint(bytes, at, part.length);
    bytes.set(bytesOf(part), at);
    part.buffer = bytes;
    part.start = at;
    at += part.length;
  }
  return bytes;
}

function bytesOf({ buffer, start, length }: Part): Uint8Array {
  return buffer.subarray(start, start + length);
}

/** What leads from one route configuration to another; undefined where most of it is new. */
export function routesPatch(before: Encoded, after: Encoded): RoutesPatch | undefined {
  const [old, now] = [before.assembly?.placed, after.assembly];
  if (!old || !now) return undefined;
  const hosts: (Run | Uint8Array)[] = [];
  const placeOf = once(() => new Map(old.map(({ part }, place) => [part.version, place])));
  let added = 0;
  // Most stand behind the one that they stood behind before, or in the place of one that changed.
  let next = 0;
  for (const { part } of now.placed) {
    const place = old[next]?.part.version === part.version ? next : placeOf().get(part.version);
    next = (place ?? next) + 1;
    const last = hosts.at(-1);
    if (place === undefined) {
      hosts.push(bytesOf(part));
      added += 1;
    } else if (last && 'end' in last && last.end === place) last.end = next;
    else hosts.push({ start: place, end: next });
  }
  return added > now.placed.length / 2 ? undefined : { base: before.version, frame: now.frame, hosts };
}

interface Run {
  readonly start: number;
  end: number;
}
