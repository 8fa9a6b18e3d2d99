/** The set of xDS resources for one proxy: what `translate` returns, what a bootstrap file holds, and what a data plane runs on. */
import type { Cluster } from './gen/envoy/config/cluster/v3/cluster_pb.js';
import type { ClusterLoadAssignment } from './gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { Listener } from './gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from './gen/envoy/config/route/v3/route_pb.js';
import type { Secret } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { NameTable } from './gen/istio/nds_pb.js';

export const TYPE_URL = {
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  virtualHost: 'type.googleapis.com/envoy.config.route.v3.VirtualHost',
  nameTable: 'type.googleapis.com/istio.networking.nds.v1.NameTable',
} as const;

export type ResourceType = keyof typeof TYPE_URL;

/** Listener, route, cluster and secret by name, endpoints by cluster_name; each list is sorted by that name and has it once. */
export interface XdsResources {
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
  readonly secrets: readonly Secret[];
  /** Host names and the addresses that the proxy's DNS answers for them. */
  readonly nameTable: NameTable;
}

/** The resources of one proxy one by one, where not all of them are needed. */
export interface XdsLookup {
  /** All, by name. */
  listeners(): readonly Listener[];
  listener(name: string): Listener | undefined;
  routes(name: string): RouteConfiguration | undefined;
  cluster(name: string): Cluster | undefined;
  endpoints(clusterName: string): ClusterLoadAssignment | undefined;
  /** Asked for names that the other resources refer to, after these. */
  secret(name: string): Secret | undefined;
}

export function lookupIn(resources: Omit<XdsResources, 'nameTable'>): XdsLookup {
  const listeners = new Map(resources.listeners.map((listener) => [listener.name, listener]));
  const routes = new Map(resources.routes.map((route) => [route.name, route]));
  const clusters = new Map(resources.clusters.map((cluster) => [cluster.name, cluster]));
  const endpoints = new Map(resources.endpoints.map((assignment) => [assignment.clusterName, assignment]));
  const secrets = new Map(resources.secrets.map((secret) => [secret.name, secret]));
  return {
    listeners: () => resources.listeners,
    listener: (name) => listeners.get(name),
    routes: (name) => routes.get(name),
    cluster: (name) => clusters.get(name),
    endpoints: (clusterName) => endpoints.get(clusterName),
    secret: (name) => secrets.get(name),
  };
}

export interface EncodedResource {
  readonly type: ResourceType;
  readonly name: string;
  /** A hash of the content. */
  readonly version: string;
  /** Those of a large one may be put together only now that they are asked for. */
  readonly bytes: Uint8Array;
}

/** What leads from one version of a route configuration to another: its virtual hosts are nearly all of it, and a change concerns few of them. */
export interface RoutesPatch {
  /** The version that it leads from. */
  readonly base: string;
  /** Everything but the virtual hosts, encoded. */
  readonly frame: Uint8Array;
  /** The virtual hosts in their order: runs of those that the base has, by their places there (`end` is the first that is no part of the run), and new ones, encoded. */
  readonly hosts: readonly ({ readonly start: number; readonly end: number } | Uint8Array)[];
}

export interface ChangedResource extends EncodedResource {
  /** For whoever has the version before. */
  readonly patch?: RoutesPatch | undefined;
}

/** A change of the set, as it goes to a data plane. */
export interface XdsUpdate {
  /** Identifies the whole set after this change: a hash of its content. */
  readonly version: string;
  readonly changed: readonly ChangedResource[];
  readonly removed: readonly { readonly type: ResourceType; readonly name: string }[];
}

/** A resource as a data plane gets it: whole, or as a patch for the version that it has. */
export type SentResource = Pick<EncodedResource, 'type' | 'name' | 'version'> &
  (Pick<ChangedResource, 'bytes' | 'patch'> | { readonly bytes?: undefined; readonly patch: RoutesPatch });

export type SentUpdate = Omit<XdsUpdate, 'changed'> & { readonly changed: readonly SentResource[] };

/** What a data plane says of an update. A refused resource leaves its last good version in force. */
export interface XdsAck {
  readonly version: string;
  readonly rejected: readonly {
    readonly type: ResourceType;
    readonly name: string;
    readonly message: string;
    /** Of the error behind it, where it has one, e.g. `port-in-use`. */
    readonly code?: string;
  }[];
}
