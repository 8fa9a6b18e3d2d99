/** The routes of a sidecar's outbound side: one configuration for each port on which something speaks HTTP. */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf } from '../../api/index.ts';
import type { Resource } from '../../api/resource.ts';
import { HostIndex } from '../../lib/host-index.ts';
import { hostCovers, isWildcard } from '../../lib/hostname.ts';
import { once } from '../../lib/once.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { isHttp } from '../../registry/protocol.ts';
import { type Route, type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import type { TranslateContext } from '../context.ts';
import type { WantedRoutes } from '../listeners/outbound.ts';
import { metadataOf } from '../metadata.ts';
import { BLACK_HOLE_CLUSTER, MESH_GATEWAY, outboundClusterName } from '../names.ts';
import { catchAllHost, serviceRoute } from './defaults.ts';
import { asDomain, serviceDomains } from './domains.ts';
import { consistentHash } from './hash-policy.ts';
import { virtualHostOf } from './virtual-host.ts';
import { hasRoutes, virtualServiceRoutes } from './virtual-service.ts';

type VirtualServiceResource = ResourceOf<'VirtualService'>;

/** `unknownTraffic` is the cluster that takes what nobody declares. */
export function sidecarRoutes(context: TranslateContext, name: string, wanted: WantedRoutes, unknownTraffic: string): RouteConfiguration {
  const hosts = new Hosts(context, wanted.port);
  for (const each of guardedRoutes(context, wanted)) hosts.add(each);
  const virtualHosts = hosts.sorted();
  const mine = wanted.only ? onlyFor(virtualHosts, wanted.only, name) : virtualHosts;
  if (!wanted.only) mine.push(catchAllHost(unknownTraffic === BLACK_HOLE_CLUSTER ? undefined : unknownTraffic));
  return create(RouteConfigurationSchema, {
    name,
    virtualHosts: mine,
    validateClusters: false,
    maxDirectResponseBodySizeBytes: MAX_BODY_BYTES,
    ignorePortInHostMatching: true,
  });
}

/** What Istio allows the body of a direct response to have; Envoy's default is 4 KiB. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** Routes and the hosts that they are for. */
interface Guarded {
  readonly services: readonly Service[];
  /** Hosts that no service has. */
  readonly otherHosts: readonly string[];
  readonly routes: () => Route[];
  readonly origins: readonly Resource[];
}

/** First those of VirtualServices, older first, then those of the services that none of them concerns. */
function guardedRoutes(context: TranslateContext, { port, egress }: WantedRoutes): Guarded[] {
  const services = new Map<string, Service>();
  for (const service of egress.services)
    if (portOf(service, port) && !services.has(service.hostname)) services.set(service.hostname, service);
  // On port 80 a VirtualService also routes hosts that nothing declares.
  const known = new HostIndex<Service>();
  for (const service of services.values()) known.add(service.hostname, service);
  const concerned = port === 80 ? egress.virtualServices : egress.virtualServices.filter((each) => concerns(each, known));
  // For each service the VirtualService whose host fits it best: several wildcards may cover a name.
  const owners = new HostIndex<VirtualServiceResource>();
  for (const each of egress.virtualServices) for (const host of each.spec.hosts) owners.add(host, each);
  const routing = { proxy: context.proxy, scope: context.scope, config: context.mesh.config, port, gateway: MESH_GATEWAY, tls: false };
  const result: Guarded[] = [];
  for (const virtualService of concerned) {
    if (!hasRoutes(routing, virtualService)) continue;
    const routes = once(() => virtualServiceRoutes(routing, virtualService));
    const { matching, otherHosts } = splitHosts(virtualService, services, owners);
    // Routes of the Kubernetes Gateway API are for services, and those of the client's namespace or of the service's own.
    if (virtualService.derivedFrom && !matching.some((service) => isMeshRoute(virtualService, service, context.proxy.namespace))) continue;
    const httpServices = matching.filter((service) => speaksHttp(portOf(service, port)!));
    if (httpServices.length === 0 && port !== 80) continue;
    result.push({ services: httpServices, otherHosts, routes, origins: [virtualService] });
  }
  for (const { services: routed } of result) for (const service of routed) services.delete(service.hostname);
  for (const service of services.values()) {
    if (service.resolution === 'Alias' || !speaksHttp(portOf(service, port)!)) continue;
    result.push({ services: [service], otherHosts: [], routes: () => [defaultRoute(context, service, port)], origins: [] });
  }
  return result;
}

function isMeshRoute({ metadata }: VirtualServiceResource, service: Service, client: string): boolean {
  return metadata.namespace === client || metadata.namespace === service.namespace;
}

function portOf(service: Service, number: number): ServicePort | undefined {
  return service.ports.find((port) => port.number === number);
}

function speaksHttp({ protocol }: ServicePort): boolean {
  return isHttp(protocol) || protocol === 'Unsupported';
}

function concerns({ spec }: VirtualServiceResource, services: HostIndex<Service>): boolean {
  return spec.hosts.some((host) => services.overlaps(host));
}

function splitHosts(
  virtualService: VirtualServiceResource,
  services: ReadonlyMap<string, Service>,
  owners: HostIndex<VirtualServiceResource>,
): { matching: Service[]; otherHosts: string[] } {
  const matching = new Set<Service>();
  const otherHosts: string[] = [];
  const { hosts } = virtualService.spec;
  for (const host of hosts.filter((each) => !isWildcard(each))) {
    const service = services.get(host);
    if (service) matching.add(service);
    else otherHosts.push(host);
  }
  for (const host of hosts.filter(isWildcard)) {
    const covered = [...services.values()].filter((service) => hostCovers(host, service.hostname));
    for (const service of covered) if (owners.covering(service.hostname)[0] === virtualService) matching.add(service);
    if (covered.length === 0) otherHosts.push(host);
  }
  return { matching: [...matching], otherHosts };
}

function defaultRoute({ scope, mesh }: TranslateContext, service: Service, port: number): Route {
  const hash = consistentHash(scope, service.hostname, undefined, port);
  const cluster = outboundClusterName(service.hostname, port);
  return serviceRoute(mesh.config, cluster, `${service.hostname}:${port}/*`, hash, service.resource);
}

/** Puts virtual hosts together so that no name and no domain is there twice: the first that claims one has it. */
class Hosts {
  private readonly context: TranslateContext;
  private readonly port: number;
  private readonly hosts: VirtualHost[] = [];
  private readonly names = new Set<string>();
  private readonly domains = new Set<string>();
  private readonly hostnames: ReadonlySet<string>;

  constructor(context: TranslateContext, port: number) {
    this.context = context;
    this.port = port;
    this.hostnames = new Set(context.scope.services.map((service) => service.hostname));
  }

  add({ services, otherHosts, routes, origins }: Guarded): void {
    for (const host of otherHosts) this.put(host, [asDomain(host)], routes, origins);
    for (const service of services) {
      const { domains, alternatives } = serviceDomains(service, this.context.proxy.namespace);
      const free = domains.filter((domain) => !(alternatives.has(domain) && this.hostnames.has(domain)));
      this.put(service.hostname, free, routes, [...origins, service.resource]);
    }
  }

  private put(host: string, wanted: readonly string[], routes: () => Route[], origins: readonly Resource[]): void {
    const name = `${asDomain(host)}:${this.port}`;
    if (this.names.has(name)) return;
    this.names.add(name);
    const domains = wanted.filter((domain) => {
      const key = domain.toLowerCase();
      if (this.domains.has(key)) return false;
      this.domains.add(key);
      return true;
    });
    if (domains.length === 0) return;
    this.hosts.push(virtualHostOf({ name, domains, includeRequestAttemptCount: true, metadata: metadataOf({ origins }) }, routes));
  }

  sorted(): VirtualHost[] {
    return this.hosts.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
}

/** The listener's address has told the service: whatever the Host says, its routes count. */
function onlyFor(virtualHosts: readonly VirtualHost[], service: Service, name: string): VirtualHost[] {
  const mine = virtualHosts.filter((host) => host.name === name || host.domains.includes(service.hostname));
  return mine.slice(0, 1).map((host) => create(VirtualHostSchema, { ...host, domains: ['*'] }));
}
