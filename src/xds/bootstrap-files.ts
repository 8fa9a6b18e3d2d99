/** The set of resources that a bootstrap file and the files it subscribes to make together. */
import { create, type DescMessage, fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { BootstrapConfig } from './bootstrap.ts';
import { type Cluster, ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.js';
import type { TransportSocket } from './gen/envoy/config/core/v3/base_pb.js';
import type { ConfigSource } from './gen/envoy/config/core/v3/config_source_pb.js';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { type Listener, ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.js';
import { HttpConnectionManagerSchema } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { SdsSecretConfig } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { type Secret, SecretSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DiscoveryResponseSchema } from './gen/envoy/service/discovery/v3/discovery_pb.js';
import { NameTableSchema } from './gen/istio/nds_pb.js';
import type { XdsResources } from './resources.ts';
import { secretsOf } from './secret-references.ts';
import { typeRegistry } from './type-registry.ts';
import { parseYamlOrJson } from './yaml.ts';

interface FileSet {
  readonly resources: XdsResources;
  /** Every file that was read, for watching. */
  readonly files: readonly string[];
}

/**
 * @param readFile throws for a file that cannot be read; the error goes on to the caller.
 * @throws SallyportError `xds-invalid`, `bootstrap-unsupported` or `bad-yaml`
 */
export function readFileSet(bootstrap: BootstrapConfig, readFile: (path: string) => string): FileSet {
  const files = new Set<string>();
  const decode = <D extends DescMessage>(schema: D, value: JsonValue, what: string): MessageShape<D> => {
    try {
      return fromJson(schema, value, { registry: typeRegistry });
    } catch (error) {
      throw new SallyportError('xds-invalid', `${what}: ${messageOf(error)}`, { cause: error });
    }
  };
  const all = <D extends DescMessage>(schema: D, values: readonly JsonValue[], what: string) =>
    values.map((value, index) => decode(schema, value, `${bootstrap.file}: ${what}[${index}]`));
  const load = <D extends DescMessage>(path: string, schema: D): MessageShape<D>[] => {
    files.add(path);
    const response = decode(DiscoveryResponseSchema, parseYamlOrJson(readFile(path), path), path);
    return response.resources.map((any, index) => {
      const message = anyUnpack(any, schema);
      if (!message) throw new SallyportError('xds-invalid', `${path}: resources[${index}] is a ${any.typeUrl}, not a ${schema.typeName}`);
      return message;
    });
  };
  const listeners = all(ListenerSchema, bootstrap.listeners, 'static_resources.listeners');
  if (bootstrap.listenersFile) listeners.push(...load(bootstrap.listenersFile, ListenerSchema));
  const clusters = all(ClusterSchema, bootstrap.clusters, 'static_resources.clusters');
  if (bootstrap.clustersFile) clusters.push(...load(bootstrap.clustersFile, ClusterSchema));
  const statics = all(SecretSchema, bootstrap.secrets, 'static_resources.secrets');
  const routes = new Map<string, RouteConfiguration>();
  const endpoints = new Map<string, ClusterLoadAssignment>();
  const secrets = new Map<string, Secret>(statics.map((secret) => [secret.name, secret]));
  const problems: string[] = [];

  const follow = <D extends DescMessage>(
    source: ConfigSource | undefined,
    field: string,
    schema: D,
    take: (message: MessageShape<D>) => void,
  ): void => {
    const path = pathOf(source, field, problems);
    if (path !== undefined && !files.has(path)) for (const message of load(path, schema)) take(message);
  };
  const followSecret = (config: SdsSecretConfig | undefined, where: string): void => {
    if (config)
      follow(config.sdsConfig, `${where}: sds_config of ${config.name}`, SecretSchema, (secret) => secrets.set(secret.name, secret));
  };
  const followTls = (socket: TransportSocket | undefined, where: string): void => {
    for (const config of secretsOf(socket)) followSecret(config, where);
  };
  for (const listener of listeners) {
    const where = `listener ${listener.name}`;
    for (const chain of [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])]) {
      followTls(chain.transportSocket, where);
      for (const filter of chain.filters) {
        if (filter.configType.case !== 'typedConfig') continue;
        const specifier = anyUnpack(filter.configType.value, HttpConnectionManagerSchema)?.routeSpecifier;
        if (specifier?.case !== 'rds') continue;
        follow(specifier.value.configSource, `${where}: rds.config_source`, RouteConfigurationSchema, (route) =>
          routes.set(route.name, route),
        );
      }
    }
  }
  for (const cluster of clusters) {
    const where = `cluster ${cluster.name}`;
    follow(cluster.edsClusterConfig?.edsConfig, `${where}: eds_config`, ClusterLoadAssignmentSchema, (assignment) => {
      endpoints.set(assignment.clusterName, assignment);
    });
    followTls(cluster.transportSocket, where);
    for (const match of cluster.transportSocketMatches) followTls(match.transportSocket, where);
  }
  if (problems.length > 0) throw new SallyportError('bootstrap-unsupported', problems.join('\n'));
  return {
    files: [...files],
    resources: {
      listeners: byName(listeners, listenerName, 'listener'),
      clusters: byName(clusters, (cluster: Cluster) => cluster.name, 'cluster'),
      routes: byName([...routes.values()], (route) => route.name, 'route configuration'),
      endpoints: byName([...endpoints.values()], (assignment) => assignment.clusterName, 'cluster load assignment'),
      secrets: byName([...secrets.values()], (secret) => secret.name, 'secret'),
      nameTable: create(NameTableSchema),
    },
  };
}

/** The path of a file subscription; anything else (gRPC, REST, ADS) is a problem. */
function pathOf(source: ConfigSource | undefined, field: string, problems: string[]): string | undefined {
  const specifier = source?.configSourceSpecifier;
  if (!specifier) return undefined;
  if (specifier.case === 'pathConfigSource') return specifier.value.path;
  if (specifier.case === 'path') return specifier.value;
  problems.push(`${field}: only path_config_source (a file) is supported`);
  return undefined;
}

/** Envoy gives a listener without a name one at random; its address says more. */
function listenerName(listener: Listener): string {
  if (!listener.name) {
    const address = listener.address?.address;
    if (address?.case === 'pipe') listener.name = address.value.path;
    else if (address?.case === 'socketAddress') listener.name = `${address.value.address}_${address.value.portSpecifier.value ?? 0}`;
  }
  return listener.name;
}

function byName<T>(list: readonly T[], nameOf: (item: T) => string, what: string): T[] {
  const named = new Map<string, T>();
  for (const item of list) {
    const name = nameOf(item);
    if (!name) throw new SallyportError('xds-invalid', `a ${what} has no name: give it one`);
    if (named.has(name)) throw new SallyportError('xds-invalid', `the ${what} ${name} is there twice`);
    named.set(name, item);
  }
  return [...named].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
