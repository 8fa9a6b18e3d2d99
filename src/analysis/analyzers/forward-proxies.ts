import { resourceText } from '../../api/resource.ts';
import { type ForwardProxy, THROUGH, type Through } from '../../api/through.ts';
import { proxyProblem, throughFor, throughRefusal } from '../../registry/forward-proxy.ts';
import type { Service } from '../../registry/model.ts';
import { rivalryOf } from '../../registry/rivals.ts';
import type { Context } from '../context.ts';

/** SP1059: hosts that are to be reached through a forward proxy, and can not. */
export function forwardProxies(context: Context): void {
  unusable(context);
  overruled(context);
}

function unusable(context: Context): void {
  const { registry, mesh } = context;
  for (const service of registry.services) {
    const through = throughFor(service, mesh);
    if (through === 'direct') continue;
    const why = throughRefusal(service, through, false) ?? (through === 'malformed' ? undefined : problemOf(context, through));
    if (why === undefined) continue;
    const { resource } = service;
    const path = Object.hasOwn(resource.metadata.annotations, THROUGH) ? ['metadata', 'annotations', THROUGH] : ['spec', 'hosts'];
    context.report('SP1059', resource, path, `Calls to ${service.hostname} are refused (503): ${why}.`);
  }
}

/** Whether each workload sees the proxy is for translation to say. */
function problemOf({ services, mesh }: Context, proxy: ForwardProxy): string | undefined {
  const known = services.at(proxy.host);
  if (known.length === 0) return `nothing declares the forward proxy ${proxy.host}: add a ServiceEntry for it with port ${proxy.port}`;
  const problem = known.map((service) => proxyProblem(proxy, service, mesh));
  return problem.includes(undefined) ? undefined : `the forward proxy ${proxy.host}:${proxy.port} ${problem[0]}`;
}

/** A forward proxy that an object asks for, on a port for which another object of the same host counts. */
function overruled(context: Context): void {
  const { registry, mesh, services } = context;
  for (const repeat of registry.repeats) {
    for (const winner of services.at(repeat.hostname)) {
      const ports = winner.namespace === repeat.namespace ? repeat.ports.filter(({ number }) => declares(winner, number)) : [];
      const { first, second, met } = rivalryOf(winner, repeat);
      if (ports.length === 0 || met === 'nowhere' || !Object.hasOwn(second.resource.metadata.annotations, THROUGH)) continue;
      const [asked, counts] = [throughFor(second, mesh), throughFor(first, mesh)];
      if (asked === 'direct' || wayText(asked) === wayText(counts)) continue;
      const where = met === 'somewhere' ? 'where both are seen, ' : '';
      const message =
        `Calls to port ${ports.map(({ number }) => number).join(', ')} of ${second.hostname} do not go as ${THROUGH} says here: ${where}` +
        `${resourceText(first.resource)} counts for it (SP1018), and they go ${wayText(counts)}. Declare the port in one object, or give both this annotation.`;
      context.report('SP1059', second.resource, ['metadata', 'annotations', THROUGH], message);
    }
  }
}

function declares({ ports }: Service, number: number): boolean {
  return ports.some((port) => port.number === number);
}

function wayText(through: Through): string {
  if (through === 'direct') return 'straight to the host';
  return through === 'malformed' ? 'nowhere' : `through ${through.host}:${through.port}`;
}
