/** For a refused call: what nearly allowed it, and a resource that would. */
import { isIp } from '../lib/ip.ts';
import { closest } from '../lib/spelling.ts';
import type { CallTarget } from '../simulate/call.ts';
import type { SimulatedProxy } from '../simulate/proxy.ts';
import type { Trace } from '../simulate/trace.ts';
import type { SimulatedFiles } from './simulated.ts';

export interface Advice {
  readonly nearMisses: readonly string[];
  /** YAML that allows this call and no other host, or undefined where no resource is missing. */
  readonly allow: string | undefined;
}

/** Undefined for a call that got through. */
export function adviseOn(files: SimulatedFiles, from: SimulatedProxy | undefined, target: CallTarget, trace: Trace): Advice | undefined {
  if (trace.outcome.kind === 'upstream') return undefined;
  const refused = trace.outcome.kind === 'closed' || (trace.outcome.kind === 'reply' && trace.outcome.status >= 400);
  if (!refused || !from) return undefined;
  const host = target.payload.http?.authority.replace(/:\d+$/, '') || target.payload.tls?.serverName || target.host;
  const namespace = from.name.slice(0, from.name.indexOf('/'));
  const nearMisses = misses(files, host, target.port, namespace, trace);
  const declared = files.mesh.registry.lookup(host, namespace)?.ports.some(({ number }) => number === target.port) ?? false;
  return { nearMisses, allow: declared ? undefined : serviceEntry(host, target, namespace) };
}

function misses(files: SimulatedFiles, host: string, port: number, namespace: string, trace: Trace): string[] {
  const { registry } = files.mesh;
  const out: string[] = [];
  const service = registry.lookup(host, namespace);
  if (service && !service.ports.some(({ number }) => number === port)) {
    out.push(
      `Nearest miss: ${origin(service)} declares ${host} for port ${service.ports.map(({ number }) => number).join(', ')}, and the call is to port ${port}.`,
    );
  }
  if (!service) {
    const hidden = registry.services.find(({ hostname }) => hostname === host);
    if (hidden) out.push(`Nearest miss: ${origin(hidden)} declares ${host}, but its exportTo hides it from namespace ${namespace}.`);
    const near = closest(
      host,
      registry.visibleTo(namespace).map(({ hostname }) => hostname),
    );
    if (!hidden && near) out.push(`Nearest miss: ${origin(registry.lookup(near, namespace)!)} declares ${near}.`);
  }
  const last = trace.hops.at(-1);
  if (last?.flag === 'NR' && trace.hops.length > 1) {
    const routes = files.mesh.snapshot.list('VirtualService').filter(({ spec }) => spec.hosts.includes(host));
    for (const { metadata, spec } of routes) {
      const gateways = spec.gateways.filter((name) => name !== 'mesh');
      out.push(
        gateways.length > 0
          ? `Nearest miss: VirtualService ${metadata.namespace}/${metadata.name} is bound to ${gateways.join(', ')}; its routes there do not match this call (gateways, port, or path).`
          : `Nearest miss: VirtualService ${metadata.namespace}/${metadata.name} has routes for ${host}, but is bound to no gateway.`,
      );
    }
  }
  return out;
}

function origin({ resource, namespace }: { resource: { kind: string; metadata: { name: string } }; namespace: string }): string {
  return `${resource.kind} ${namespace}/${resource.metadata.name}`;
}

function serviceEntry(host: string, { port, payload }: CallTarget, namespace: string): string {
  const isAddress = isIp(host);
  const protocol = payload.tls ? 'TLS' : payload.http ? 'HTTP' : 'TCP';
  const name = host.replace(/[^a-z0-9]+/gi, '-').toLowerCase();
  const addresses = isAddress ? `  addresses: [${host}]\n` : '';
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${isAddress ? `address-${name}` : name}, namespace: ${namespace}}
spec:
  hosts: [${isAddress ? `address-${name}.external` : host}]
${addresses}  location: MESH_EXTERNAL
  resolution: ${isAddress ? 'NONE' : 'DNS'}
  exportTo: ['.']
  ports:
  - {number: ${port}, name: ${protocol.toLowerCase()}-${port}, protocol: ${protocol}}
`;
}
