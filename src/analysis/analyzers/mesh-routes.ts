import type { ParentReference } from '../../api/gateway-api/common.ts';
import { fullHostname } from '../../lib/hostname.ts';
import type { Context } from '../context.ts';

/** SP1010: hostnames of routes that are attached to Services and ServiceEntries alone. */
export function meshHostnames(context: Context): void {
  for (const kind of ['HTTPRoute', 'GRPCRoute'] as const) {
    for (const route of context.of(kind)) {
      const { hostnames, parentRefs } = route.spec;
      if (hostnames.length === 0 || parentRefs.length === 0) continue;
      const called = parentRefs.map((parent) => hostsOf(context, parent, route.metadata.namespace));
      if (called.some((hosts) => hosts === undefined)) continue;
      const hosts = new Set(called.flatMap((each) => [...each!]));
      const others = hostnames.filter((hostname) => !hosts.has(hostname.toLowerCase()));
      if (others.length === 0) continue;
      context.report(
        'SP1010',
        route,
        ['spec', 'hostnames'],
        `hostnames have no effect at a Service or ServiceEntry: this route holds for all calls to ${[...hosts].join(', ') || 'it'}, and for none to ${others.join(', ')}. Take them out; for calls to ${others.length > 1 ? 'those names' : 'that name'} attach a route to the ServiceEntry that declares ${others.length > 1 ? 'them' : 'it'}.`,
      );
    }
  }
}

/** The hosts that a parent stands for on the mesh; undefined for a Gateway. */
function hostsOf(context: Context, { kind, name, namespace }: ParentReference, own: string): readonly string[] | undefined {
  const owner = namespace ?? own;
  if (kind === 'Service') return [fullHostname(name, owner)];
  if (kind !== 'ServiceEntry') return undefined;
  return (context.find('ServiceEntry', owner, name)?.spec.hosts ?? []).map((host) => host.toLowerCase());
}
