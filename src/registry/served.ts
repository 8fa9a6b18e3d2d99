import { type Labels, matchesLabels } from '../lib/labels.ts';
import type { EndpointsOf } from './endpoints.ts';
import type { Registry, Service, ServicePort } from './model.ts';

interface Served {
  readonly service: Service;
  readonly port: ServicePort;
  readonly endpointPort: number;
}

/** What a workload serves: services with an endpoint at one of its addresses, and those that select it while it has no address yet. */
export function servedBy(services: readonly Service[], endpoints: EndpointsOf): Registry['servicesOf'] {
  let byAddress: ReadonlyMap<string, readonly Served[]> | undefined;
  // Each part of a proxy's translation asks for the same.
  const answers = new WeakMap<object, readonly Served[]>();
  const find = (workload: Parameters<Registry['servicesOf']>[0]): readonly Served[] => {
    byAddress ??= indexByAddress(services, endpoints);
    const found: Served[] = [];
    for (const address of workload.addresses) {
      for (const served of byAddress.get(address) ?? []) if (!found.includes(served)) found.push(served);
    }
    if (workload.addresses.length === 0) found.push(...selecting(services, workload));
    return found.sort((a, b) => a.service.order - b.service.order);
  };
  return (workload) => {
    const answer = answers.get(workload) ?? find(workload);
    answers.set(workload, answer);
    return answer;
  };
}

function indexByAddress(services: readonly Service[], endpoints: EndpointsOf): ReadonlyMap<string, readonly Served[]> {
  const index = new Map<string, Served[]>();
  for (const service of services) {
    // Other services have endpoints that are names, or none.
    if (service.resolution !== 'ClientSideLB' && service.resolution !== 'Passthrough') continue;
    for (const port of service.ports) {
      for (const endpoint of endpoints(service, port)) {
        const served = { service, port, endpointPort: endpoint.port };
        const siblings = index.get(endpoint.address);
        if (siblings) siblings.push(served);
        else index.set(endpoint.address, [served]);
      }
    }
  }
  return index;
}

function selecting(services: readonly Service[], { namespace, labels }: { namespace: string; labels: Labels }): Served[] {
  const found: Served[] = [];
  for (const service of services) {
    if (service.namespace !== namespace) continue;
    const { selector } = service;
    if (Object.keys(selector).length === 0 || !matchesLabels(selector, labels)) continue;
    for (const port of service.ports) found.push({ service, port, endpointPort: port.targetPort });
  }
  return found;
}
