/**
 * What `translate` makes, one by one: for simulation, where a call needs few of a proxy's resources, and a call into a workload its sidecar's
 * inbound side alone. Findings are not collected.
 */
import { once } from '../lib/once.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { ClusterLoadAssignment } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import type { Secret } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { NameTable } from '../xds/gen/istio/nds_pb.js';
import { lookupIn, type XdsLookup, type XdsResources } from '../xds/resources.ts';
import { blackHole, buildClusters, ownClusters, workloadClusters } from './clusters.ts';
import { serviceClusters } from './clusters-services.ts';
import { startTranslation, type TranslateContext } from './context.ts';
import { buildInboundListeners, buildListeners, buildOutboundListeners } from './listeners/index.ts';
import type { PlannedRoutes } from './listeners/planned.ts';
import type { Mesh } from './model.ts';
import { nameTable } from './name-table.ts';
import { hostnamesIn } from './names.ts';
import { patchesFor } from './patches/index.ts';
import { secretResources } from './secret-resources.ts';
import type { SecretRequest } from './secrets.ts';
import { sortedByName } from './sorted.ts';

export interface TranslationLookup extends XdsLookup {
  /** What the proxy's DNS answers. */
  nameTable(): NameTable;
}

/** The whole configuration of a proxy. */
export function translationLookup(proxy: ProxyIdentity, mesh: Mesh): TranslationLookup {
  const { context, requests } = startTranslation(proxy, mesh);
  const built = once(() => {
    const { listeners, routes } = buildListeners(context);
    const sorted = sortedByName(listeners, ({ name }) => name);
    return { sorted, byName: new Map(sorted.map((listener) => [listener.name, listener])), routes: routeLookup(routes) };
  });
  return {
    listeners: () => built().sorted,
    listener: (name) => built().byName.get(name),
    routes: (name) => built().routes(name),
    ...clusterLookup(context),
    secret: (name) => {
      const request = requests.get(name);
      return request && secretsOf([request], proxy, mesh)[0];
    },
    nameTable: once(() => nameTable(context)),
  };
}

/** What a sidecar needs for calls to its workload. */
export function inboundLookup(proxy: ProxyIdentity, mesh: Mesh): XdsLookup {
  const { context, requests } = startTranslation(proxy, mesh);
  const listeners = buildInboundListeners(context);
  const clusters = patchesFor(context).clusters([blackHole(context.mesh.config), ...workloadClusters(context)]);
  return lookupIn({ listeners, routes: [], clusters, endpoints: [], secrets: secretsOf(requests.values(), proxy, mesh) });
}

/** All that a sidecar has for the calls of its workload, without secrets; a recording (see reading.ts) has then seen what that depends on. */
export function buildOutbound(proxy: ProxyIdentity, mesh: Mesh): XdsResources {
  const { context } = startTranslation(proxy, mesh);
  const { listeners, routes } = buildOutboundListeners(context);
  const { clusters, endpoints } = buildClusters(context);
  const built = [...routes.values()].map((build) => build());
  return { listeners, routes: built, clusters, endpoints, secrets: [], nameTable: nameTable(context) };
}

function secretsOf(requests: Iterable<SecretRequest>, proxy: ProxyIdentity, { snapshot }: Mesh): readonly Secret[] {
  return secretResources(requests, proxy.namespace, snapshot, () => {});
}

function routeLookup(planned: PlannedRoutes): (name: string) => RouteConfiguration | undefined {
  const made = new Map([...planned].map(([name, build]) => [name, once(build)]));
  return (name) => made.get(name)?.();
}

/** A service's clusters are built when one of them is asked for. */
function clusterLookup(context: TranslateContext): Pick<XdsLookup, 'cluster' | 'endpoints'> {
  const of = once(() => serviceClusters(context));
  const patches = patchesFor(context);
  const clusters = new Map<string, Cluster>();
  /** Of several under one name the first stays. */
  const add = (cluster: Cluster) => {
    if (!clusters.has(cluster.name)) clusters.set(cluster.name, cluster);
  };
  const endpoints = new Map<string, ClusterLoadAssignment>();
  const built = new Set<string>();
  const addService = (hostname: string) => {
    if (built.has(hostname)) return;
    built.add(hostname);
    for (const service of context.scope.servicesNamed(hostname)) {
      const inputs = of().inputsOf(service);
      for (const cluster of of().clusters(inputs)) add(cluster);
      for (const each of of().endpoints(inputs)) if (!endpoints.has(each.clusterName)) endpoints.set(each.clusterName, each);
    }
  };
  const own = once(() => {
    for (const cluster of ownClusters(context)) add(cluster);
  });
  const find = (name: string) => {
    own();
    if (!clusters.has(name)) for (const hostname of hostnamesIn(name)) addService(hostname);
  };
  const added = (name: string) => patches.addedClusters.find((each) => each.name === name);
  return {
    cluster(name) {
      find(name);
      const built = clusters.get(name);
      return (built && patches.cluster(built)) ?? added(name);
    },
    endpoints(clusterName) {
      find(clusterName);
      return endpoints.get(clusterName);
    },
  };
}
