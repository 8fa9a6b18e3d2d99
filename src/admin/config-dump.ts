/** Envoy's `/config_dump`: every resource in force with its version, and what was refused. */
import { create, type DescMessage, type JsonObject, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { type Any, anyPack, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { RE2JS } from 're2js';
import { messageOf } from '../lib/errors.ts';
import { table } from '../lib/table.ts';
import { BootstrapConfigDumpSchema, ConfigDumpSchema, SecretsConfigDumpSchema } from '../xds/gen/envoy/admin/v3/config_dump_pb.js';
import {
  ClientResourceStatus,
  ClustersConfigDumpSchema,
  EcdsConfigDumpSchema,
  EndpointsConfigDumpSchema,
  ListenersConfigDumpSchema,
  RoutesConfigDumpSchema,
  ScopedRoutesConfigDumpSchema,
} from '../xds/gen/envoy/admin/v3/config_dump_shared_pb.js';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { ResourceType } from '../xds/resources.ts';
import { redact, toAdminJson } from './json.ts';
import type { AcceptedResources, AdminSource, Rejection } from './model.ts';

/** The whole dump, secrets blotted out; endpoints only where asked for. */
export function configDump(source: Pick<AdminSource, 'resources' | 'bootstrap' | 'startTime'>, includeEndpoints: boolean): JsonObject {
  const accepted = source.resources();
  const { resources } = accepted;
  const entries = new Entries(accepted, source.startTime);
  const listeners = entries.of('listener', resources.listeners, (listener) => listener.name, ListenerSchema);
  const clusters = entries.of('cluster', resources.clusters, (cluster) => cluster.name, ClusterSchema);
  const routes = entries.of('route', resources.routes, (route) => route.name, RouteConfigurationSchema);
  const secrets = entries.of('secret', resources.secrets, (secret) => secret.name, SecretSchema);
  const endpoints = entries.of('endpoint', allEndpoints(accepted), (endpoint) => endpoint.clusterName, ClusterLoadAssignmentSchema);
  const configs = [
    pack(BootstrapConfigDumpSchema, { bootstrap: source.bootstrap, lastUpdated: timestampFromMs(source.startTime) }),
    pack(ClustersConfigDumpSchema, {
      versionInfo: entries.latestVersion,
      staticClusters: clusters.fixed.map(({ any, lastUpdated }) => ({ cluster: any, lastUpdated })),
      dynamicActiveClusters: clusters.dynamic.map(({ any, ...rest }) => ({ ...rest, cluster: any })),
    }),
    // No filter's configuration comes by itself; istioctl takes a dump without the section for an old proxy's.
    pack(EcdsConfigDumpSchema, {}),
    ...(includeEndpoints
      ? [
          pack(EndpointsConfigDumpSchema, {
            staticEndpointConfigs: endpoints.fixed.map(({ any, lastUpdated }) => ({ endpointConfig: any, lastUpdated })),
            dynamicEndpointConfigs: endpoints.dynamic.map(({ any, ...rest }) => ({ ...rest, endpointConfig: any })),
          }),
        ]
      : []),
    pack(ListenersConfigDumpSchema, {
      versionInfo: entries.latestVersion,
      staticListeners: listeners.fixed.map(({ any, lastUpdated }) => ({ listener: any, lastUpdated })),
      dynamicListeners: listeners.dynamic.map(({ any, name, versionInfo, lastUpdated, errorState, clientStatus }) => ({
        name,
        activeState: any && { versionInfo, listener: any, lastUpdated },
        errorState,
        clientStatus,
      })),
    }),
    pack(ScopedRoutesConfigDumpSchema, {}),
    pack(RoutesConfigDumpSchema, {
      staticRouteConfigs: routes.fixed.map(({ any, lastUpdated }) => ({ routeConfig: any, lastUpdated })),
      dynamicRouteConfigs: routes.dynamic.map(({ any, ...rest }) => ({ ...rest, routeConfig: any })),
    }),
    pack(SecretsConfigDumpSchema, {
      staticSecrets: secrets.fixed.map(({ any, name, lastUpdated }) => ({ name, secret: any, lastUpdated })),
      dynamicActiveSecrets: secrets.dynamic.map(({ any, ...rest }) => ({ ...rest, secret: any })),
    }),
  ];
  return redact(toAdminJson(ConfigDumpSchema, create(ConfigDumpSchema, { configs }))) as JsonObject;
}

function pack<Desc extends DescMessage>(schema: Desc, init: Parameters<typeof create<Desc>>[1]): Any {
  return anyPack(schema, create(schema, init));
}

/** Those of their own and those that clusters hold inline. */
function allEndpoints({ resources }: AcceptedResources): ClusterLoadAssignment[] {
  const inline = resources.clusters.flatMap(({ name, loadAssignment }) =>
    loadAssignment ? [{ ...loadAssignment, clusterName: loadAssignment.clusterName || name }] : [],
  );
  return [...resources.endpoints, ...inline];
}

interface Entry {
  readonly name: string;
  readonly versionInfo: string;
  readonly lastUpdated: ReturnType<typeof timestampFromMs>;
  /** Undefined for what was refused without a good version before. */
  readonly any: Any | undefined;
  readonly errorState:
    | { readonly details: string; readonly versionInfo: string; readonly lastUpdateAttempt: ReturnType<typeof timestampFromMs> }
    | undefined;
  readonly clientStatus: ClientResourceStatus;
}

/** The entries of one type, sorted by name: those of the bootstrap (`fixed`) and those that xDS brought. */
class Entries {
  readonly #accepted: AcceptedResources;
  readonly #startTime: number;
  latestVersion = '';
  #latest = 0;

  constructor(accepted: AcceptedResources, startTime: number) {
    this.#accepted = accepted;
    this.#startTime = startTime;
  }

  of<Desc extends DescMessage>(
    type: ResourceType,
    messages: readonly MessageShape<Desc>[],
    nameOf: (message: MessageShape<Desc>) => string,
    schema: Desc,
  ) {
    const fixed: Entry[] = [];
    const dynamic: Entry[] = [];
    const rejected = new Map(this.#accepted.rejected.filter((entry) => entry.type === type).map((entry) => [entry.name, entry]));
    for (const message of messages) {
      const name = nameOf(message);
      const version = this.#accepted.version(type, name);
      if (version && version.at > this.#latest) {
        this.#latest = version.at;
        this.latestVersion = version.version;
      }
      const any = anyPack(schema, message);
      (version ? dynamic : fixed).push(entry(name, version?.version ?? '', version?.at ?? this.#startTime, any, rejected.get(name)));
      rejected.delete(name);
    }
    for (const rejection of rejected.values()) dynamic.push(entry(rejection.name, '', rejection.at, undefined, rejection));
    const byName = (a: Entry, b: Entry) => (a.name < b.name ? -1 : 1);
    return { fixed: fixed.sort(byName), dynamic: dynamic.sort(byName) };
  }
}

function entry(name: string, versionInfo: string, at: number, any: Any | undefined, rejection: Rejection | undefined): Entry {
  const errorState = rejection && {
    details: rejection.message,
    versionInfo: rejection.version,
    lastUpdateAttempt: timestampFromMs(rejection.at),
  };
  return {
    name,
    versionInfo,
    lastUpdated: timestampFromMs(at),
    any,
    errorState,
    clientStatus: rejection ? ClientResourceStatus.NACKED : ClientResourceStatus.ACKED,
  };
}

export type DumpAnswer = { readonly json: JsonObject } | { readonly status: 400 | 404; readonly text: string };

/** Applies `resource` (one list of the dump), `name_regex` and `mask` (paths, separated by commas) as Envoy does. */
export function selectDump(dump: JsonObject, query: URLSearchParams): DumpAnswer {
  const resource = query.get('resource');
  const mask = query.get('mask');
  let matches: (name: string) => boolean;
  try {
    const regex = RE2JS.compile(query.get('name_regex') || '.*');
    matches = (name) => regex.testExact(name);
  } catch (error) {
    return { status: 400, text: `Error while parsing name_regex: ${messageOf(error)}\n` };
  }
  const configs = dump.configs as JsonObject[];
  if (resource !== null) {
    const owner = configs.find((config) => Object.hasOwn(config, resource)) ?? (isKnownField(resource) ? {} : undefined);
    if (!owner) return { status: 404, text: `${resource} not found in config dump\n` };
    const list = owner[resource] ?? [];
    if (!Array.isArray(list)) return { status: 400, text: `${resource} is not a repeated field. Use ?mask={} to get only this field\n` };
    const type = ELEMENT_TYPES[resource];
    const selected = (list as JsonObject[])
      .filter((element) => matches(nameOf(element)))
      .map((element) => ({ '@type': `type.googleapis.com/envoy.admin.v3.${type}`, ...masked(element, mask) }));
    return { json: { configs: selected } };
  }
  return {
    json: {
      configs: configs
        .map((config) => filterLists(config, matches))
        .map((config) => (mask === null ? config : { '@type': config['@type']!, ...masked(config, mask) })),
    },
  };
}

/** Message types of the dump's lists, as `resource` names them. */
const ELEMENT_TYPES: Readonly<Record<string, string>> = table({
  static_listeners: 'ListenersConfigDump.StaticListener',
  dynamic_listeners: 'ListenersConfigDump.DynamicListener',
  static_clusters: 'ClustersConfigDump.StaticCluster',
  dynamic_active_clusters: 'ClustersConfigDump.DynamicCluster',
  dynamic_warming_clusters: 'ClustersConfigDump.DynamicCluster',
  ecds_filters: 'EcdsConfigDump.EcdsFilterConfig',
  static_endpoint_configs: 'EndpointsConfigDump.StaticEndpointConfig',
  dynamic_endpoint_configs: 'EndpointsConfigDump.DynamicEndpointConfig',
  static_route_configs: 'RoutesConfigDump.StaticRouteConfig',
  dynamic_route_configs: 'RoutesConfigDump.DynamicRouteConfig',
  static_secrets: 'SecretsConfigDump.StaticSecret',
  dynamic_active_secrets: 'SecretsConfigDump.DynamicSecret',
  dynamic_warming_secrets: 'SecretsConfigDump.DynamicSecret',
});

const isKnownField = (name: string) => Object.hasOwn(ELEMENT_TYPES, name);

function filterLists(config: JsonObject, matches: (name: string) => boolean): JsonObject {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]): [string, JsonValue] => [
      key,
      isKnownField(key) ? (value as JsonObject[]).filter((element) => matches(nameOf(element))) : value,
    ]),
  );
}

/** The name of a dumped resource, wherever its message holds it. */
function nameOf(element: JsonObject): string {
  if (typeof element.name === 'string') return element.name;
  for (const key of ['listener', 'cluster', 'route_config', 'endpoint_config', 'secret']) {
    const inner = element[key];
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) return String(inner.name ?? inner.cluster_name ?? '');
  }
  return '';
}

/** Keeps the paths of a field mask; lists are gone into. */
function masked(value: JsonObject, mask: string | null): JsonObject {
  if (mask === null) return value;
  const out: JsonObject = {};
  for (const path of mask.split(',')) keep(value, path.trim().split('.'), out);
  return out;
}

function keep(from: JsonObject, [head, ...rest]: string[], into: JsonObject): void {
  const value = head === undefined ? undefined : from[head];
  if (head === undefined || value === undefined) return;
  if (rest.length === 0) {
    into[head] = value;
    return;
  }
  if (Array.isArray(value)) {
    const known = Array.isArray(into[head]) ? (into[head] as JsonObject[]) : value.map(() => ({}));
    value.forEach((entry, i) => {
      if (isObject(entry)) keep(entry, rest, known[i]!);
    });
    into[head] = known;
  } else if (isObject(value)) {
    const known = isObject(into[head]) ? into[head] : typeof value['@type'] === 'string' ? { '@type': value['@type'] } : {};
    keep(value, rest, known);
    into[head] = known;
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
