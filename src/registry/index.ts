/** Services, endpoints, workloads and addresses, from the resources of one moment. */
import type { MeshConfig, ResourceOf } from '../api/index.ts';
import { originOf, resourceText } from '../api/resource.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { type AutoAddresses, createAllocator } from './auto-allocate.ts';
import { endpointIndex } from './endpoints.ts';
import { kubernetesService } from './kubernetes.ts';
import type { Registry, Service, ServicePort } from './model.ts';
import { servedBy } from './served.ts';
import { serviceEntryServices, wantsAutoAddress } from './service-entry.ts';
import { isVisible } from './visibility.ts';
import { buildWorkloads } from './workloads.ts';

interface BuiltRegistry {
  readonly registry: Registry;
  /** Hosts whose service lost a conflict with an older one. */
  readonly findings: readonly Finding[];
}

export function buildRegistry(snapshot: Snapshot, mesh: MeshConfig): BuiltRegistry {
  const findings: Finding[] = [];
  const declared = declaredServices(snapshot, mesh);
  const services = withAliases(allocate(withoutConflicts(declared, findings), findings));
  const workloads = buildWorkloads(snapshot);
  const endpoints = endpointIndex(snapshot, workloads, declared);
  const byHostname = new Map<string, Service[]>();
  for (const service of services) {
    const siblings = byHostname.get(service.hostname);
    if (siblings) siblings.push(service);
    else byHostname.set(service.hostname, [service]);
  }
  const visible = new Map<string, readonly Service[]>();
  const registry: Registry = {
    services,
    workloads: workloads.list,
    lookup(hostname, namespace) {
      const siblings = byHostname.get(hostname.toLowerCase());
      if (!siblings) return undefined;
      const [only] = siblings;
      if (siblings.length === 1) return isVisible(only!.exportTo, only!.namespace, namespace) ? only : undefined;
      const seen = siblings.filter((service) => isVisible(service.exportTo, service.namespace, namespace));
      const first =
        seen.find((service) => service.namespace === namespace) ?? seen.find(({ registry }) => registry === 'Kubernetes') ?? seen[0];
      return first && joined(seen.filter((service) => joinable(first, service)));
    },
    visibleTo(namespace) {
      let list = visible.get(namespace);
      if (!list) {
        const seen = services.filter((service) => isVisible(service.exportTo, service.namespace, namespace));
        const named = seen.filter(({ exportTo }) => !exportTo.has('*'));
        list = named.length > 0 ? [...named, ...seen.filter(({ exportTo }) => exportTo.has('*'))] : seen;
        visible.set(namespace, list);
      }
      return list;
    },
    endpoints,
    servicesOf: servedBy(services, endpoints),
  };
  return { registry, findings };
}

/** One service with the ports of all; `services` are of one hostname and have no port in common. */
export function joined(services: readonly Service[]): Service | undefined {
  const [first, ...others] = services;
  return first && others.length > 0 ? { ...first, ports: services.flatMap(({ ports }) => ports) } : first;
}

/** Whether the ports of two with one hostname can be those of one service. Of two that can't, the clients know the first only, as in Istio. */
export function joinable(a: Service, b: Service): boolean {
  if (a === b) return true;
  return (
    a.namespace === b.namespace &&
    a.registry === b.registry &&
    a.resolution === b.resolution &&
    sameLabels(a.labels, b.labels) &&
    sameLabels(a.selector, b.selector) &&
    sameNames(exportToOf(a), exportToOf(b))
  );
}

/** Kept as written: a missing `exportTo` does not mean `*`. */
function exportToOf({ resource }: Service): ReadonlySet<string> {
  return new Set((resource as ResourceOf<'ServiceEntry'>).spec.exportTo);
}

