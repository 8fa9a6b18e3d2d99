import type { ResourceOf } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { once } from '../lib/once.ts';
import { keepContent } from '../lib/same.ts';
import type { Declarations, Declared } from './declarations.ts';
import type { Endpoint, Service, ServicePort, Workload } from './model.ts';
import { isReady, tlsModeOf, type Workloads } from './workloads.ts';

export type EndpointsOf = (service: Service, port: ServicePort) => readonly Endpoint[];

const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

interface Sources {
  readonly workloads: Workloads;
  /** By `namespace/service`. */
  readonly slices: ReadonlyMap<string, readonly ResourceOf<'EndpointSlice'>[]>;
  readonly legacy: ReadonlyMap<string, ResourceOf<'Endpoints'>>;
}

export interface EndpointTable {
  readonly of: EndpointsOf;
  readonly from: EndpointOrigins;
  /** For the next one. */
  readonly memory: WeakMap<ServicePort, Known>;
}

interface EndpointOrigins {
  readonly declarations: Declarations;
  readonly workloads: Workloads;
  readonly slices: readonly ResourceOf<'EndpointSlice'>[];
  readonly legacy: readonly ResourceOf<'Endpoints'>[];
}

/** The endpoints that a port had when it was asked about last. */
interface Known {
  readonly endpoints: readonly Endpoint[];
  /** The ServiceEntries that say all there is to say of them; undefined where workloads and slices have a say. */
  readonly statedBy: readonly Declared[] | undefined;
}

const NOBODY: readonly Declared[] = [];

/**
 * Endpoints by service port, worked out when first asked for and kept. A port belongs to the service that declares it, also where a view of
 * several services in one is asked about. All declared services count, those that lost their ports to others too: as in Istio, what
 * ServiceEntries of one namespace say of the endpoints of one host is added up.
 *
 * A port whose endpoints are as they were has the same list as `before`, which stays itself where nothing that endpoints come of has changed.
 */
export function endpointTable(
  snapshot: Snapshot,
  workloads: Workloads,
  declarations: Declarations,
  before: EndpointTable | undefined,
): EndpointTable {
  const from = { declarations, workloads, slices: snapshot.list('EndpointSlice'), legacy: snapshot.list('Endpoints') };
  if (before && isSame(before.from, from)) return before;
  const memory = before?.memory ?? new WeakMap<ServicePort, Known>();
  const sources = once(() => sourcesOf(from));
  const asked = new Map<ServicePort, readonly Endpoint[]>();
  const find = (service: Service, port: ServicePort, rivals: readonly Declared[]): Known => {
    const entries = rivals.map((declared) => declared.service).filter(({ registry }) => registry !== 'Kubernetes');
    const isKubernetes = service.registry === 'Kubernetes';
    const own = isKubernetes ? kubernetesEndpoints(service, port, sources()) : [];
    const found = entries.length === 0 ? own : [...own, ...entriesEndpoints(entries, service, port, workloads)];
    const endpoints = keepContent(memory.get(port)?.endpoints, found);
    return { endpoints, statedBy: isKubernetes || entries.some(selectsWorkloads) ? undefined : rivals };
  };
  const of: EndpointsOf = (service, port) => {
    const owner = declarations.ownerOf(port);
    const rivals = declarations.byKey.get(owner?.key ?? `${service.namespace}/${service.hostname}`) ?? NOBODY;
    const known = memory.get(port);
    if (known?.statedBy === rivals) return known.endpoints;
    let endpoints = asked.get(port);
    if (!endpoints) {
      const answer = find(owner?.service ?? service, port, rivals);
      memory.set(port, answer);
      endpoints = answer.endpoints;
      asked.set(port, endpoints);
    }
    return endpoints;
  };
  return { of, from, memory };
}

function isSame(a: EndpointOrigins, b: EndpointOrigins): boolean {
  return a.declarations === b.declarations && a.workloads === b.workloads && a.slices === b.slices && a.legacy === b.legacy;
}

function sourcesOf({ workloads, slices, legacy }: EndpointOrigins): Sources {
  return {
    workloads,
    slices: Map.groupBy(slices, ({ metadata }) => `${metadata.namespace}/${metadata.labels[SERVICE_NAME_LABEL] ?? ''}`),
    legacy: new Map(legacy.map((object) => [`${object.metadata.namespace}/${object.metadata.name}`, object])),
  };
}

