import type { ResourceOf } from '../../api/index.ts';
import { resourceText } from '../../api/resource.ts';
import { hostsOverlap } from '../../lib/hostname.ts';
import type { Service } from '../../registry/model.ts';
import { sidecarImport } from '../../registry/sidecar-import.ts';
import { isVisible } from '../../registry/visibility.ts';
import { possibleCallers, workloadsOf } from '../callers.ts';
import type { Context } from '../context.ts';

/** SP1041: hosts that a Sidecar imports from a namespace that does not have them, while another one does. */
export function sidecarImports(context: Context): void {
  for (const sidecar of context.of('Sidecar')) {
    const { namespace } = sidecar.metadata;
    for (const [i, { hosts, port }] of sidecar.spec.egress.entries()) {
      if (port?.number && port.protocol.toUpperCase() !== HTTP_PROXY) listenerWithoutPort(context, sidecar, i, port.number);
      for (const [j, text] of hosts.entries()) {
        const { host, takes } = sidecarImport(text, namespace);
        // What is taken out of other imports imports nothing by itself.
        if (host === '*' || takes('*') || text.startsWith('~')) continue;
        const seen = context.services
          .overlapping(host)
          .filter((service) => hostsOverlap(host, service.hostname) && isVisible(service.exportTo, service.namespace, namespace));
        if (seen.length === 0 || seen.some((service) => takes(service.namespace))) continue;
        // It may be there for the rules of a namespace that does not declare the host.
        if (context.routedHosts.overlapping(host).some(({ virtualService }) => takes(virtualService.metadata.namespace))) continue;
        const { resource, namespace: owner, hostname } = seen[0]!;
        context.report(
          'SP1041',
          sidecar,
          ['spec', 'egress', i, 'hosts', j],
          `${text} imports nothing: ${host} is declared by ${resourceText(resource)}, of namespace ${owner}. Calls to it go as to an unknown host (refused under REGISTRY_ONLY, else straight out past every route). Write ${owner}/${hostname}.`,
          { from: text, to: `${owner}/${hostname}` },
        );
      }
    }
  }
}

/** Such a listener serves hosts by their names, whatever their ports. */
const HTTP_PROXY = 'HTTP_PROXY';

/** A listener with a port has the hosts that have this port, and no others. */
function listenerWithoutPort(context: Context, sidecar: ResourceOf<'Sidecar'>, i: number, number: number): void {
  const { namespace } = sidecar.metadata;
  const imports = sidecar.spec.egress[i]!.hosts.map((text) => sidecarImport(text, namespace));
  const taken = context.registry.services.filter(
    (service) =>
      isVisible(service.exportTo, service.namespace, namespace) &&
      imports.some(({ host, takes }) => takes(service.namespace) && (host === '*' || hostsOverlap(host, service.hostname))),
  );
  if (taken.length === 0 || taken.some(({ ports }) => ports.some((port) => port.number === number))) return;
  const known = [...new Set(taken.flatMap(({ ports }) => ports.map((port) => port.number)))].sort((a, b) => a - b).join(', ');
  context.report(
    'SP1041',
    sidecar,
    ['spec', 'egress', i, 'port', 'number'],
    `A listener with a port takes of its hosts those that have this port, and none has ${number} (they have ${known}): it imports nothing. Calls to them go as to unknown hosts (refused under REGISTRY_ONLY, else straight out past every route), unless another listener imports them. Write the port that is called, or leave port out.`,
  );
}

/** SP1042: a port of a host that workloads do not see because they follow another declaration of the host, which lacks it. */
export function hiddenPorts(context: Context): void {
  const byHost = Map.groupBy(
    context.registry.services.filter(({ registry }) => registry === 'External'),
    ({ hostname }) => hostname,
  );
  for (const [hostname, services] of byHost) {
    if (services.length < 2 || new Set(services.map(({ namespace }) => namespace)).size < 2) continue;
    for (const namespace of namespacesOf(context, services)) {
      const followed = context.registry.lookup(hostname, namespace);
      if (!followed) continue;
      for (const other of services) {
        if (other.namespace === followed.namespace || !isVisible(other.exportTo, other.namespace, namespace)) continue;
        const lost = other.ports.filter(({ number }) => !followed.ports.some((port) => port.number === number));
        if (lost.length === 0) continue;
        const numbers = lost.map(({ number }) => number).join(', ');
        const why = followed.namespace === namespace ? "which is the namespace's own" : 'which comes first';
        context.report(
          'SP1042',
          followed.resource,
          ['spec', 'ports'],
          `Workloads in ${namespace} follow this declaration of ${hostname} (${why}) and not ${resourceText(other.resource)}, which alone has port ${numbers}: there, calls to port ${numbers} go as to an unknown host (refused under REGISTRY_ONLY, else straight out past every route). Declare port ${numbers} here too, or show ${namespace} only one of the two (exportTo).`,
        );
      }
    }
  }
}

/** Where calls come from: the namespaces of workloads, and in files without any those of the declarations, save where gateways alone run. */
function namespacesOf(context: Context, services: readonly Service[]): string[] {
  const workloads = workloadsOf(context);
  if (workloads.length > 0) return [...new Set(workloads.map(({ namespace }) => namespace))].sort();
  const possible = new Set(possibleCallers(context).map(({ namespace }) => namespace));
  return [...new Set(services.map(({ namespace }) => namespace))].filter((name) => possible.has(name)).sort();
}
