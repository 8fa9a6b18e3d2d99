/** A mesh made from the config dumps of its sidecars and gateways (`/config_dump?include_eds` of Envoy's admin address, or of ours). */
import { create, type DescMessage, fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { SPIFFE } from '../lib/spiffe.ts';
import { type SimulatedMesh, simulatedMesh } from '../simulate/explain.ts';
import { type ProxyIdentity, type SimulatedProxy, simulatedProxy } from '../simulate/proxy.ts';
import type { Json } from '../xds/config-dump/dump.ts';
import { certificateIn } from '../xds/config-dump/secrets.ts';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import { listenerAddresses } from '../xds/match/listener.ts';
import { WORKLOAD_SECRET } from '../xds/names.ts';
import { lookupIn, type XdsResources } from '../xds/resources.ts';
import { typeRegistry } from '../xds/type-registry.ts';

export interface DumpedMesh {
  readonly proxies: readonly SimulatedProxy[];
  readonly simulated: SimulatedMesh;
}

export interface NamedDump {
  /** What the proxy is called if its dump does not say who it is. */
  readonly name: string;
  readonly dump: Json;
}

/** The mesh of proxies whose dumps these are. Throws `no-config-dump`. */
export function dumpedMesh(dumps: readonly NamedDump[]): DumpedMesh {
  const read = dumps.map(({ name, dump }) => {
    const resources = resourcesOf(dump, name);
    const has = configsOf(dump, 'EndpointsConfigDump').length > 0;
    const endpointsUnknown = has ? undefined : `${name} has no endpoints: take the dump from /config_dump?include_eds`;
    const id = workloadIdentity(dump);
    const identityUnknown =
      id === undefined
        ? `${name} has no workload certificate (secret "${WORKLOAD_SECRET}"): which identity it shows is not known`
        : undefined;
    const identity = { ...identityOf(dump, name, resources), identity: id };
    return { identity, resources, unknown: { endpointsUnknown, identityUnknown } };
  });
  const endpoints = read.flatMap(({ resources }) => endpointsOf(resources));
  const known = new Set(read.flatMap(({ identity }) => identity.addresses));
  const proxies = read.map(({ identity, resources, unknown }) => {
    const proxyOf = (one: ProxyIdentity) => Object.assign(simulatedProxy(one, lookupIn(resources)), unknown);
    if (identity.type === 'sidecar' || identity.addresses.length > 0) return proxyOf(identity);
    // If a gateway's dump has no address, the gateway is taken to be wherever other proxies' clusters have endpoints on its ports.
    const ports = new Set(resources.listeners.flatMap(listenerAddresses).map(({ port }) => port));
    const addresses = new Set(endpoints.filter(({ ip, port }) => ports.has(port) && !known.has(ip)).map(({ ip }) => ip));
    return proxyOf({ ...identity, addresses: [...addresses] });
  });
  return { proxies, simulated: simulatedMesh(proxies) };
}

/** Endpoints of clusters that stand for Kubernetes Services. */
function endpointsOf({ clusters, endpoints }: XdsResources): { ip: string; port: number }[] {
  const assignments: readonly ClusterLoadAssignment[] = [...endpoints, ...clusters.flatMap(({ loadAssignment }) => loadAssignment ?? [])];
  return assignments
    .filter(({ clusterName }) => /\.svc\./.test(clusterName))
    .flatMap((assignment) => assignment.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints))
    .flatMap(({ hostIdentifier }) => {
      const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined;
      if (address?.case !== 'socketAddress') return [];
      const { address: ip, portSpecifier } = address.value;
      return [{ ip, port: portSpecifier.case === 'portValue' ? portSpecifier.value : 0 }];
    });
}

/** Istio's node id is `sidecar~10.0.0.1~name.namespace~…`. */
function identityOf(dump: Json, path: string, { listeners }: XdsResources): ProxyIdentity {
  const id: string = configsOf(dump, 'BootstrapConfigDump')[0]?.bootstrap?.node?.id ?? '';
  const [type, address, workload = ''] = id.split('~');
  const dot = workload.lastIndexOf('.');
  const isSidecar = type === 'sidecar' || (type !== 'router' && listeners.some(({ name }) => name === 'virtualOutbound'));
  const name = dot > 0 ? `${workload.slice(dot + 1)}/${workload.slice(0, dot)}` : id || path;
  // The sidecar of `up` has a loopback address, as the machine's servers have, and takes nothing in.
  const takesNothingIn = listeners.some((listener) => listener.name === 'virtualInbound' && listener.bindToPort === false);
  return { name, type: isSidecar ? 'sidecar' : 'router', addresses: address && !takesNothingIn ? [address] : [] };
}

