/** What belongs to the mesh: the addresses inside it, and the gateways by which calls may leave it. */

import { isInsideCluster } from '../kube/network-policy.ts';
import { once } from '../lib/once.ts';
import { clusterServers } from './cluster-servers.ts';
import type { SimulatedFiles } from './simulated.ts';

/** Ranges that are the cluster's own unless said otherwise: private addresses, and those of the loopback mesh of `up`. */
export const CLUSTER_RANGES: readonly string[] = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '127.0.0.0/8',
  'fc00::/7',
  '::1/128',
];

/**
 * The addresses inside the mesh: those of Pods, and those of WorkloadEntries, Services and endpoints that lie in the cluster's own ranges,
 * and those of its API server and name servers.
 * The ranges are asked because a ServiceEntry or an EndpointSlice may claim of any address in the world that it is inside.
 */
export function insideAddresses({ mesh }: SimulatedFiles, clusterRanges: readonly string[] = CLUSTER_RANGES): Set<string> {
  const { registry } = mesh;
  const pods = registry.workloads.filter(({ kind }) => kind === 'Pod').flatMap(({ addresses }) => addresses);
  const claimed = new Set<string>(registry.workloads.flatMap(({ addresses }) => addresses));
  for (const service of registry.services) {
    if (service.meshExternal) continue;
    for (const address of service.addresses) claimed.add(address);
    for (const port of service.ports) for (const { address } of registry.endpoints(service, port)) claimed.add(address);
  }
  const allocated = registry.services.flatMap(({ meshExternal, autoAddresses }) => (meshExternal ? [] : autoAddresses));
  return new Set([
    ...pods,
    ...allocated,
    ...clusterServers(mesh).map(({ ip }) => ip),
    ...[...claimed].filter((address) => isInsideCluster(address, clusterRanges)),
  ]);
}

/** Recognizes a gateway by the `namespace/name` of its router, or by a cluster whose Service has no endpoints but gateways. */
export function gatewaysOf({ proxies, mesh: { registry } }: SimulatedFiles): (name: string) => boolean {
  const routers = proxies.filter(({ type }) => type === 'router');
  const names = new Set(routers.map(({ namespace, name }) => `${namespace}/${name}`));
  const addresses = new Set(routers.flatMap((router) => router.addresses));
  const byHostname = once(() => Map.groupBy(registry.services, ({ hostname }) => hostname));
  const leadsToGateways = (hostname: string) => {
    const services = byHostname().get(hostname) ?? [];
    const endpoints = services.flatMap((service) => service.ports.flatMap((port) => registry.endpoints(service, port)));
    return services.length > 0 && endpoints.length > 0 && endpoints.every(({ address }) => addresses.has(address));
  };
  return (name) => names.has(name) || (name.startsWith('outbound|') && leadsToGateways(name.split('|')[3] ?? ''));
}
