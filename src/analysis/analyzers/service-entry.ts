import { capturesDns, DNS_CAPTURE, isOn } from '../../api/dns-capture.ts';
import type { ResourceOf } from '../../api/index.ts';
import { PROXY_CONTAINER, proxyContainer } from '../../api/injection.ts';
import { resourceText } from '../../api/resource.ts';
import { once } from '../../lib/once.ts';
import { joinable } from '../../registry/index.ts';
import type { Service } from '../../registry/model.ts';
import { isHttp, parseProtocol } from '../../registry/protocol.ts';
import { allocates } from '../../registry/service-entry.ts';
import { visibilityOf } from '../../registry/visibility.ts';
import type { Context } from '../context.ts';

/** Protocols whose bytes do not name the host that is called. */
const OPAQUE = new Set(['TCP', 'Mongo', 'MySQL', 'Redis', 'Unsupported']);

/** IST0134: a TCP port of a ServiceEntry without addresses takes that port for every address. */
export function serviceEntryAddresses(context: Context): void {
  const byName = once(() => clientsAskMesh(context));
  for (const entry of context.of('ServiceEntry')) {
    if (!entry.valid || entry.spec.addresses.length > 0) continue;
    const allocated =
      allocates(entry.metadata.labels) && entry.spec.resolution !== 'NONE' && entry.spec.hosts.every((host) => !host.startsWith('*'));
    if (allocated && byName()) continue;
    // What a control plane allocated stands in the status.
    const { addresses } = (entry.status ?? {}) as { addresses?: unknown };
    if (Array.isArray(addresses) && addresses.length > 0) continue;
    for (const [i, port] of entry.spec.ports.entries()) {
      const protocol = parseProtocol(port.protocol);
      // One that does not exist is a finding already (IST0106).
      if (!OPAQUE.has(protocol) || (protocol === 'Unsupported' && port.protocol !== '')) continue;
      context.report(
        'IST0134',
        entry,
        ['spec', 'ports', i, 'protocol'],
        `ServiceEntry addresses are required for port ${port.number} (${port.protocol || 'no protocol'}): ${taken(context, entry, port.number)} State the service's addresses in spec.addresses, or set protocol to TLS or HTTP if it is.`,
      );
    }
  }
}

/** SP1010: target ports of an entry whose names are not looked up, where an older one of its namespace has the host: calls go to the port that was dialled. */
export function lostTargetPorts(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    const { hosts, ports, resolution } = entry.spec;
    if (!entry.valid || resolution !== 'NONE') continue;
    for (const [i, { number, targetPort }] of ports.entries()) {
      if (!targetPort || targetPort === number) continue;
      const older = hosts.map((host) => olderWithout(context, entry, host.toLowerCase(), number)).find((first) => first !== undefined);
      if (!older) continue;
      context.report(
        'SP1010',
        entry,
        ['spec', 'ports', i, 'targetPort'],
        `targetPort ${targetPort} has no effect: ${resourceText(older.resource)} is older and declares ${older.hostname} too, and of such entries with resolution NONE the target ports of the oldest count. Calls go to port ${number}. Declare the port there.`,
      );
    }
  }
}

/** What declares the host first, if the entry adds the port to it. */
function olderWithout({ registry }: Context, entry: ResourceOf<'ServiceEntry'>, host: string, number: number): Service | undefined {
  const { namespace } = entry.metadata;
  const first = registry.firstOf(host).find((service) => service.namespace === namespace);
  const own = registry
    .declaring(host, namespace)
    .find(({ resource, ports }) => resource === entry && ports.some((port) => port.number === number));
  const isTaken = first?.ports.some((port) => port.number === number) ?? true;
  return first && own && !isTaken && first.resource !== entry && joinable(first, own) ? first : undefined;
}

/** Whether clients come to the addresses that the mesh allocates: where a cluster is known, its pods say so themselves. */
function clientsAskMesh({ mesh, snapshot, of }: Context): boolean {
  if (!isOn(mesh.defaultConfig?.proxyMetadata?.[DNS_CAPTURE])) return false;
  if (!snapshot.complete) return true;
  const clients = of('Pod').filter(({ spec }) => proxyContainer(spec) && spec.containers.some(({ name }) => name !== PROXY_CONTAINER));
  return clients.every(({ spec }) => capturesDns(spec));
}

/** What becomes of connections to a TCP port without addresses: where something else makes sidecars look for HTTP there, requests go their own way. */
function taken(context: Context, entry: ResourceOf<'ServiceEntry'>, port: number): string {
  const hosts = entry.spec.hosts.join(', ');
  const http = context.registry.services.find(
    ({ resource, ports }) => resource !== entry && ports.some(({ number, protocol }) => number === port && isHttp(protocol)),
  );
  if (!http) return `without them every connection to port ${port}, whatever its address, is taken for ${hosts}.`;
  const unknown =
    context.mesh.outboundTrafficPolicy.mode === 'REGISTRY_ONLY' ? 'are refused (502)' : 'leave for the address that was called';
  return `without them every connection to port ${port} that is not HTTP, whatever its address, is taken for ${hosts}. Requests are not: ${http.hostname} makes sidecars read HTTP on the port, and those for hosts that no HTTP port ${port} declares ${unknown}.`;
}

interface DeclaredPort {
  readonly entry: ResourceOf<'ServiceEntry'>;
  readonly index: number;
  readonly protocol: string;
  /** The namespaces that see it: names or `*`. */
  readonly sees: ReadonlySet<string>;
}

/** IST0177: two ServiceEntries that some namespace sees together give one host and port different protocols. */
export function conflictingServiceEntryProtocols(context: Context): void {
  const declared = new Map<string, DeclaredPort[]>();
  for (const entry of context.of('ServiceEntry')) {
    // What is wrong with one that is not in force is a finding already.
    if (!entry.valid) continue;
    const { hosts, ports, exportTo } = entry.spec;
    const { namespace } = entry.metadata;
    const visibility = visibilityOf(exportTo, context.mesh.defaultServiceExportTo);
    const sees = visibility.has('.') ? new Set([...visibility].map((name) => (name === '.' ? namespace : name))) : visibility;
    for (const [index, { number, protocol }] of ports.entries()) {
      for (const host of hosts) {
        const key = `${host.toLowerCase()}:${number}`;
        const port = { entry, index, protocol: protocol.toUpperCase(), sees };
        const list = declared.get(key);
        if (list) list.push(port);
        else declared.set(key, [port]);
      }
    }
  }
  for (const [hostPort, list] of declared) {
    if (list.every(({ protocol }) => protocol === list[0]!.protocol)) continue;
    for (const port of list) {
      const other = list.find(({ protocol, sees }) => protocol !== port.protocol && seenTogether(sees, port.sees));
      if (!other) continue;
      const name = `${other.entry.metadata.namespace}/${other.entry.metadata.name}`;
      const written = ({ protocol }: DeclaredPort) => protocol || 'of no protocol';
      context.report(
        'IST0177',
        port.entry,
        ['spec', 'ports', port.index, 'protocol'],
        `${hostPort} is ${written(port)} here and ${written(other)} in ServiceEntry ${name}: the older one's protocol counts, and the other's clients fail. Give both the same protocol.`,
      );
    }
  }
}

function seenTogether(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.has('~') || b.has('~')) return false;
  return a.has('*') || b.has('*') || [...a].some((name) => b.has(name));
}
