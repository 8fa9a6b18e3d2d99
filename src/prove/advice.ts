/** For a refused call: what nearly allowed it, and what would. */
import { placeText } from '../api/resource.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { closest } from '../lib/spelling.ts';
import type { CallTarget } from '../simulate/call.ts';
import type { Trace } from '../simulate/trace.ts';
import { scopeFor } from '../translate/scope.ts';
import { allowing, type ErrorsOf } from './allow.ts';
import { calledHost } from './candidates.ts';
import type { SimulatedFiles } from './simulated.ts';
import type { Caller, Way } from './way.ts';

export interface Advice {
  readonly nearMisses: readonly string[];
  /** YAML that was proved to allow this call and to open nothing but its host and port; undefined where nothing was found that does. */
  readonly allow: string | undefined;
  /** Why there is none, a sentence each; empty where there is one. */
  readonly whyNot: readonly string[];
}

/** Undefined for a call that got through, and where nobody of the mesh makes it. */
export function adviseOn(files: SimulatedFiles, way: Way, target: CallTarget, caller: Caller, errorsOf: ErrorsOf): Advice | undefined {
  const { outcome } = way.trace;
  const refused = outcome.kind === 'closed' || (outcome.kind === 'reply' && outcome.status >= 400);
  const sidecar = files.proxies.find(({ type, namespace, name }) => type === 'sidecar' && `${namespace}/${name}` === way.from);
  if (!refused || !sidecar) return undefined;
  const nearMisses = misses(files, calledHost(target), target.port, sidecar, way.trace);
  return { nearMisses, ...allowing(files, way, target, caller, errorsOf) };
}

function misses(files: SimulatedFiles, host: string, port: number, sidecar: ProxyIdentity, trace: Trace): string[] {
  const { registry } = files.mesh;
  const { namespace } = sidecar;
  const out: string[] = [];
  const service = registry.lookup(host, namespace);
  if (service && !service.ports.some(({ number }) => number === port)) {
    out.push(
      `Nearest miss: ${origin(service)} declares ${host} for port ${service.ports.map(({ number }) => number).join(', ')}, and the call is to port ${port}.`,
    );
  }
  const scope = scopeFor(sidecar, files.mesh);
  if (service && scope.sidecar && !scope.services.some(({ hostname }) => hostname === service.hostname)) {
    out.push(
      `Nearest miss: ${origin(service)} declares ${host}, but ${placeText(scope.sidecar)} does not import it: add ${service.namespace}/${service.hostname} to the hosts of its egress.`,
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
