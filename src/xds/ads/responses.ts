/**
 * Responses of the protocol as bytes, put together from the bytes of the resources: nothing is encoded again
 * (envoy/service/discovery/v3/discovery.proto; fields may stand in any order). What a thousand streams get alike, the same resources, is
 * one response, for as long as those are: with one nonce, which tells responses of one stream apart.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { DeltaDiscoveryResponseSchema, DiscoveryResponseSchema } from '../gen/envoy/service/discovery/v3/discovery_pb.js';
import type { EncodedResource } from '../resources.ts';
import { tagOf, varintSize, writeVarint } from '../wire.ts';
import type { Protocol } from './subscription.ts';

/** Of answers to questions, which are no steps of a subscription. */
export const ANSWER_NONCE = 'answer';
/** As Istio's tools read it. */
const CONTROL_PLANE = JSON.stringify({ Component: 'sallyport', ID: 'sallyport', Info: {} });

/** Numbers of the fields. */
const ANY = { typeUrl: 1, value: 2 } as const;
const STATE_OF_THE_WORLD = { versionInfo: 1, resources: 2, typeUrl: 4, nonce: 5 } as const;
const DELTA = { systemVersionInfo: 1, resources: 2, typeUrl: 4, nonce: 5, removedResources: 6 } as const;
const RESOURCE = { version: 1, resource: 2, name: 3 } as const;

/** What a response says. */
export interface Content {
  readonly typeUrl: string;
  readonly version: string;
  readonly resources: readonly EncodedResource[];
  /** Incremental responses alone have these. */
  readonly removed: readonly string[];
}

export interface Response {
  /** Not that of the response before it. */
  readonly nonce: string;
  readonly bytes: Uint8Array;
}

/** Of each resource that is the first of a response the one that it was sent with last. */
const kept = {
  sotw: new WeakMap<EncodedResource, Response & Content>(),
  delta: new WeakMap<EncodedResource, Response & Content>(),
};
let count = 0;

/** A DiscoveryResponse or a DeltaDiscoveryResponse. @param before the nonce of the response before it on its stream */
export function responseOf(protocol: Protocol, content: Content, before: string): Response {
  const [first] = content.resources;
  const known = first && kept[protocol].get(first);
  if (known && known.nonce !== before && saysTheSame(known, content)) return known;
  count += 1;
  const nonce = String(count);
  const bytes = written(protocol === 'sotw' ? stateFields(content, nonce) : deltaFields(content, nonce));
  const made = { ...content, nonce, bytes };
  if (first) kept[protocol].set(first, made);
  return made;
}

/** The answer to a question about the control plane, put together by messages of any types. */
export function answerOf(
  protocol: Protocol,
  typeUrl: string,
  parts: readonly { name: string; typeUrl: string; bytes: Uint8Array }[],
): Uint8Array {
  const said = { versionInfo: '1', typeUrl, nonce: ANSWER_NONCE, controlPlane: { identifier: CONTROL_PLANE } };
  const any = (part: { typeUrl: string; bytes: Uint8Array }) => ({ typeUrl: part.typeUrl, value: part.bytes });
  if (protocol === 'sotw')
    return toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { ...said, resources: parts.map(any) }));
  const resources = parts.map((part) => ({ name: part.name, version: '1', resource: any(part) }));
  const { versionInfo: systemVersionInfo, ...rest } = said;
  return toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, { ...rest, systemVersionInfo, resources }));
}

function saysTheSame(one: Content, { typeUrl, version, resources, removed }: Content): boolean {
  return one.typeUrl === typeUrl && one.version === version && sameMembers(one.resources, resources) && sameMembers(one.removed, removed);
}

function sameMembers<T>(one: readonly T[], other: readonly T[]): boolean {
  return one === other || (one.length === other.length && one.every((member, index) => member === other[index]));
}

function stateFields({ typeUrl, version, resources }: Content, nonce: string): readonly Field[] {
  const type = utf8(typeUrl);
  return [
    field(STATE_OF_THE_WORLD.versionInfo, utf8(version)),
    ...resources.map(({ bytes }) => nested(STATE_OF_THE_WORLD.resources, anyOf(type, bytes))),
    field(STATE_OF_THE_WORLD.typeUrl, type),
    field(STATE_OF_THE_WORLD.nonce, utf8(nonce)),
  ];
}

function deltaFields({ typeUrl, version, resources, removed }: Content, nonce: string): readonly Field[] {
  const type = utf8(typeUrl);
  return [
    field(DELTA.systemVersionInfo, utf8(version)),
    ...resources.map((resource) =>
      nested(DELTA.resources, [
        field(RESOURCE.version, utf8(resource.version)),
        nested(RESOURCE.resource, anyOf(type, resource.bytes)),
        field(RESOURCE.name, utf8(resource.name)),
      ]),
    ),
    field(DELTA.typeUrl, type),
    field(DELTA.nonce, utf8(nonce)),
    ...removed.map((name) => field(DELTA.removedResources, utf8(name))),
  ];
}

/** A field with its bytes, or with the fields of a message. */
interface Field {
  readonly number: number;
  readonly content: Uint8Array | readonly Field[];
  /** Of the content, in bytes. */
  readonly length: number;
}

function field(number: number, content: Uint8Array): Field {
  return { number, content, length: content.length };
}

function nested(number: number, content: readonly Field[]): Field {
  return { number, content, length: sizeOf(content) };
}

function anyOf(typeUrl: Uint8Array, value: Uint8Array): readonly Field[] {
  return [field(ANY.typeUrl, typeUrl), field(ANY.value, value)];
}

function sizeOf(fields: readonly Field[]): number {
  return fields.reduce((sum, { number, length }) => sum + varintSize(tagOf(number)) + varintSize(length) + length, 0);
}

function written(fields: readonly Field[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(sizeOf(fields));
  write(bytes, 0, fields);
  return bytes;
}

/** Returns where it ends. */
function write(bytes: Uint8Array, start: number, fields: readonly Field[]): number {
  let at = start;
  for (const { number, content, length } of fields) {
    at = writeVarint(bytes, at, tagOf(number));
    at = writeVarint(bytes, at, length);
    if (content instanceof Uint8Array) {
      bytes.set(content, at);
      at += length;
    } else {
      at = write(bytes, at, content);
    }
  }
  return at;
}

function utf8(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}