function selectsWorkloads({ resource }: Service): boolean {
  return (resource as ResourceOf<'ServiceEntry'>).spec.workloadSelector !== undefined;
}

/** Of every ServiceEntry with the host: where names are looked up, for the same port; elsewhere for a port of the same name. */
function entriesEndpoints(entries: readonly Service[], service: Service, port: ServicePort, workloads: Workloads): readonly Endpoint[] {
  const byNumber = service.resolution === 'DNSLB' || service.resolution === 'DNSRoundRobinLB';
  const found: Endpoint[] = [];
  for (const entry of entries) {
    for (const each of entry.ports) {
      if (byNumber ? each.number !== port.number : each.name !== port.name) continue;
      // A DNS round-robin cluster resolves a single name: the oldest entry's.
      if (entry.resolution === 'DNSRoundRobinLB' && found.length > 0) continue;
      found.push(...serviceEntryEndpoints(entry, each, workloads));
    }
  }
  return found;
}

function kubernetesEndpoints(service: Service, port: ServicePort, { workloads, slices, legacy }: Sources): readonly Endpoint[] {
  if (service.resolution === 'Alias') return [];
  const resource = service.resource as ResourceOf<'Service'>;
  const publishNotReady = resource.spec.publishNotReadyAddresses;
  const key = `${resource.metadata.namespace}/${resource.metadata.name}`;
  const selected = workloads.select(service.namespace, service.selector);
  // WorkloadEntries are never in slices: Kubernetes does not know them. They are no endpoints of headless Services, as in Istio.
  const entries = service.headless
    ? []
    : selected.filter((workload) => workload.kind === 'WorkloadEntry').flatMap((entry) => entryEndpoint(entry, service, port));
  const ofService = slices.get(key);
  if (ofService) return unique([...ofService.flatMap((slice) => sliceEndpoints(slice, port, workloads)), ...entries]);
  const object = legacy.get(key);
  if (object) return unique([...legacyEndpoints(object, port, workloads), ...entries]);
  const pods = selected.filter((workload) => workload.kind === 'Pod').flatMap((pod) => podEndpoint(pod, service, port, publishNotReady));
  return [...pods, ...entries];
}

function sliceEndpoints(slice: ResourceOf<'EndpointSlice'>, port: ServicePort, workloads: Workloads): Endpoint[] {
  const number = slice.spec.ports.find(({ name }) => name === port.name)?.port;
  if (!number || slice.spec.addressType === 'FQDN') return [];
  const { namespace } = slice.metadata;
  return slice.spec.endpoints.flatMap((endpoint) => {
    const { targetRef } = endpoint;
    const pod = targetRef?.kind === 'Pod' && targetRef.name ? workloads.pod(targetRef.namespace || namespace, targetRef.name) : undefined;
    // The API says that a missing condition counts as ready. With `publishNotReadyAddresses` Kubernetes writes all of them as ready.
    const healthy = endpoint.conditions?.ready !== false;
    const locality = workloads.nodeLocality(endpoint.nodeName);
    return endpoint.addresses.map((address) =>
      atAddress(address, number, port, pod ?? workloads.podAt(address), { namespace, healthy, locality }),
    );
  });
}

function legacyEndpoints(object: ResourceOf<'Endpoints'>, port: ServicePort, workloads: Workloads): Endpoint[] {
  const { namespace } = object.metadata;
  return object.spec.subsets.flatMap((subset) => {
    const number = subset.ports.find(({ name }) => name === port.name)?.port;
    if (!number) return [];
    const ready = subset.addresses.map((address) => ({ ...address, healthy: true }));
    const notReady = subset.notReadyAddresses.map((address) => ({ ...address, healthy: false }));
    return [...ready, ...notReady].flatMap(({ ip, nodeName, targetRef, healthy }) => {
      if (!ip) return [];
      const pod =
        targetRef?.kind === 'Pod' && targetRef.name ? workloads.pod(targetRef.namespace || namespace, targetRef.name) : workloads.podAt(ip);
      return [atAddress(ip, number, port, pod, { namespace, healthy, locality: workloads.nodeLocality(nodeName) })];
    });
  });
}

