/** What a control plane sends, as its client keeps it: resources decoded, with the name and version that the control plane gave them. */
import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { contentHash } from '../encode.ts';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { VirtualHostSchema } from '../gen/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from '../gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DeltaDiscoveryResponseSchema, DiscoveryResponseSchema } from '../gen/envoy/service/discovery/v3/discovery_pb.js';
import { NameTableSchema } from '../gen/istio/nds_pb.js';
import { EncodedList } from '../resource-table.ts';
import { type EncodedResource, type ResourceType, TYPE_URL } from '../resources.ts';
import { NAME_TABLE_NAME } from '../update.ts';
import { sameBytes } from '../wire.ts';
import type { Protocol } from './subscription.ts';

/** A response of either protocol. */
export interface Received {
  readonly typeUrl: string;
  readonly nonce: string;
  /** Of the whole response; the state of the world alone needs it. */
  readonly version: string;
  readonly resources: readonly SentResource[];
  /** Incremental alone. */
  readonly removed: readonly string[];
}

interface SentResource {
  /** Empty in a state of the world. */
  readonly name: string;
  readonly version: string;
  readonly typeUrl: string;
  readonly bytes: Uint8Array;
}

export interface Entry {
  /** Its version is a hash of its content, whatever the control plane calls it: what is sent again as it was is no change. */
  readonly resource: EncodedResource;
  readonly message: Message;
  /** What the control plane calls it. */
  readonly sent: { readonly name: string; readonly version: string };
}

/** Resources of one type by name; never changed. */
export type Entries = ReadonlyMap<string, Entry>;

/** Throws `xds-invalid-response` for what is no response. */
export function readResponse(protocol: Protocol, bytes: Uint8Array): Received {
  try {
    return protocol === 'sotw' ? readState(bytes) : readDelta(bytes);
  } catch (error) {
    throw new SallyportError(
      'xds-invalid-response',
      `what came from the control plane is no response of the protocol: ${messageOf(error)}`,
    );
  }
}

function readState(bytes: Uint8Array): Received {
  const { typeUrl, nonce, versionInfo: version, resources } = fromBinary(DiscoveryResponseSchema, bytes);
  const sent = resources.map((any) => ({ name: '', version, typeUrl: any.typeUrl, bytes: any.value }));
  return { typeUrl, nonce, version, resources: sent, removed: [] };
}

function readDelta(bytes: Uint8Array): Received {
  const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  const resources = response.resources.map(({ name, version, resource }) => ({
    name,
    version,
    typeUrl: resource?.typeUrl ?? '',
    bytes: resource?.value ?? new Uint8Array(),
  }));
  const { typeUrl, nonce, systemVersionInfo: version, removedResources: removed } = response;
  return { typeUrl, nonce, version, resources, removed };
}

interface Kind {
  readonly schema: DescMessage;
  readonly nameOf: (message: Message) => string;
}

const named = (schema: DescMessage, field = 'name'): Kind => ({
  schema,
  nameOf: (message) => String((message as unknown as Record<string, unknown>)[field]),
});

const KINDS: Readonly<Record<ResourceType, Kind>> = {
  cluster: named(ClusterSchema),
  endpoint: named(ClusterLoadAssignmentSchema, 'clusterName'),
  listener: named(ListenerSchema),
  route: named(RouteConfigurationSchema),
  secret: named(SecretSchema),
  virtualHost: named(VirtualHostSchema),
  // There is one, whatever it is called.
  nameTable: { schema: NameTableSchema, nameOf: () => NAME_TABLE_NAME },
};

/** The resources of a response, or `xds-invalid-response` that names what cannot be read. @param before what is there of the type */
export function entriesOf(type: ResourceType, response: Received, before: Entries): Entries | SallyportError {
  try {
    return read(type, response, before);
  } catch (error) {
    if (error instanceof SallyportError) return error;
    throw error;
  }
}

function read(type: ResourceType, { resources }: Received, before: Entries): Entries {
  const entries = new Map<string, Entry>();
  for (const [index, resource] of resources.entries()) {
    const entry = entryOf(type, resource, index, before);
    const { name } = entry.resource;
    if (entries.has(name)) throw invalid(`${type} ${name} is there twice`);
    entries.set(name, entry);
  }
  return entries;
}

function entryOf(type: ResourceType, resource: SentResource, index: number, before: Entries): Entry {
  const { schema, nameOf } = KINDS[type];
  const { version, typeUrl } = resource;
  const what = `${type} ${resource.name || `at index ${index}`}`;
  if (typeUrl !== TYPE_URL[type]) throw invalid(`${what}: it is a "${typeUrl}", not a ${TYPE_URL[type]}`);
  // Of its own: what stays of a large response does not keep all of it.
  const bytes = new Uint8Array(resource.bytes);
  const message = decoded(schema, bytes, what);
  const name = nameOf(message);
  if (name === '') throw invalid(`${what}: it has no name`);
  if (resource.name !== '' && resource.name !== name && type !== 'nameTable')
    throw invalid(`${what}: what is sent under this name is named ${name}`);
  const sent = { name: resource.name || name, version };
  const known = before.get(name);
  if (known && sameBytes(known.resource.bytes, bytes)) return { ...known, sent };
  return { resource: { type, name, version: contentHash(bytes), bytes }, message, sent };
}

function decoded(schema: DescMessage, bytes: Uint8Array, what: string): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw invalid(`${what}: it does not decode as ${schema.typeName}: ${messageOf(error)}`);
  }
}

export interface Lists {
  readonly encoded: EncodedList;
  readonly messages: readonly Message[];
}

const lists = new WeakMap<Entries, Lists>();

/** The resources as sets have them, sorted by name; the same lists for the same entries. */
export function listsOf(type: ResourceType, entries: Entries): Lists {
  let made = lists.get(entries);
  if (!made) {
    const sorted = [...entries.values()].sort((a, b) => (a.resource.name < b.resource.name ? -1 : 1));
    const encoded = new EncodedList(
      type,
      sorted.map(({ resource }) => resource),
    );
    made = { encoded, messages: sorted.map(({ message }) => message) };
    lists.set(entries, made);
  }
  return made;
}

function invalid(message: string): SallyportError {
  return new SallyportError('xds-invalid-response', message);
}
