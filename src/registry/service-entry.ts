import type { MeshConfig, ResourceOf, ServiceEntryPort } from '../api/index.ts';
import { table } from '../lib/table.ts';
import type { Resolution, Service, ServicePort } from './model.ts';
import { parseProtocol } from './protocol.ts';
import { visibilityOf } from './visibility.ts';

const RESOLUTIONS: Readonly<Record<string, Resolution>> = table({
  NONE: 'Passthrough',
  STATIC: 'ClientSideLB',
  DNS: 'DNSLB',
  DNS_ROUND_ROBIN: 'DNSRoundRobinLB',
  DYNAMIC_DNS: 'DynamicDNS',
});

/** The services that a ServiceEntry makes, one for each host; `autoAddresses` are still empty. */
export function serviceEntryServices(resource: ResourceOf<'ServiceEntry'>, mesh: MeshConfig): Service[] {
  const { spec } = resource;
  const { namespace, labels } = resource.metadata;
  // They have one age: as in Istio, names then decide which comes first.
  const hostnames = [...new Set(spec.hosts.map((host) => host.toLowerCase()))].sort();
  const exportTo = visibilityOf(spec.exportTo, mesh.defaultServiceExportTo);
  const declared = RESOLUTIONS[spec.resolution] ?? 'Passthrough';
  return hostnames.map((hostname) => ({
    hostname,
    namespace,
    registry: 'External',
    resource,
    order: resource.order,
    // Each host has objects of its own: endpoints are found by them.
    ports: spec.ports.map(servicePort),
    // A wildcard is no name that could be looked up, so the proxy uses the address that the client resolved.
    resolution:
      isDns(declared) && hostname.startsWith('*') && spec.endpoints.length === 0 && !spec.workloadSelector ? 'Passthrough' : declared,
    meshExternal: spec.location !== 'MESH_INTERNAL',
    addresses: spec.addresses.map(asAddress),
    autoAddresses: [],
    headless: false,
    exportTo,
    subjectAltNames: spec.subjectAltNames,
    labels,
    selector: spec.workloadSelector?.labels ?? {},
  }));
}

/** By which an entry asks for no allocated addresses. */
const AUTO_ALLOCATES = 'networking.istio.io/enable-autoallocate-ip';

/** Istio's rule: a host gets an address if it is no wildcard, declares none itself, and is not reached at the address that the client resolved. */
export function wantsAutoAddress(service: Service): boolean {
  return (
    service.registry === 'External' &&
    allocates(service.labels) &&
    service.addresses.length === 0 &&
    service.resolution !== 'Passthrough' &&
    !service.hostname.startsWith('*')
  );
}

/** Whether the labels of an entry leave it addresses that are allocated. */
export function allocates(labels: Readonly<Record<string, string>>): boolean {
  return labels[AUTO_ALLOCATES]?.toLowerCase() !== 'false';
}

/** A network of one address is that address, as in Istio: then routes serve it as a host, too. */
function asAddress(text: string): string {
  const [address, bits] = text.split('/', 2) as [string, string?];
  return bits === (address.includes(':') ? '128' : '32') ? address : text;
}

function isDns(resolution: Resolution): boolean {
  return resolution === 'DNSLB' || resolution === 'DNSRoundRobinLB';
}

function servicePort(port: ServiceEntryPort): ServicePort {
  return { number: port.number, name: port.name, protocol: parseProtocol(port.protocol), targetPort: port.targetPort || port.number };
}