function sameNames(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function declaredServices(snapshot: Snapshot, mesh: MeshConfig): Service[] {
  const services = snapshot.list('Service').map((resource) => kubernetesService(resource, mesh));
  for (const resource of snapshot.list('ServiceEntry')) services.push(...serviceEntryServices(resource, mesh));
  return services.sort((a, b) => a.order - b.order);
}

/**
 * Of two with one hostname and namespace the younger keeps the ports that the older does not have, as in Istio. A Kubernetes Service
 * replaces all others, so that nobody can squat on its name; their endpoints still count (see endpoints.ts).
 */
function withoutConflicts(services: readonly Service[], findings: Finding[]): Service[] {
  const kubernetes = new Map(services.filter(({ registry }) => registry === 'Kubernetes').map((service) => [keyOf(service), service]));
  const claimed = new Map<string, Map<number, Service>>();
  const first = new Map<string, Service>();
  return services.flatMap((service) => {
    const squattedOn = kubernetes.get(keyOf(service));
    if (squattedOn && squattedOn !== service) {
      findings.push(conflict(squattedOn, service, service.ports));
      return [];
    }
    let ports = claimed.get(keyOf(service));
    if (!ports) {
      ports = new Map();
      claimed.set(keyOf(service), ports);
    }
    const lost: ServicePort[] = [];
    const kept: ServicePort[] = [];
    for (const port of service.ports) {
      const older = ports.get(port.number);
      if (older) {
        lost.push(port);
      } else {
        kept.push(port);
        ports.set(port.number, service);
      }
    }
    const oldest = first.get(keyOf(service)) ?? service;
    first.set(keyOf(service), oldest);
    if (kept.length > 0 && !joinable(oldest, service)) findings.push(unlike(oldest, service, kept));
    if (lost.length === 0) return [service];
    findings.push(conflict(ports.get(lost[0]!.number)!, service, lost));
    return kept.length > 0 ? [{ ...service, ports: kept }] : [];
  });
}

function keyOf({ namespace, hostname }: Service): string {
  return `${namespace}/${hostname}`;
}

function conflict(winner: Service, loser: Service, ports: readonly ServicePort[]): Finding {
  const why =
    winner.registry === 'Kubernetes' && loser.registry !== 'Kubernetes'
      ? 'a Kubernetes Service comes before it'
      : 'the older object counts';
  const numbers = ports.map(({ number }) => number).join(', ');
  return {
    code: 'SP1018',
    level: 'Warning',
    message:
      `${resourceText(winner.resource)} declares ${loser.hostname} in this namespace as well, and ${why}: what is said here of port ${numbers} ` +
      'has no effect, save that its endpoints are added. Declare a port of a host in one object.',
    origin: originOf(loser.resource),
    position: loser.resource.source.position(['spec', 'hosts']),
  };
}

/** Calls to the name of a Service of type ExternalName are calls to what it stands for, over several of them if need be. */
function withAliases(services: readonly Service[]): readonly Service[] {
  const targets = new Map(services.flatMap(({ hostname, externalName }) => (externalName ? [[hostname, externalName] as const] : [])));
  if (targets.size === 0) return services;
  const aliases = new Map<string, string[]>();
  for (const alias of [...targets.keys()].sort()) {
    const seen = new Set([alias]);
    let target = targets.get(alias)!;
    while (targets.has(target) && !seen.has(target)) {
      seen.add(target);
      target = targets.get(target)!;
    }
    if (targets.has(target)) continue;
    const siblings = aliases.get(target);
    if (siblings) siblings.push(alias);
    else aliases.set(target, [alias]);
  }
  return services.map((service) => {
    const own = aliases.get(service.hostname);
    return own ? { ...service, aliases: own } : service;
  });
}

function unlike(oldest: Service, service: Service, ports: readonly ServicePort[]): Finding {
  const numbers = ports.map(({ number }) => number).join(', ');
  return {
    code: 'SP1018',
    level: 'Warning',
    message:
      `${resourceText(oldest.resource)} declares ${service.hostname} in this namespace as well, and is older. As the two differ in resolution, labels, ` +
      `workloadSelector or exportTo, there is no cluster for port ${numbers}: calls to it are answered 503 NC or closed. Make them alike, or one object.`,
    origin: originOf(service.resource),
    position: service.resource.source.position(['spec', 'hosts']),
  };
}

function allocate(services: readonly Service[], findings: Finding[]): Service[] {
  const next = createAllocator();
  // Several objects may declare ports of one host, which still gets a single address.
  const given = new Map<string, AutoAddresses>();
  return services.map((service) => {
    if (!wantsAutoAddress(service)) return service;
    const key = keyOf(service);
    const addresses = given.get(key) ?? next(service.namespace, service.hostname);
    if (addresses) given.set(key, addresses);
    if (addresses) return { ...service, autoAddresses: [addresses.ipv4, addresses.ipv6] };
    findings.push({
      code: 'SP1026',
      level: 'Warning',
      message: `No address is left in 240.240.0.0/16 for ${service.hostname}: DNS answers with its real addresses. State one in spec.addresses.`,
      origin: originOf(service.resource),
      position: service.resource.source.position(['spec', 'hosts']),
    });
    return service;
  });
}
