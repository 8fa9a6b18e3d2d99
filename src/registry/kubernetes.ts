import type { MeshConfig, ResourceOf, ServicePortSpec } from '../api/index.ts';
import type { Service, ServicePort } from './model.ts';
import { kubernetesProtocol } from './protocol.ts';
import { visibilityOf } from './visibility.ts';

/** The DNS domain of cluster services. */
const CLUSTER_DOMAIN = 'cluster.local';

const EXPORT_TO_ANNOTATION = 'networking.istio.io/exportTo';

function serviceHostname(name: string, namespace: string): string {
  return `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`;
}

/** The one service that a Kubernetes Service makes. */
export function kubernetesService(resource: ResourceOf<'Service'>, mesh: MeshConfig): Service {
  const { spec } = resource;
  const { name, namespace, labels, annotations } = resource.metadata;
  const alias = spec.type === 'ExternalName';
  const headless = !alias && spec.clusterIP === 'None';
  const exportTo = annotations[EXPORT_TO_ANNOTATION]?.split(',').map((part) => part.trim());
  const addresses = (spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP]).filter(
    (ip): ip is string => Boolean(ip) && ip !== 'None',
  );
  return {
    hostname: serviceHostname(name, namespace),
    namespace,
    registry: 'Kubernetes',
    resource,
    order: resource.order,
    ports: carriedPorts(spec.ports).map(servicePort),
    resolution: alias ? 'Alias' : headless ? 'Passthrough' : 'ClientSideLB',
    meshExternal: false,
    addresses: alias ? [] : addresses,
    autoAddresses: [],
    headless,
    exportTo: visibilityOf(exportTo, mesh.defaultServiceExportTo),
    subjectAltNames: [],
    labels,
    selector: alias ? {} : spec.selector,
    ...(alias && spec.externalName ? { externalName: spec.externalName.toLowerCase().replace(/\.$/, '') } : {}),
  };
}

/** DNS has one number for UDP and TCP: the mesh carries TCP, and knows a port by its number. */
function carriedPorts(ports: readonly ServicePortSpec[]): readonly ServicePortSpec[] {
  const streams = new Set(ports.filter(({ protocol }) => protocol !== 'UDP').map(({ port }) => port));
  return streams.size === ports.length ? ports : ports.filter(({ port, protocol }) => protocol !== 'UDP' || !streams.has(port));
}

function servicePort(port: ServicePortSpec): ServicePort {
  return {
    number: port.port,
    name: port.name,
    protocol: kubernetesProtocol(port),
    // A named target port differs from Pod to Pod: endpoints resolve it themselves.
    targetPort: typeof port.targetPort === 'number' && port.targetPort > 0 ? port.targetPort : port.port,
  };
}