function atAddress(
  address: string,
  number: number,
  port: ServicePort,
  pod: Workload | undefined,
  { namespace, healthy, locality }: { namespace: string; healthy: boolean; locality: string },
): Endpoint {
  const labels = pod?.labels ?? {};
  return {
    address,
    port: number,
    servicePortName: port.name,
    labels,
    weight: 0,
    locality: pod?.locality || locality,
    network: '',
    serviceAccount: pod?.serviceAccount ?? '',
    namespace: pod?.namespace ?? namespace,
    workload: pod?.name ?? '',
    healthy,
    tlsMode: tlsModeOf(labels),
  };
}

function podEndpoint(pod: Workload, service: Service, port: ServicePort, publishNotReady: boolean): Endpoint[] {
  const address = pod.addresses[0];
  const number = targetPortAt(pod, service, port);
  if (!address || !number) return [];
  return [atAddress(address, number, port, pod, { namespace: pod.namespace, healthy: publishNotReady || isReady(pod), locality: '' })];
}

/** The port at which a workload serves a service's port; undefined if the target port is a name that the workload does not have. */
export function targetPortAt(workload: Workload, service: Service, port: ServicePort): number | undefined {
  if (workload.kind === 'WorkloadEntry') {
    const ports = (workload.resource as ResourceOf<'WorkloadEntry'>).spec.ports;
    const target = targetPortOf(service, port);
    return typeof target === 'string' ? ports[target] : (ports[port.name] ?? port.targetPort);
  }
  const target = targetPortOf(service, port);
  if (typeof target !== 'string') return port.targetPort;
  const containers = (workload.resource as ResourceOf<'Pod'>).spec.containers;
  for (const container of containers) {
    const match = container.ports.find(({ name }) => name === target);
    if (match?.containerPort) return match.containerPort;
  }
  return undefined;
}

function targetPortOf(service: Service, port: ServicePort): number | string | undefined {
  if (service.registry !== 'Kubernetes') return port.targetPort;
  return (service.resource as ResourceOf<'Service'>).spec.ports.find((candidate) => candidate.port === port.number)?.targetPort;
}

function entryEndpoint(entry: Workload, service: Service, port: ServicePort): Endpoint[] {
  const { spec } = entry.resource as ResourceOf<'WorkloadEntry'>;
  const number = targetPortAt(entry, service, port);
  return number === undefined ? [] : stated({ ...spec, labels: entry.labels }, number, port, entry);
}

function serviceEntryEndpoints(service: Service, port: ServicePort, workloads: Workloads): readonly Endpoint[] {
  if (service.resolution === 'DynamicDNS') return [];
  const { spec, metadata } = service.resource as ResourceOf<'ServiceEntry'>;
  if (spec.workloadSelector) {
    return workloads
      .select(service.namespace, service.selector)
      .flatMap((workload) =>
        workload.kind === 'Pod' ? podEndpoint(workload, service, port, false) : entryEndpoint(workload, service, port),
      );
  }
  if (spec.endpoints.length > 0) {
    const owner = { namespace: metadata.namespace, name: '' };
    return spec.endpoints.flatMap((endpoint) => stated(endpoint, endpoint.ports?.[port.name] ?? port.targetPort, port, owner));
  }
  const named = service.resolution === 'DNSLB' || service.resolution === 'DNSRoundRobinLB';
  return named ? stated({ address: service.hostname }, port.targetPort, port, { namespace: metadata.namespace, name: '' }) : [];
}

/** An endpoint as a ServiceEntry or a WorkloadEntry writes it. */
function stated(
  entry: Partial<ResourceOf<'WorkloadEntry'>['spec']>,
  port: number,
  servicePort: ServicePort,
  owner: { namespace: string; name: string },
): Endpoint[] {
  if (!entry.address) return [];
  const labels = entry.labels ?? {};
  return [
    {
      address: entry.address,
      port: entry.address.startsWith('unix://') ? 0 : port,
      servicePortName: servicePort.name,
      labels,
      weight: entry.weight ?? 0,
      locality: entry.locality ?? '',
      network: entry.network ?? '',
      serviceAccount: entry.serviceAccount ?? '',
      namespace: owner.namespace,
      workload: owner.name,
      healthy: true,
      tlsMode: tlsModeOf(labels, entry.serviceAccount),
    },
  ];
}

/** A Pod can be in several slices of one Service, e.g. while Kubernetes moves it from one to another. */
function unique(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const seen = new Set<string>();
  return endpoints.filter(({ address, port }) => {
    const key = `${address}|${port}`;
    return !seen.has(key) && seen.add(key);
  });
}
