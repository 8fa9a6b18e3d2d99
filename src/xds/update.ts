/** Sets of xDS resources as bytes, and the difference between two of them. */
import { createHash } from 'node:crypto';
import { type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from './gen/istio/nds_pb.js';
import type { ResourceType, XdsResources, XdsUpdate } from './resources.ts';

/** The name table is one resource, under this name. */
const NAME_TABLE_NAME = 'nameTable';

interface EncodedResource {
  readonly type: ResourceType;
  readonly name: string;
  /** A hash of the bytes. */
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** A set with each resource encoded once. */
export interface EncodedSet {
  /** A hash of all names and versions. */
  readonly version: string;
  readonly resources: ReadonlyMap<string, EncodedResource>;
}

export const EMPTY_SET: EncodedSet = { version: '', resources: new Map() };

const hash = (parts: readonly (string | Uint8Array)[]): string => {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part);
  return sum.digest('hex').slice(0, 16);
};

export function encodeSet(set: XdsResources): EncodedSet {
  const resources = new Map<string, EncodedResource>();
  const add = <D extends DescMessage>(type: ResourceType, name: string, schema: D, message: MessageShape<D>) => {
    const bytes = toBinary(schema, message);
    resources.set(`${type}/${name}`, { type, name, version: hash([bytes]), bytes });
  };
  for (const cluster of set.clusters) add('cluster', cluster.name, ClusterSchema, cluster);
  for (const endpoint of set.endpoints) add('endpoint', endpoint.clusterName, ClusterLoadAssignmentSchema, endpoint);
  for (const secret of set.secrets) add('secret', secret.name, SecretSchema, secret);
  for (const route of set.routes) add('route', route.name, RouteConfigurationSchema, route);
  for (const listener of set.listeners) add('listener', listener.name, ListenerSchema, listener);
  add('nameTable', NAME_TABLE_NAME, NameTableSchema, set.nameTable);
  const parts = [...resources].map(([key, resource]) => `${key}=${resource.version}\n`);
  return { version: hash(parts), resources };
}

/** What leads from `before` to `after`; undefined if they are the same. */
export function updateBetween(before: EncodedSet, after: EncodedSet): XdsUpdate | undefined {
  if (before.version === after.version) return undefined;
  const changed = [...after.resources]
    .filter(([key, { version }]) => before.resources.get(key)?.version !== version)
    .map(([, resource]) => resource);
  const removed = [...before.resources].filter(([key]) => !after.resources.has(key)).map(([, { type, name }]) => ({ type, name }));
  return { version: after.version, changed, removed };
}

/**
 * The set with these resources (`type/name`) as of no version: what a data plane refused. The next update sends them again, or removes the last good
 * version that may still run.
 */
export function unsettled(set: EncodedSet, keys: ReadonlySet<string | undefined>): EncodedSet {
  if (keys.size === 0) return set;
  const resources = [...set.resources].map(([key, resource]) => [key, keys.has(key) ? { ...resource, version: '' } : resource] as const);
  return { version: `${set.version} in part`, resources: new Map(resources) };
}
