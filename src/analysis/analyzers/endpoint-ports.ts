import type { ResourceOf } from '../../api/index.ts';
import { originOf, type Resource } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import { originText } from '../../lib/origin.ts';
import type { Service } from '../../registry/model.ts';
import type { Context } from '../context.ts';

/** SP1029: Services whose endpoints are written by hand and have no port of a port's name. */
export function unnamedEndpointPorts(context: Context): void {
  const written = Map.groupBy(writtenPorts(context), ({ service }) => service);
  for (const service of context.of('Service')) {
    const { namespace, name } = service.metadata;
    const { selector, clusterIP, type } = service.spec;
    const endpoints = written.get(`${namespace}/${name}`);
    // Those of a selector are Kubernetes' to write.
    if (!endpoints || Object.keys(selector ?? {}).length > 0 || clusterIP === 'None' || type === 'ExternalName') continue;
    const names = new Set(endpoints.flatMap((each) => each.names));
    const known = [...names].map((each) => each || 'one without a name').join(', ') || 'none';
    for (const [i, port] of service.spec.ports.entries()) {
      const wanted = port.name ?? '';
      if (names.has(wanted)) continue;
      const of = originText(originOf(endpoints[0]!.resource));
      const write = wanted === '' ? 'Name this port as it is named there' : `Write name: ${wanted} there`;
      context.report(
        'SP1029',
        service,
        ['spec', 'ports', i],
        `Endpoints belong to the port of a Service that has their port's name, and ${of} has no port named ${wanted || '(nothing)'} (its ports: ${known}): port ${port.port} has no endpoints, calls are answered 503 (UH), connections are closed. ${write}.`,
      );
    }
  }
}

interface WrittenPorts {
  /** `namespace/name` of the Service. */
  readonly service: string;
  readonly resource: Resource;
  readonly names: readonly string[];
}

/** Of Endpoints and EndpointSlices with addresses. */
function writtenPorts(context: Context): WrittenPorts[] {
  const found: WrittenPorts[] = [];
  for (const resource of context.of('EndpointSlice')) {
    const { labels, namespace } = resource.metadata;
    const service = labels['kubernetes.io/service-name'];
    if (!service || resource.spec.endpoints.length === 0) continue;
    found.push({ service: `${namespace}/${service}`, resource, names: resource.spec.ports.map(({ name }) => name ?? '') });
  }
  for (const resource of context.of('Endpoints')) {
    const { name, namespace } = resource.metadata;
    const subsets = resource.spec.subsets.filter(({ addresses, notReadyAddresses }) => addresses.length + notReadyAddresses.length > 0);
    if (subsets.length === 0) continue;
    const names = subsets.flatMap(({ ports }) => ports.map((port) => port.name ?? ''));
    found.push({ service: `${namespace}/${name}`, resource, names });
  }
  return found;
}

/** SP1010: ports of WorkloadEntries under names that no port of what selects them has. */
export function strangePortNames(context: Context): void {
  const selecting = Map.groupBy(context.registry.services, ({ namespace }) => namespace);
  for (const entry of context.of('WorkloadEntry')) {
    const names = Object.keys(entry.spec.ports ?? {});
    if (names.length === 0) continue;
    const labels = { ...entry.metadata.labels, ...entry.spec.labels };
    const services = (selecting.get(entry.metadata.namespace) ?? []).filter(
      ({ selector }) => Object.keys(selector).length > 0 && matchesLabels(selector, labels),
    );
    if (services.length === 0) continue;
    const known = new Set(services.flatMap(portNames));
    const selectors = [...new Set(services.map((service) => originText(originOf(service.resource))))];
    for (const name of names) {
      if (known.has(name)) continue;
      const lacked = [...known].filter((each) => !names.includes(each));
      const write = lacked.length > 0 ? `Write ${lacked.join(' or ')} in place of ${name}.` : 'Take it out.';
      context.report(
        'SP1010',
        entry,
        ['spec', 'ports', name],
        `No port of ${selectors.join(', ')} is named ${name}, so this number has no effect: the address is called at the port that stands there (${targets(services)}). ${write}`,
      );
    }
  }
}

/** What a WorkloadEntry may call the ports of a service: by their names, or by those of target ports where these are names. */
function portNames(service: Service): string[] {
  if (service.registry !== 'Kubernetes') return service.ports.map(({ name }) => name);
  const { ports } = (service.resource as ResourceOf<'Service'>).spec;
  return ports.map(({ name, targetPort }) => (typeof targetPort === 'string' ? targetPort : (name ?? '')));
}

function targets(services: readonly Service[]): string {
  return [...new Set(services.flatMap(({ ports }) => ports.map(({ targetPort }) => targetPort)))].join(', ');
}
