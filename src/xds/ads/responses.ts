/**
 * Responses of the protocol as bytes, put together from the bytes of the resources: nothing is encoded again
 * (envoy/service/discovery/v3/discovery.proto; fields may stand in any order). What a thousand streams get alike, the resources of one list, is put
 * together once, for as long as that list is.
 */
import type { EncodedResource } from '../resources.ts';
import { tagOf, varintSize, writeVarint } from '../wire.ts';

/** Numbers of the fields. */
const ANY = { typeUrl: 1, value: 2 } as const;
const STATE_OF_THE_WORLD = { versionInfo: 1, resources: 2, typeUrl: 4, nonce: 5 } as const;
const DELTA = { systemVersionInfo: 1, resources: 2, typeUrl: 4, nonce: 5, removedResources: 6 } as const;
const RESOURCE = { version: 1, resource: 2, name: 3 } as const;

export interface Head {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
}

/** A DiscoveryResponse. */
export function stateResponse({ typeUrl, version, nonce }: Head, resources: readonly EncodedResource[]): Uint8Array {
  const type = utf8(typeUrl);
  const body = once(stateBodies, resources, () => resources.map(({ bytes }) => nested(STATE_OF_THE_WORLD.resources, anyOf(type, bytes))));
  const head = [
    field(STATE_OF_THE_WORLD.versionInfo, utf8(version)),
    field(STATE_OF_THE_WORLD.typeUrl, type),
    field(STATE_OF_THE_WORLD.nonce, utf8(nonce)),
  ];
  return Buffer.concat([written(head), body]);
}

/** A DeltaDiscoveryResponse. */
export function deltaResponse(
  { typeUrl, version, nonce }: Head,
  resources: readonly EncodedResource[],
  removed: readonly string[],
): Uint8Array {
  const type = utf8(typeUrl);
  const body = once(deltaBodies, resources, () =>
    resources.map((resource) =>
      nested(DELTA.resources, [
        field(RESOURCE.version, utf8(resource.version)),
        nested(RESOURCE.resource, anyOf(type, resource.bytes)),
        field(RESOURCE.name, utf8(resource.name)),
      ]),
    ),
  );
  const head = [
    field(DELTA.systemVersionInfo, utf8(version)),
    field(DELTA.typeUrl, type),
    field(DELTA.nonce, utf8(nonce)),
    ...removed.map((name) => field(DELTA.removedResources, utf8(name))),
  ];
  return Buffer.concat([written(head), body]);
}

type Bodies = WeakMap<readonly EncodedResource[], Uint8Array>;

const stateBodies: Bodies = new WeakMap();
const deltaBodies: Bodies = new WeakMap();

function once(bodies: Bodies, resources: readonly EncodedResource[], fields: () => readonly Field[]): Uint8Array {
  let body = bodies.get(resources);
  if (!body) {
    body = written(fields());
    bodies.set(resources, body);
  }
  return body;
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
