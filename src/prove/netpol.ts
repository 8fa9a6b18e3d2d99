/** `netpol`: the NetworkPolicies that hold a workload which goes round its sidecar. */
import { egressOnlyThroughGateways } from '../kube/network-policy.ts';
import type { SimulatedFiles } from './simulated.ts';

/** The policies under which nothing but the files' gateways leaves the cluster. They leave kube-system alone, where DNS is. */
export function policiesFor({ mesh, proxies, bare }: SimulatedFiles): object[] {
  const names = new Set([
    ...proxies.map(({ namespace }) => namespace),
    ...bare.map(({ identity }) => identity.namespace),
    ...mesh.snapshot.list('Namespace').map(({ metadata }) => metadata.name),
  ]);
  names.delete('kube-system');
  return egressOnlyThroughGateways({ namespaces: [...names].sort(), gateways: proxies.filter(({ type }) => type === 'router') });
}
