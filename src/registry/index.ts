/** Services, endpoints, workloads and addresses, from the resources of one moment. */
import type { MeshConfig } from '../api/index.ts';
import { originOf } from '../api/resource.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { createAllocator } from './auto-allocate.ts';
import { endpointIndex } from './endpoints.ts';
import { kubernetesService } from './kubernetes.ts';
import type { Registry, Service } from './model.ts';
import { servedBy } from './served.ts';
import { serviceEntryServices, wantsAutoAddress } from './service-entry.ts';
import { isVisible } from './visibility.ts';
import { buildWorkloads } from './workloads.ts';

export interface BuiltRegistry {
  readonly registry: Registry;
  /** Hosts that lost a conflict. */
  readonly findings: readonly Finding[];
}

export function buildRegistry(snapshot: Snapshot, mesh: MeshConfig): BuiltRegistry {
  const findings: Finding[] = [];
  const services = allocate(withoutConflicts(declaredServices(snapshot, mesh), findings), findings);
  const workloads = buildWorkloads(snapshot);
  const endpoints = endpointIndex(snapshot, workloads);
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
      const seen = (byHostname.get(hostname.toLowerCase()) ?? []).filter((service) =>
        isVisible(service.exportTo, service.namespace, namespace),
      );
      return (
        seen.find((service) => service.namespace === namespace) ?? seen.find((service) => service.registry === 'Kubernetes') ?? seen[0]
      );
    },
    visibleTo(namespace) {
      let list = visible.get(namespace);
      if (!list) {
        list = services.filter((service) => isVisible(service.exportTo, service.namespace, namespace));
        visible.set(namespace, list);
      }
      return list;
    },
    endpoints,
    servicesOf: servedBy(services, endpoints),
  };
  return { registry, findings };
}

function declaredServices(snapshot: Snapshot, mesh: MeshConfig): Service[] {
  const services = snapshot.list('Service').map((resource) => kubernetesService(resource, mesh));
  for (const resource of snapshot.list('ServiceEntry')) services.push(...serviceEntryServices(resource, mesh));
  return services.sort((a, b) => a.order - b.order);
}

/** Of two with one hostname and namespace the Kubernetes Service stays (nobody may squat on its name), else the older. */
function withoutConflicts(services: readonly Service[], findings: Finding[]): Service[] {
  const winners = new Map<string, Service>();
  for (const service of services) {
    const key = `${service.namespace}/${service.hostname}`;
    const older = winners.get(key);
    if (!older) {
      winners.set(key, service);
      continue;
    }
    const takesOver = service.registry === 'Kubernetes' && older.registry !== 'Kubernetes';
    const [winner, loser] = takesOver ? [service, older] : [older, service];
    winners.set(key, winner);
    findings.push(conflict(winner, loser));
  }
  return services.filter((service) => winners.get(`${service.namespace}/${service.hostname}`) === service);
}

function conflict(winner: Service, loser: Service): Finding {
  const why =
    winner.registry === 'Kubernetes' && loser.registry !== 'Kubernetes'
      ? 'a Kubernetes Service comes before it'
      : 'the older object counts';
  return {
    code: 'SP1018',
    level: 'Warning',
    message:
      `${originOf(winner.resource)} declares the host ${loser.hostname} in this namespace as well, and ${why}: the ports, endpoints and addresses ` +
      'stated here have no effect. Declare the host in one object.',
    origin: originOf(loser.resource),
    position: loser.resource.source.position(['spec', 'hosts']),
  };
}

function allocate(services: readonly Service[], findings: Finding[]): Service[] {
  const next = createAllocator();
  return services.map((service) => {
    if (!wantsAutoAddress(service)) return service;
    const addresses = next(service.namespace, service.hostname);
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