/** The SPIFFE ID in the workload's certificate. */
function workloadIdentity(dump: Json): string | undefined {
  const chain = secretsOf(dump).find(({ name }) => name === WORKLOAD_SECRET)?.secret?.tls_certificate?.certificate_chain;
  const names = certificateIn(chain)?.subjectAltName?.split(', ') ?? [];
  return names.map((name) => name.replace(/^URI:/, '')).find((name) => name.startsWith(SPIFFE));
}

function secretsOf(dump: Json): Json[] {
  return configsOf(dump, 'SecretsConfigDump').flatMap((config) =>
    ['static_secrets', 'dynamic_active_secrets'].flatMap((list) => (config[list] ?? []) as Json[]),
  );
}

function configsOf(dump: Json, type: string): Json[] {
  return (dump.configs as Json[]).filter((config) => String(config['@type'] ?? '').endsWith(`.${type}`));
}

function resourcesOf(dump: Json, path: string): XdsResources {
  const all = <Desc extends DescMessage>(type: string, lists: readonly string[], get: (entry: Json) => Json, schema: Desc) => {
    const byName = new Map<string, MessageShape<Desc>>();
    for (const config of configsOf(dump, type)) {
      for (const entry of lists.flatMap((list) => config[list] ?? [])) {
        const json = get(entry);
        if (!json) continue;
        const { '@type': _, ...fields } = json;
        const name = String(json.name ?? json.cluster_name ?? '');
        byName.set(name, decode(schema, fields, `${path}: ${type} ${name}`));
      }
    }
    return [...byName.values()];
  };
  const bootstrap = configsOf(dump, 'BootstrapConfigDump')[0]?.bootstrap?.static_resources ?? {};
  const fixed = <Desc extends DescMessage>(schema: Desc, list: Json): MessageShape<Desc>[] =>
    (list ?? []).map((json: Json) => decode(schema, json, `${path}: bootstrap`));
  const listeners = all(
    'ListenersConfigDump',
    ['static_listeners', 'dynamic_listeners'],
    (entry) => entry.listener ?? entry.active_state?.listener,
    ListenerSchema,
  );
  const clusters = all('ClustersConfigDump', ['static_clusters', 'dynamic_active_clusters'], (entry) => entry.cluster, ClusterSchema);
  return {
    listeners: listeners.length > 0 ? listeners : fixed(ListenerSchema, bootstrap.listeners),
    clusters: clusters.length > 0 ? clusters : fixed(ClusterSchema, bootstrap.clusters),
    routes: all(
      'RoutesConfigDump',
      ['static_route_configs', 'dynamic_route_configs'],
      (entry) => entry.route_config && withHosts(entry.route_config, dump),
      RouteConfigurationSchema,
    ),
    endpoints: all(
      'EndpointsConfigDump',
      ['static_endpoint_configs', 'dynamic_endpoint_configs'],
      (entry) => entry.endpoint_config,
      ClusterLoadAssignmentSchema,
    ),
    // Dumps leave out what is in secrets, and simulation does not need it.
    secrets: secretsOf(dump).map(({ name }) => create(SecretSchema, { name: String(name) })),
    nameTable: create(NameTableSchema),
  };
}

/** Of the filter by which an Envoy fetches a host that a call asks for. */
const FETCHES = 'envoy.extensions.filters.http.on_demand.v3.';

/** Of hosts that are resources of their own an Envoy dumps all that it has; which others there are is not known where it fetches them. */
function withHosts(config: Json, dump: Json): Json {
  if (!config.vhds || JSON.stringify(configsOf(dump, 'ListenersConfigDump')).includes(FETCHES)) return config;
  const { vhds: _, ...whole } = config;
  return whole;
}

function decode<Desc extends DescMessage>(schema: Desc, json: Json, where: string): MessageShape<Desc> {
  try {
    return fromJson(schema, withoutUnknown(json), { registry: typeRegistry, ignoreUnknownFields: true });
  } catch (error) {
    throw new SallyportError('no-config-dump', `${where} can't be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Istio's own filters, which observe and let everything pass. */
const OBSERVING = /^istio\.|metadata_exchange$|^envoy\.filters\.http\.grpc_stats$/;
/** Stands for an extension of an unknown type: simulation says so when it comes to it. */
const UNKNOWN = { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} };

function withoutUnknown(value: Json): JsonValue {
  if (Array.isArray(value)) return value.filter((entry) => !OBSERVING.test(String(entry?.name ?? ''))).map(withoutUnknown);
  if (typeof value !== 'object' || value === null) return value;
  const type = value['@type'];
  if (typeof type === 'string' && !typeRegistry.getMessage(type.slice(type.lastIndexOf('/') + 1))) return UNKNOWN;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withoutUnknown(entry)]));
}
