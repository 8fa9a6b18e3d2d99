import { parseProtocol } from '../../registry/protocol.ts';
import { isVisible } from '../../registry/visibility.ts';
import type { Context } from '../context.ts';

/** Protocols whose bytes do not name the host that is called. */
const OPAQUE = new Set(['TCP', 'Mongo', 'MySQL', 'Redis', 'Unsupported']);

/** IST0134: a TCP port of a ServiceEntry without addresses takes that port for every address. */
export function serviceEntryAddresses(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    if (entry.spec.addresses.length > 0) continue;
    const allocated = entry.spec.resolution !== 'NONE' && entry.spec.hosts.every((host) => !host.startsWith('*'));
    if (allocated && context.mesh.defaultConfig?.proxyMetadata?.ISTIO_META_DNS_CAPTURE === 'true') continue;
    for (const [i, port] of entry.spec.ports.entries()) {
      if (!OPAQUE.has(parseProtocol(port.protocol))) continue;
      context.report(
        'IST0134',
        entry,
        ['spec', 'ports', i, 'protocol'],
        `ServiceEntry addresses are required for port ${port.number} (${port.protocol || 'no protocol'}): without them every connection to port ${port.number}, whatever its address, is taken for ${entry.spec.hosts.join(', ')}. State the service's addresses in spec.addresses, or set protocol to TLS or HTTP if it is.`,
      );
    }
  }
}

/** IST0177: two ServiceEntries that some namespace sees together give one host and port different protocols. */
export function conflictingServiceEntryProtocols(context: Context): void {
  const byHostPort = new Map<string, { entry: (typeof services)[number]; protocol: string; index: number }[]>();
  const services = context.registry.services.filter((service) => service.registry === 'External');
  for (const service of services) {
    for (const [index, port] of service.ports.entries()) {
      const key = `${service.hostname}:${port.number}`;
      const list = byHostPort.get(key) ?? [];
      list.push({ entry: service, protocol: port.protocol, index });
      byHostPort.set(key, list);
    }
  }
  for (const [hostPort, list] of byHostPort) {
    for (const { entry, protocol, index } of list) {
      const other = list.find(
        (o) =>
          o.protocol !== protocol &&
          (isVisible(entry.exportTo, entry.namespace, o.entry.namespace) ||
            isVisible(o.entry.exportTo, o.entry.namespace, entry.namespace)),
      );
      if (!other) continue;
      const name = `${other.entry.namespace}/${other.entry.resource.metadata.name}`;
      context.report(
        'IST0177',
        entry.resource,
        ['spec', 'ports', index, 'protocol'],
        `${hostPort} is ${protocol} here and ${other.protocol} in ServiceEntry ${name}: the older one's protocol counts, and the other's clients fail. Give both the same protocol.`,
      );
    }
  }
}
