import { type Labels, matchesLabels } from '../lib/labels.ts';
import { once } from '../lib/once.ts';
import { type EndpointsOf, targetPortAt } from './endpoints.ts';
import type { Registry, Service, ServicePort, Workload } from './model.ts';
import type { Workloads } from './workloads.ts';

interface Served {
  readonly service: Service;
  readonly port: ServicePort;
  readonly endpointPort: number;
}

type Asking = Parameters<Registry['servicesOf']>[0];

/**
 * What a workload serves, as in Istio. Services of its namespace alone, so that no other can put anything before its ports: Kubernetes Services that
 * select it, whether or not it is among their endpoints (where none does, those that have one at its address), and ServiceEntries that have one there.
 * Where a WorkloadEntry has the address, its labels and namespace say which Services.
 */
export function servedBy(services: readonly Service[], endpoints: EndpointsOf, workloads: Workloads): Registry['servicesOf'] {
  const inNamespaces = once(() => Map.groupBy(services, ({ namespace }) => namespace));
  const isKubernetes = ({ registry }: Service) => registry === 'Kubernetes';
  const indexes = new Map<string, ReadonlyMap<string, readonly Served[]>>();
  const atAddresses = ({ namespace, addresses }: Asking): Served[] => {
    let index = indexes.get(namespace);
    if (!index) {
      index = indexByAddress(inNamespaces().get(namespace) ?? [], endpoints);
      indexes.set(namespace, index);
    }
    const found = addresses.flatMap((address) => index.get(address) ?? []);
    return addresses.length > 1 ? [...new Set(found)] : found;
  };
  const find = (workload: Asking): readonly Served[] => {
    const at = knownAt(workload, workloads);
    const { namespace, labels } = at ?? workload;
    const selecting = (inNamespaces().get(namespace) ?? []).filter(({ selector }) => selects(selector, labels));
    const selected = selecting.filter(isKubernetes);
    const isEntry = at?.kind === 'WorkloadEntry';
    const found = selected.filter(({ headless }) => !isEntry || !headless).flatMap((service) => portsAt(at, service));
    const others =
      workload.addresses.length > 0
        ? atAddresses(workload).filter(({ service }) => !isKubernetes(service) || (selected.length === 0 && !isEntry))
        : selecting.filter((service) => !isKubernetes(service)).flatMap((service) => portsAt(at, service));
    return [...found, ...others].sort((a, b) => a.service.order - b.service.order);
  };
  // Each part of a proxy's translation asks for the same.
  const answers = new WeakMap<object, readonly Served[]>();
  return (workload) => {
    const answer = answers.get(workload) ?? find(workload);
    answers.set(workload, answer);
    return answer;
  };
}

/** The WorkloadEntry at a workload's address, of its own namespace if there is one, or else the Pod. */
function knownAt({ addresses: [address], namespace }: Asking, workloads: Workloads): Workload | undefined {
  if (address === undefined) return undefined;
  const entries = workloads.entriesAt(address);
  return entries.find((entry) => entry.namespace === namespace) ?? entries[0] ?? workloads.podAt(address);
}

function selects(selector: Labels, labels: Labels): boolean {
  return Object.keys(selector).length > 0 && matchesLabels(selector, labels);
}

/** Where a workload that is known serves a service's ports; the numbers that the service says where none is. Of two at one place the first counts. */
function portsAt(workload: Workload | undefined, service: Service): Served[] {
  const found = new Map<string, Served>();
  for (const port of service.ports) {
    const endpointPort = workload ? targetPortAt(workload, service, port) : port.targetPort;
    const place = `${endpointPort} ${port.protocol}`;
    if (endpointPort !== undefined && !found.has(place)) found.set(place, { service, port, endpointPort });
  }
  return [...found.values()];
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
