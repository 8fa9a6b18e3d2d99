/** The routes of a sidecar's outbound side: one configuration for each port on which something speaks HTTP. */
import { create } from '@bufbuild/protobuf';
import type { MeshConfig, ResourceOf } from '../../api/index.ts';
import type { Resource } from '../../api/resource.ts';
import { HostIndex } from '../../lib/host-index.ts';
import { hostCovers, isWildcard } from '../../lib/hostname.ts';
import { type Key, Memo, NO_INPUTS } from '../../lib/memo.ts';
import { once } from '../../lib/once.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { isHttp } from '../../registry/protocol.ts';
import { type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import type { TranslateContext } from '../context.ts';
import type { WantedRoutes } from '../listeners/outbound.ts';
import { metadataOf } from '../metadata.ts';
import { BLACK_HOLE_CLUSTER, MESH_GATEWAY, outboundClusterName } from '../names.ts';
import type { EgressScope } from '../scope.ts';
import { onDeclaredPorts } from './declared-ports.ts';
import { catchAllHost, serviceRoute } from './defaults.ts';
import { asDomain, type ServiceDomains, serviceDomains } from './domains.ts';
import { consistentHash } from './hash-policy.ts';
import { type LazyRoutes, routesOf } from './kept.ts';
import { virtualHostOf } from './virtual-host.ts';

type VirtualServiceResource = ResourceOf<'VirtualService'>;

/** Builds the route configurations of one sidecar. `unknownTraffic` is the cluster that takes what nobody declares. */
export function sidecarRoutes(
  context: TranslateContext,
  unknownTraffic: string,
): (name: string, wanted: WantedRoutes) => RouteConfiguration {
  // Many listeners on addresses of their own may ask for the routes of one port.
  const ofPorts = new Memo<readonly VirtualHost[]>();
  const { config } = context.mesh;
  const unknown = unknownTraffic === BLACK_HOLE_CLUSTER ? undefined : unknownTraffic;
  return (name, wanted) => {
    const { port } = wanted;
    const egress = context.scope.egress[wanted.egress]!;
    const hosts = ofPorts.get([egress, port], NO_INPUTS, () => virtualHosts(context, port, egress));
    const mine = wanted.only
      ? onlyFor(hosts, wanted.only, name)
      : [...hosts, kept.catchAll.get([config, unknown ?? ''], NO_INPUTS, () => catchAllHost(unknown))];
    return routeConfiguration(name, mine);
  };
}

const kept = {
  configurations: new Memo<RouteConfiguration>(),
  catchAll: new Memo<VirtualHost>(),
  hosts: new Memo<VirtualHost>(),
  only: new Memo<VirtualHost>(),
  defaults: new Memo<LazyRoutes>(),
  ofPort: new Memo<PortServices>(),
  hostnames: new Memo<ReadonlySet<string>>(),
  domains: new Memo<ServiceDomains>(),
};

/** The same message for the same hosts. */
export function routeConfiguration(name: string, virtualHosts: readonly VirtualHost[]): RouteConfiguration {
  const build = () =>
    create(RouteConfigurationSchema, {
      name,
      virtualHosts: [...virtualHosts],
      validateClusters: false,
      maxDirectResponseBodySizeBytes: MAX_BODY_BYTES,
      ignorePortInHostMatching: true,
    });
  const [first] = virtualHosts;
  return first ? kept.configurations.get([first], [name, ...virtualHosts], build) : build();
}

function virtualHosts(context: TranslateContext, port: number, egress: EgressScope): readonly VirtualHost[] {
  const hosts = new Hosts(context, port);
  for (const each of guardedRoutes(context, port, egress)) hosts.add(each);
  return hosts.sorted();
}

/** What Istio allows the body of a direct response to have; Envoy's default is 4 KiB. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** Routes and the hosts that they are for. */
interface Guarded {
  readonly services: readonly Service[];
  /** Hosts that no service has. */
  readonly otherHosts: readonly string[];
  readonly routes: LazyRoutes;
  readonly origins: readonly Resource[];
}

/** The services of an egress entry that have a port. */
interface PortServices {
  /** Of several with one hostname the first. */
  readonly byHostname: ReadonlyMap<string, Service>;
  /** Whether one of them has a host in common with this one. */
  readonly overlaps: (host: string) => boolean;
}

function portServices(services: readonly Service[], port: number): PortServices {
  const byHostname = new Map<string, Service>();
  for (const service of services) if (portOf(service, port) && !byHostname.has(service.hostname)) byHostname.set(service.hostname, service);
  const index = once(() => {
    const known = new HostIndex<Service>();
    for (const service of byHostname.values()) known.add(service.hostname, service);
    return known;
  });
  return { byHostname, overlaps: (host) => byHostname.has(host) || index().overlaps(host) };
}

/** First those of VirtualServices, older first, then those of the services that none of them concerns. */
function guardedRoutes(context: TranslateContext, port: number, egress: EgressScope): Guarded[] {
  const services = kept.ofPort.get([egress.services, port], NO_INPUTS, () => portServices(egress.services, port));
  // On port 80 a VirtualService also routes hosts that nothing declares.
  const concerned = port === 80 ? egress.virtualServices : egress.virtualServices.filter((each) => concerns(each, services));
  // For each service the VirtualService whose host fits it best: several wildcards may cover a name.
  const owners = once(() => {
    const index = new HostIndex<VirtualServiceResource>();
    for (const each of egress.virtualServices) for (const host of each.spec.hosts) index.add(host, each);
    return index;
  });
  const { proxy, scope, mesh } = context;
  const routing = { proxy, destinations: scope, config: mesh.config, port, gateway: MESH_GATEWAY, tls: false };
  const result: Guarded[] = [];
  const routed = new Set<string>();
  for (const virtualService of concerned) {
    const routes = routesOf(routing, virtualService);
    if (!routes) continue;
    const { matching, otherHosts } = splitHosts(virtualService, services.byHostname, owners);
    // Routes of the Kubernetes Gateway API are for services, and those of the client's namespace or of the service's own.
    if (virtualService.derivedFrom && !matching.some((service) => isMeshRoute(virtualService, service, proxy.namespace))) continue;
    const httpServices = matching.filter((service) => speaksHttp(portOf(service, port)!));
    if (httpServices.length === 0 && port !== 80) continue;
    result.push({ services: httpServices, otherHosts, routes, origins: [virtualService] });
    for (const service of httpServices) routed.add(service.hostname);
  }
  for (const service of services.byHostname.values()) {
    if (routed.has(service.hostname) || service.resolution === 'Alias' || !speaksHttp(portOf(service, port)!)) continue;
    result.push({ services: [service], otherHosts: [], routes: defaultRoutes(context, service, port), origins: [] });
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

function concerns({ spec }: VirtualServiceResource, services: PortServices): boolean {
  return spec.hosts.some((host) => services.overlaps(host));
}

function splitHosts(
  virtualService: VirtualServiceResource,
  services: ReadonlyMap<string, Service>,
  owners: () => HostIndex<VirtualServiceResource>,
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
    for (const service of covered) if (owners().covering(service.hostname)[0] === virtualService) matching.add(service);
    if (covered.length === 0) otherHosts.push(host);
  }
  return { matching: [...matching], otherHosts };
}

function defaultRoutes({ scope, mesh: { config } }: TranslateContext, service: Service, port: number): LazyRoutes {
  const hash = consistentHash(scope, service.hostname, undefined, port);
  const cluster = outboundClusterName(service.hostname, port);
  const dynamic = service.resolution === 'DynamicDNS' ? [service] : [];
  return kept.defaults.get([config, port, service], [hash], () => ({
    read: once(() => [onDeclaredPorts(serviceRoute(config, cluster, `${service.hostname}:${port}/*`, hash, service.resource), dynamic)]),
  }));
}

/** Puts virtual hosts together so that no name and no domain is there twice: the first that claims one has it. */
class Hosts {
  readonly #config: MeshConfig;
  readonly #client: string;
  readonly #port: number;
  readonly #hosts: VirtualHost[] = [];
  readonly #names = new Set<string>();
  readonly #domains = new Set<string>();
  readonly #hostnames: ReadonlySet<string>;

  constructor({ mesh, proxy, scope: { services } }: TranslateContext, port: number) {
    this.#config = mesh.config;
    this.#client = proxy.namespace;
    this.#port = port;
    this.#hostnames = kept.hostnames.get([services], NO_INPUTS, () => new Set(services.map(({ hostname }) => hostname)));
  }

  add({ services, otherHosts, routes, origins }: Guarded): void {
    for (const host of otherHosts) this.#put(host, [asDomain(host)], routes, origins, [routes, host]);
    for (const service of services) {
      const { domains, alternatives } = kept.domains.get([this.#config, this.#client, service], NO_INPUTS, () =>
        serviceDomains(service, this.#client),
      );
      const free = domains.filter((domain) => !(alternatives.has(domain) && this.#hostnames.has(domain)));
      this.#put(service.hostname, free, routes, [...origins, service.resource], [routes, service]);
    }
  }

  #put(host: string, wanted: readonly string[], routes: LazyRoutes, origins: readonly Resource[], keys: [object, Key]): void {
    const name = `${asDomain(host)}:${this.#port}`;
    if (this.#names.has(name)) return;
    this.#names.add(name);
    const domains = wanted.filter((domain) => {
      const key = domain.toLowerCase();
      if (this.#domains.has(key)) return false;
      this.#domains.add(key);
      return true;
    });
    if (domains.length === 0) return;
    const build = () => virtualHostOf({ name, domains, includeRequestAttemptCount: true, metadata: metadataOf({ origins }) }, routes.read);
    this.#hosts.push(kept.hosts.get(keys, [name, ...origins, ...domains], build));
  }

  sorted(): VirtualHost[] {
    return this.#hosts.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
}

/** The listener's address has told the service: whatever the Host says, its routes count. */
function onlyFor(virtualHosts: readonly VirtualHost[], service: Service, name: string): VirtualHost[] {
  const mine = virtualHosts.filter((host) => host.name === name || host.domains.includes(service.hostname));
  return mine.slice(0, 1).map((host) => kept.only.get([host], NO_INPUTS, () => create(VirtualHostSchema, { ...host, domains: ['*'] })));
}
