/** Where gateways send what is declared, beyond pods of the cluster: names and addresses, with ports. */
import type { DeclaredServer } from '../kube/cilium-policies.ts';
import type { ClusterServer } from '../kube/egress-policies.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import type { Mesh } from '../translate/model.ts';

/** In a stable order, each once. @param known those that every workload reaches */
export function declaredServers({ registry }: Mesh, known: readonly ClusterServer[]): DeclaredServer[] {
  const isKnown = ({ host, port }: DeclaredServer) => known.some((each) => each.ip === host && each.port === port);
  const pods = new Set(registry.workloads.flatMap(({ kind, addresses }) => (kind === 'Pod' ? addresses : [])));
  const found = new Map<string, DeclaredServer>();
  for (const service of registry.services)
    for (const port of service.ports)
      for (const each of serversOf(registry, service, port))
        if (!pods.has(each.host) && !each.host.startsWith('unix://') && !isKnown(each))
          found.set(`${each.host} ${each.port} ${each.protocol}`, each);
  return [...found.keys()].sort().map((key) => found.get(key)!);
}

function serversOf(registry: Mesh['registry'], service: Service, port: ServicePort): DeclaredServer[] {
  const protocol = port.protocol === 'UDP' ? 'UDP' : 'TCP';
  const endpoints = registry
    .endpoints(service, port)
    .map(({ address, port: number }) => ({ host: address, port: number, protocol }) as const);
  if (endpoints.length > 0) return endpoints;
  const at = (hosts: readonly string[]) => hosts.map((host) => ({ host, port: port.number, protocol }) as const);
  if (service.externalName !== undefined) return at([service.externalName]);
  if (service.registry === 'Kubernetes') return [];
  if (service.resolution === 'Passthrough' && service.addresses.length > 0) return at(service.addresses);
  return service.resolution === 'Passthrough' || service.resolution === 'DynamicDNS' ? at([service.hostname]) : [];
}
