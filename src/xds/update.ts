/** Sets of xDS resources as bytes, and the difference between two of them. */
import type { DescMessage, Message, MessageShape } from '@bufbuild/protobuf';
import { contentHash, type Encoded, encoded, routesPatch } from './encode.ts';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from './gen/istio/nds_pb.js';
import { EncodedList, ResourceTable } from './resource-table.ts';
import {
  type ChangedResource,
  type EncodedResource,
  type ResourceType,
  type RoutesPatch,
  TYPE_URL,
  type XdsResources,
  type XdsUpdate,
} from './resources.ts';

export type { EncodedResource } from './resources.ts';

/** The name table is one resource, under this name. */
export const NAME_TABLE_NAME = 'nameTable';

/** A set with each resource encoded once. */
export interface EncodedSet {
  /** A hash of all names and versions. */
  readonly version: string;
  /** By `type/name`. */
  readonly resources: ReadonlyMap<string, EncodedResource>;
}

export const EMPTY_SET: EncodedSet = { version: '', resources: new Map() };

class EncodedMessage implements EncodedResource {
  readonly type: ResourceType;
  readonly name: string;
  readonly encoded: Encoded;

  constructor(type: ResourceType, name: string, content: Encoded) {
    this.type = type;
    this.name = name;
    this.encoded = content;
  }

  get version(): string {
    return this.encoded.version;
  }

  get bytes(): Uint8Array {
    return this.encoded.bytes();
  }
}

class PatchedMessage extends EncodedMessage implements ChangedResource {
  readonly patch: RoutesPatch;

  constructor({ type, name, encoded: content }: EncodedMessage, patch: RoutesPatch) {
    super(type, name, content);
    this.patch = patch;
  }
}

/** What came of a message or of a list of them, kept for as long as that is. */
const ofMessage = new WeakMap<Message, EncodedResource>();
const ofList = new WeakMap<readonly Message[], EncodedList>();
const versions = new WeakMap<EncodedList, string>();

/** Messages and lists that an earlier set had are not looked at again: they must not be changed. */
export function encodeSet(set: XdsResources): EncodedSet {
  const table = new ResourceTable([
    listOf('cluster', ClusterSchema, set.clusters, ({ name }) => name),
    listOf('endpoint', ClusterLoadAssignmentSchema, set.endpoints, ({ clusterName }) => clusterName),
    listOf('secret', SecretSchema, set.secrets, ({ name }) => name),
    listOf('route', RouteConfigurationSchema, set.routes, ({ name }) => name),
    listOf('listener', ListenerSchema, set.listeners, ({ name }) => name),
    new EncodedList('nameTable', [resourceOf('nameTable', NAME_TABLE_NAME, NameTableSchema, set.nameTable)]),
  ]);
  return { version: contentHash(table.lists.map(versionOf).join()), resources: table };
}

function listOf<Desc extends DescMessage>(
  type: ResourceType,
  schema: Desc,
  messages: readonly MessageShape<Desc>[],
  nameOf: (message: MessageShape<Desc>) => string,
): EncodedList {
  let list = ofList.get(messages);
  if (!list) {
    list = new EncodedList(
      type,
      messages.map((message) => resourceOf(type, nameOf(message), schema, message)),
    );
    ofList.set(messages, list);
  }
  return list;
}

function resourceOf<Desc extends DescMessage>(
  type: ResourceType,
  name: string,
  schema: Desc,
  message: MessageShape<Desc>,
): EncodedResource {
  let resource = ofMessage.get(message);
  if (!resource) {
    resource = new EncodedMessage(type, name, encoded(schema, message));
    ofMessage.set(message, resource);
  }
  return resource;
}

/** A hash of all that the list has. */
export function versionOf(list: EncodedList): string {
  let version = versions.get(list);
  if (version === undefined) {
    version = versionOfAll(list.all);
    versions.set(list, version);
  }
  return version;
}

/** A hash of names and versions, in this order. */
export function versionOfAll(resources: readonly EncodedResource[]): string {
  return contentHash(resources.map(({ type, name, version }) => `${type}/${name}=${version}\n`).join(''));
}

/** The resources of one type; the same list for as long as none of them changed. */
export function listIn(set: EncodedSet, type: ResourceType): EncodedList {
  return listsOf(set).find((list) => list.type === type) ?? EMPTY_LISTS[type];
}

const EMPTY_LISTS = Object.fromEntries(Object.keys(TYPE_URL).map((type) => [type, new EncodedList(type as ResourceType, [])])) as Readonly<
  Record<ResourceType, EncodedList>
>;

/** What leads from `before` to `after`; undefined if they are the same. */
export function updateBetween(before: EncodedSet, after: EncodedSet): XdsUpdate | undefined {
  if (before.version === after.version) return undefined;
  const [old, now] = [listsOf(before), listsOf(after)];
  const changed = now
    .filter((list) => !old.includes(list))
    .flatMap(({ all }) => all.flatMap((resource) => changeOf(before.resources.get(`${resource.type}/${resource.name}`), resource) ?? []));
  const removed = old
    .filter((list) => !now.includes(list))
    .flatMap(({ all }) => all.filter(({ type, name }) => !after.resources.has(`${type}/${name}`)))
    .map(({ type, name }) => ({ type, name }));
  return { version: after.version, changed, removed };
}

function changeOf(before: EncodedResource | undefined, after: EncodedResource): ChangedResource | undefined {
  if (before?.version === after.version) return undefined;
  if (after.type !== 'route' || !(before instanceof EncodedMessage && after instanceof EncodedMessage)) return after;
  const patch = routesPatch(before.encoded, after.encoded);
  return patch ? new PatchedMessage(after, patch) : after;
}

/**
 * The set with these resources (`type/name`) as of no version: what a data plane refused. The next update sends them again, or removes the last good
 * version that may still run.
 */
export function unsettled(set: EncodedSet, keys: ReadonlySet<string | undefined>): EncodedSet {
  if (keys.size === 0) return set;
  const isUnsettled = ({ type, name }: EncodedResource) => keys.has(`${type}/${name}`);
  const lists = listsOf(set).map((list) =>
    list.all.some(isUnsettled)
      ? new EncodedList(
          list.type,
          list.all.map((resource) => (isUnsettled(resource) ? ofNoVersion(resource) : resource)),
        )
      : list,
  );
  return { version: `${set.version} in part`, resources: new ResourceTable(lists) };
}

/** So that every version of it is another. */
export function ofNoVersion(resource: EncodedResource): EncodedResource {
  const { type, name } = resource;
  return {
    type,
    name,
    version: '',
    get bytes() {
      return resource.bytes;
    },
  };
}

function listsOf({ resources }: EncodedSet): readonly EncodedList[] {
  if (resources instanceof ResourceTable) return resources.lists;
  const all = [...resources.values()];
  return [...new Set(all.map(({ type }) => type))].map(
    (type) =>
      new EncodedList(
        type,
        all.filter((resource) => resource.type === type),
      ),
  );
}
