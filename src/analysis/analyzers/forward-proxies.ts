import { type ForwardProxy, THROUGH } from '../../api/through.ts';
import { proxyProblem, throughFor, throughRefusal } from '../../registry/forward-proxy.ts';
import type { Context } from '../context.ts';

/** SP1059: hosts that are to be reached through a forward proxy, and can not. */
export function forwardProxies(context: Context): void {
  const { registry, mesh } = context;
  for (const service of registry.services) {
    const through = throughFor(service, mesh);
    if (through === 'direct') continue;
    const why = throughRefusal(service, through, false) ?? (through === 'malformed' ? undefined : unusable(context, through));
    if (why === undefined) continue;
    const { resource } = service;
    const path = Object.hasOwn(resource.metadata.annotations, THROUGH) ? ['metadata', 'annotations', THROUGH] : ['spec', 'hosts'];
    context.report('SP1059', resource, path, `Calls to ${service.hostname} are refused (503): ${why}.`);
  }
}

/** Whether each workload sees the proxy is for translation to say. */
function unusable({ services, mesh }: Context, proxy: ForwardProxy): string | undefined {
  const known = services.at(proxy.host);
  if (known.length === 0) return `nothing declares the forward proxy ${proxy.host}: add a ServiceEntry for it with port ${proxy.port}`;
  const problem = known.map((service) => proxyProblem(proxy, service, mesh));
  return problem.includes(undefined) ? undefined : `the forward proxy ${proxy.host}:${proxy.port} ${problem[0]}`;
}
