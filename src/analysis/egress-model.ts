/** What the egress analyzers share: which Gateways are for egress, and where the sidecars send a host's ports. */
import type { ResourceOf } from '../api/index.ts';
import { fullHostname, hostCovers, isWildcard } from '../lib/hostname.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import { gatewayPods } from './analyzers/gateway.ts';
import { type Context, matchesLabels } from './context.ts';

export type VirtualService = ResourceOf<'VirtualService'>;
export type Gateway = ResourceOf<'Gateway'>;

/** Which routes of a VirtualService concern a port: by what its bytes can tell. */
export function routeKind(port: ServicePort): 'http' | 'tls' | 'tcp' {
  switch (port.protocol) {
    case 'HTTP':
    case 'HTTP2':
    case 'GRPC':
    case 'GRPC-Web':
      return 'http';
    case 'HTTPS':
    case 'TLS':
      return 'tls';
    default:
      return 'tcp';
  }
}

/** Services in front of the pods of Gateways: by pods where the files have them, else by equal labels. */
export function gatewayServices(context: Context): Map<string, Gateway[]> {
  const services = new Map<string, Gateway[]>();
  for (const gateway of context.of('Gateway')) {
    if (Object.keys(gateway.spec.selector).length === 0) continue;
    const pods = gatewayPods(context, gateway);
    for (const service of context.registry.services) {
      if (service.registry !== 'Kubernetes' || Object.keys(service.selector).length === 0) continue;
      const fronts =
        matchesLabels(gateway.spec.selector, service.selector) ||
        pods.some((pod) => pod.namespace === service.namespace && matchesLabels(service.selector, pod.labels));
      if (fronts) services.set(service.hostname, [...(services.get(service.hostname) ?? []), gateway]);
    }
  }
  return services;
}

/** External services: what leaves the mesh. */
export function externalServices(context: Context): Service[] {
  return context.registry.services.filter((service) => service.registry === 'External' && service.meshExternal);
}

export type FindMeshVirtualService = (hostname: string, sees: (virtualService: VirtualService) => boolean) => VirtualService | undefined;

/** Finds the VirtualService that sidecars follow for a host: the most specific host, then the oldest. Indexed once. */
export function meshVirtualServices(context: Context): FindMeshVirtualService {
  const exact = new Map<string, VirtualService[]>();
  const wildcards: { readonly host: string; readonly virtualService: VirtualService }[] = [];
  for (const virtualService of context.of('VirtualService')) {
    if (!onMesh(virtualService)) continue;
    for (const written of virtualService.spec.hosts) {
      const host = fullHostname(written, virtualService.metadata.namespace).toLowerCase();
      if (isWildcard(host)) wildcards.push({ host, virtualService });
      else exact.set(host, [...(exact.get(host) ?? []), virtualService]);
    }
  }
  wildcards.sort((a, b) => b.host.length - a.host.length || a.virtualService.order - b.virtualService.order);
  return (hostname, sees) =>
    exact.get(hostname)?.find(sees) ??
    wildcards.find(({ host, virtualService }) => hostCovers(host, hostname) && sees(virtualService))?.virtualService;
}

/** Whether any rule is for sidecars: the object's gateways name `mesh`. */
export function onMesh(virtualService: VirtualService): boolean {
  return virtualService.spec.gateways.includes('mesh');
}

/** Where sidecars send calls to `port` of a host that this VirtualService routes: hosts of the first rule that concerns them, or undefined. */
export function meshDestinations(virtualService: VirtualService, port: ServicePort): string[] | undefined {
  const { namespace } = virtualService.metadata;
  const rules: readonly {
    readonly match: readonly { readonly gateways: readonly string[]; readonly port?: number }[];
    readonly route: readonly { readonly destination: { readonly host: string } }[];
  }[] = virtualService.spec[routeKind(port)];
  for (const rule of rules) {
    const concerned =
      rule.match.length === 0 ||
      rule.match.some(
        (match) => (match.gateways.length === 0 || match.gateways.includes('mesh')) && (!match.port || match.port === port.number),
      );
    if (concerned) return rule.route.map((target) => fullHostname(target.destination.host, namespace).toLowerCase());
  }
  return undefined;
}

/** Gateways with a server that takes this host and port, `*` alone not counted: those that somebody made for it. */
export function gatewaysFor(context: Context, hostname: string): Gateway[] {
  return context.of('Gateway').filter((gateway) =>
    gateway.spec.servers.some((server) =>
      server.hosts.some((host) => {
        const name = host.slice(host.indexOf('/') + 1).toLowerCase();
        return name !== '*' && hostCovers(name, hostname);
      }),
    ),
  );
}
