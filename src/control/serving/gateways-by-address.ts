/** Which gateway is at an address: of all that the mesh has, whichever controller they are connected to. */
import { proxyName } from '../../flows/hub.ts';
import { identityOf } from '../../prove/simulated.ts';
import type { Mesh } from '../../translate/model.ts';

/** @param mesh the newest. What is found is kept for as long as its workloads and Gateways are the same. */
export function gatewaysByAddress(mesh: () => Mesh): (ip: string) => string | undefined {
  let from: readonly unknown[] = [];
  let found = new Map<string, string>();
  return (ip) => {
    const { registry, snapshot } = mesh();
    const now = [registry.workloads, snapshot.list('Gateway')];
    if (now.some((list, i) => list !== from[i])) {
      from = now;
      found = addressesIn(mesh());
    }
    return found.get(ip);
  };
}

function addressesIn({ registry: { workloads }, snapshot }: Mesh): Map<string, string> {
  const selectors = snapshot.list('Gateway').map(({ spec }) => spec.selector);
  const routers = workloads.map((workload) => identityOf(workload, selectors)).filter(({ type }) => type === 'router');
  return new Map(routers.flatMap((router) => router.addresses.map((address) => [address, proxyName(router)] as const)));
}
