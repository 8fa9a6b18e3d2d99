/**
 * A proxy's xDS as the files of Envoy's filesystem subscriptions. Pure: contents only, nothing is written here.
 * Endpoints stand in their clusters: each subscription takes one of the 128 inotify instances that Linux grants a user.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type DescMessage, type JsonObject, type JsonValue, type MessageShape, toJson } from '@bufbuild/protobuf';
import { Cluster_DiscoveryType, ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { EXPLICIT_PROXY_FILTER } from '../../xds/names.ts';
import { type NodeIdentity, nodeJson } from '../../xds/node.ts';
import { TYPE_URL, type XdsResources } from '../../xds/resources.ts';
import { typeRegistry } from '../../xds/type-registry.ts';
import type { Refusal } from '../contract.ts';

export interface EnvoyFiles {
  /** Paths relative to the folder; whoever refers to a file comes after it. */
  readonly files: ReadonlyMap<string, string>;
  /** What Envoy cannot run. */
  readonly omitted: readonly Refusal[];
}

export const LISTENERS_FILE = 'lds.json';
export const CLUSTERS_FILE = 'cds.json';
export const BOOTSTRAP_FILE = 'bootstrap.json';
export const ADMIN_SOCKET = 'admin.sock';

/** Files with key material, to be readable by their owner alone. */
export function isSecretFile(path: string): boolean {
  return path.startsWith('sds/');
}

/** @param version stands as version_info in each file, so that it can be asked of Envoy which version is in force. */
export function envoyFiles(set: XdsResources, version: string, folder: string): EnvoyFiles {
  const files = new Map<string, string>();
  const omitted: Refusal[] = [];
  const secrets = new Map(set.secrets.map((secret) => [secret.name, json(SecretSchema, secret)]));
  const routes = new Map(set.routes.map((route) => [route.name, json(RouteConfigurationSchema, route)]));
  const endpoints = new Map(set.endpoints.map((assignment) => [assignment.clusterName, json(ClusterLoadAssignmentSchema, assignment)]));

  /** Adds the file of one resource, the first time that something refers to it, and returns the subscription to it. */
  const subscribe = (kind: 'rds' | 'sds', name: string, typeUrl: string, resource: JsonObject | undefined): JsonObject => {
    const path = `${kind}/${fileName(name)}`;
    if (!files.has(path)) files.set(path, response(version, typeUrl, resource ? [resource] : []));
    return subscription(folder, path);
  };
  const localise = (value: JsonValue): JsonValue => {
    if (Array.isArray(value)) return value.map(localise);
    if (typeof value !== 'object' || value === null) return value;
    const out: JsonObject = {};
    for (const [key, inner] of Object.entries(value)) out[key] = localise(inner);
    if ('sdsConfig' in out && typeof out.name === 'string') {
      out.sdsConfig = subscribe('sds', out.name, TYPE_URL.secret, secrets.get(out.name));
    }
    if (isObject(out.rds) && typeof out.rds.routeConfigName === 'string') {
      const name = out.rds.routeConfigName;
      const route = routes.get(name);
      out.rds = { ...out.rds, configSource: subscribe('rds', name, TYPE_URL.route, route && (localise(route) as JsonObject)) };
    }
    return out;
  };
  const cluster = (message: XdsResources['clusters'][number]): JsonObject => {
    const out = localise(json(ClusterSchema, message)) as JsonObject;
    if (message.clusterDiscoveryType.case === 'type' && message.clusterDiscoveryType.value === Cluster_DiscoveryType.EDS) {
      const name = message.edsClusterConfig?.serviceName || message.name;
      delete out.edsClusterConfig;
      out.type = 'STATIC';
      out.loadAssignment = endpoints.get(name) ?? { clusterName: name };
    }
    return out;
  };
  const typed = (typeUrl: string) => (resource: JsonObject) => ({ '@type': typeUrl, ...resource });

  const clusters = set.clusters.map(cluster).map(typed(TYPE_URL.cluster));
  const listeners: JsonObject[] = [];
  for (const listener of set.listeners) {
    const reason = whyNot(listener);
    if (reason) omitted.push({ resource: `listener ${listener.name}`, message: reason });
    else listeners.push({ '@type': TYPE_URL.listener, ...(localise(json(ListenerSchema, listener)) as JsonObject) });
  }
  files.set(CLUSTERS_FILE, discoveryResponse(version, TYPE_URL.cluster, clusters));
  files.set(LISTENERS_FILE, discoveryResponse(version, TYPE_URL.listener, listeners));
  return { files, omitted };
}

export interface EnvoyBootstrapOptions {
  readonly folder: string;
  readonly proxy: NodeIdentity;
}

/** The bootstrap of an Envoy that reads those files. */
export function envoyBootstrap({ folder, proxy }: EnvoyBootstrapOptions): string {
  const bootstrap = {
    node: nodeJson(proxy),
    // For this user alone, whatever the umask.
    admin: { address: { pipe: { path: join(folder, ADMIN_SOCKET), mode: 0o600 } } },
    dynamicResources: { cdsConfig: subscription(folder, CLUSTERS_FILE), ldsConfig: subscription(folder, LISTENERS_FILE) },
    layeredRuntime: {
      layers: [
        {
          name: 'static',
          // What Istio's own bootstrap sets.
          staticLayer: {
            'overload.global_downstream_max_connections': '2147483647',
            're2.max_program_size.error_level': '32768',
            'envoy.reloadable_features.http_reject_path_with_fragment': false,
          },
        },
      ],
    },
  };
  return `${JSON.stringify(bootstrap, undefined, 1)}\n`;
}

function whyNot(listener: Listener): string | undefined {
  if (!listener.listenerFilters.some((filter) => filter.name === EXPLICIT_PROXY_FILTER)) return undefined;
  return 'the explicit proxy (HTTP proxy requests, CONNECT, SOCKS5) is not a part of Envoy: this listener is left out with --engine envoy';
}

function json<D extends DescMessage>(schema: D, message: MessageShape<D>): JsonObject {
  return toJson(schema, message, { registry: typeRegistry }) as JsonObject;
}

function response(version: string, typeUrl: string, resources: readonly JsonObject[]): string {
  return discoveryResponse(
    version,
    typeUrl,
    resources.map((resource) => ({ '@type': typeUrl, ...resource })),
  );
}

function discoveryResponse(versionInfo: string, typeUrl: string, resources: readonly JsonObject[]): string {
  return `${JSON.stringify({ versionInfo, typeUrl, resources }, undefined, 1)}\n`;
}

function subscription(folder: string, path: string): JsonObject {
  return { pathConfigSource: { path: join(folder, path) }, resourceApiVersion: 'V3' };
}

/** A file's name for any resource's name: readable, and distinct even where names differ in the replaced characters only. */
function fileName(name: string): string {
  const readable = name.replaceAll(/[^A-Za-z0-9._-]+/g, '_').slice(0, 80);
  return `${readable}-${createHash('sha256').update(name).digest('hex').slice(0, 10)}.json`;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
