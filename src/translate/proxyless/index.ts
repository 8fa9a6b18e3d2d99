/**
 * What a gRPC client without a proxy ("proxyless", its node's metadata says GENERATOR: grpc) is told, made of what a sidecar of its workload would be: an API listener
 * for each declared host and port, its routes, clusters and endpoints, in the forms that gRPC knows (gRFC A27, A28 and those after them). As in Istio what
 * gRPC does not know of routes has no effect; a cluster that it cannot reach as it is meant to has no endpoints, and what is not declared has no listener.
 */
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { XdsResources } from '../../xds/resources.ts';
import { proxylessClusters } from './clusters.ts';
import { apiListeners } from './listeners.ts';
import { proxylessRoutes } from './routes.ts';
import { targetsOf } from './targets.ts';

const made = new WeakMap<XdsResources, Map<string, XdsResources>>();

/** @param sidecar what the workload's sidecar has @param namespace of the workload: its short names are for it */
export function proxylessResources(sidecar: XdsResources, { namespace }: Pick<ProxyIdentity, 'namespace'>): XdsResources {
  const known = made.get(sidecar) ?? new Map<string, XdsResources>();
  made.set(sidecar, known);
  let resources = known.get(namespace);
  if (!resources) {
    const targets = targetsOf(sidecar.clusters);
    resources = {
      listeners: apiListeners(targets, namespace),
      routes: proxylessRoutes(targets, sidecar.routes),
      ...proxylessClusters(sidecar),
      secrets: [],
      nameTable: sidecar.nameTable,
    };
    known.set(namespace, resources);
  }
  return resources;
}
