/** The routes of a sidecar's outbound side: one configuration for each port on which something speaks HTTP. */
import { create, type JsonValue } from '@bufbuild/protobuf';
import type { MeshConfig, ResourceOf } from '../../api/index.ts';
import { isOfGatewayApi, type Resource } from '../../api/resource.ts';
import { Arrangement } from '../../lib/arrangement.ts';
import { HostIndex } from '../../lib/host-index.ts';
import { isWildcard } from '../../lib/hostname.ts';
import { type Key, Memo, NO_INPUTS } from '../../lib/memo.ts';
import { once } from '../../lib/once.ts';
import { sameMembers } from '../../lib/same.ts';
import { weakly } from '../../lib/weakly.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { isHttp } from '../../registry/protocol.ts';
import { type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { BLACK_HOLE_CLUSTER } from '../../xds/names.ts';
import { allocatedAddresses, isIpv6 } from '../addresses.ts';
import { type BindingJson, bindingFor } from '../binding.ts';
import type { TranslateContext } from '../context.ts';
import { credentialsFor } from '../injection.ts';
import type { WantedRoutes } from '../listeners/outbound.ts';
import { metadataOf } from '../metadata.ts';
import { MESH_GATEWAY, outboundClusterName } from '../names.ts';
import { MemberPhase } from '../phase.ts';
import type { EgressScope } from '../scope.ts';
import { onDeclaredPorts } from './declared-ports.ts';
import { catchAllHost, serviceRoute } from './defaults.ts';
import { asDomain, serviceDomains } from './domains.ts';
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
  ruled: new MemberPhase<VirtualServiceResource, Ruled | undefined>(),
  unruled: new MemberPhase<Service, Claim>(),
  granted: new Memo<Arrangement<Claim, readonly Grant[]>>(),
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

/** First those of VirtualServices, older first, then those of the services that none of them concerns. */
function virtualHosts(context: TranslateContext, port: number, egress: EgressScope): readonly VirtualHost[] {
  const { proxy, scope, mesh } = context;
  const services = kept.ofPort.get([egress.services, port], NO_INPUTS, () => portServices(egress.services, port));
  const hostnames = kept.hostnames.get([scope.services], NO_INPUTS, () => new Set(scope.services.map(({ hostname }) => hostname)));
  const ipv6 = proxy.addresses.some(isIpv6);
  const side: Side = { port, services, hostnames, client: proxy.namespace, ipv6, config: mesh.config };
  const keys = [mesh.config, scope.services, mesh.snapshot.list('DestinationRule'), services, port, proxy.namespace, ipv6] as const;
  // For each service the VirtualService whose host fits it best: several wildcards may cover a name.
  const owners = once(() => {
    const index = new HostIndex<VirtualServiceResource>();
    for (const each of egress.virtualServices) for (const host of each.spec.hosts) index.add(host, each);
    return index;
  });
  const ruledClaims: Claim[] = [];
  const routed = new Set<string>();
  const ruled = kept.ruled.get(context, keys, egress.virtualServices, (watched, each) => ruledBy(watched, side, each));
  for (const rules of ruled) {
    if (!rules) continue;
    const { services: own, claims: wanted } = rules.exact ?? claimsOf(side, rules, splitHosts(rules.virtualService, services, owners));
    ruledClaims.push(...wanted);
    for (const service of own) routed.add(service.hostname);
  }
  const others = [...services.byHostname.values()].filter(
    (service) => !routed.has(service.hostname) && service.resolution !== 'Alias' && speaksHttp(portOf(service, port)!),
  );
  const unruled = kept.unruled.get(context, keys, others, (watched, service) =>
    serviceClaim(side, service, defaultRoutes(watched, service, port), []),
  );
  const claims = [...ruledClaims, ...unruled];
  const granted = kept.granted.get(keys, NO_INPUTS, () => new Arrangement(wantsTheSame, grants));
  return granted.of(claims).map(({ place, domains }) => claims[place]!.host(domains));
}

/** What Istio allows the body of a direct response to have; Envoy's default is 4 KiB. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** For whom virtual hosts are built. */
interface Side {
  readonly port: number;
  readonly services: PortServices;
  /** Of all services that the proxy has, on whatever port. */
  readonly hostnames: ReadonlySet<string>;
  /** Namespace. */
  readonly client: string;
  /** Whether the client has an IPv6 address. */
  readonly ipv6: boolean;
  readonly config: MeshConfig;
}

/** A VirtualService with routes for a port. */
interface Ruled {
  readonly virtualService: VirtualServiceResource;
  readonly routes: LazyRoutes;
  /** What follows from the VirtualService alone; with wildcards among its hosts nothing does, since others may fit a service better. */
  readonly exact: Claims | undefined;
}

interface Claims {
  /** Those that have the routes. */
  readonly services: readonly Service[];
  readonly claims: readonly Claim[];
}

/** A name, the domains that it is wanted for, and the virtual host that is made of those that it gets. */
class Claim {
  readonly name: string;
  readonly domains: readonly string[];
  readonly #make: (domains: readonly string[]) => VirtualHost;
  #whole: VirtualHost | undefined;

  constructor(name: string, domains: readonly string[], make: (domains: readonly string[]) => VirtualHost) {
    this.name = name;
    this.domains = domains;
    this.#make = make;
  }

  /** @param domains some of those that it wants */
  host(domains: readonly string[]): VirtualHost {
    if (domains.length < this.domains.length) return this.#make(domains);
    this.#whole ??= this.#make(domains);
    return this.#whole;
  }
}

/** The services of an egress entry that have a port. */
interface PortServices {
  /** Of several with one hostname the last, as in Istio. */
  readonly byHostname: ReadonlyMap<string, Service>;
  /** Whether one of them has a host in common with this one. */
  readonly overlaps: (host: string) => boolean;
  /** Those whose hosts a wildcard covers. */
  readonly coveredBy: (wildcard: string) => readonly Service[];
}

function portServices(services: readonly Service[], port: number): PortServices {
  const byHostname = new Map<string, Service>();
  for (const service of services) if (portOf(service, port)) byHostname.set(service.hostname, service);
  const index = once(() => {
    const known = new HostIndex<Service>();
    for (const service of byHostname.values()) known.add(service.hostname, service);
    return known;
  });
  return {
    byHostname,
    overlaps: (host) => byHostname.has(host) || index().overlaps(host),
    coveredBy: (wildcard) => index().coveredBy(wildcard),
  };
}

/** Undefined where the VirtualService has no routes for the port. */
function ruledBy({ proxy, mesh, scope }: TranslateContext, side: Side, virtualService: VirtualServiceResource): Ruled | undefined {
  const { port, services } = side;
  // On port 80 a VirtualService also routes hosts that nothing declares.
  if (port !== 80 && !concerns(virtualService, services)) return undefined;
  const routing = { proxy, destinations: scope, config: mesh.config, port, gateway: MESH_GATEWAY, tls: false };
  const routes = routesOf(routing, virtualService);
  if (!routes) return undefined;
  const rules = { virtualService, routes };
  const exact = virtualService.spec.hosts.some(isWildcard)
    ? undefined
    : claimsOf(side, rules, splitHosts(virtualService, services, undefined));
  return { ...rules, exact };
}

function claimsOf(side: Side, { virtualService, routes }: Omit<Ruled, 'exact'>, { matching, otherHosts }: SplitHosts): Claims {
  const { port, client } = side;
  // Routes of the Kubernetes Gateway API are for services, and those of the client's namespace or of the service's own.
  if (isOfGatewayApi(virtualService) && !matching.some((service) => isMeshRoute(virtualService, service, client))) return NO_CLAIMS;
  const services = matching.filter((service) => speaksHttp(portOf(service, port)!));
  if (services.length === 0 && port !== 80) return NO_CLAIMS;
  const origins = [virtualService];
  const claims = [
    ...otherHosts.map((host) => claimOf(side, host, [asDomain(host)], routes, origins, [routes, host])),
    ...services.map((service) => serviceClaim(side, service, routes, origins)),
  ];
  return { services, claims };
}

const NO_CLAIMS: Claims = { services: [], claims: [] };

function serviceClaim(side: Side, service: Service, routes: LazyRoutes, rules: readonly Resource[]): Claim {
  const { domains, alternatives } = serviceDomains(service, side.client, allocatedAddresses(service, side.ipv6));
  const free = domains.filter((domain) => !(alternatives.has(domain) && side.hostnames.has(domain)));
  const bind = bindingFor(service, side.config);
  const credentials = credentialsFor(service, side.port);
  return claimOf(side, service.hostname, free, routes, [...rules, service.resource], [routes, service], { bind, credentials });
}

function claimOf(
  { port }: Side,
  host: string,
  domains: readonly string[],
  routes: LazyRoutes,
  origins: readonly Resource[],
  keys: [object, Key],
  says: { readonly bind?: BindingJson | undefined; readonly credentials?: JsonValue | undefined } = {},
): Claim {
  const name = `${asDomain(host)}:${port}`;
  return new Claim(name, domains, (granted) =>
    kept.hosts.get(keys, [name, says.bind, says.credentials, ...origins, ...granted], () =>
      virtualHostOf(
        { name, domains: [...granted], includeRequestAttemptCount: true, metadata: metadataOf({ origins, ...says }) },
        routes.read,
      ),
    ),
  );
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

interface SplitHosts {
  readonly matching: readonly Service[];
  /** Hosts that no service has. */
  readonly otherHosts: readonly string[];
}

/** `owners` is needed where there are wildcards. */
function splitHosts(
  virtualService: VirtualServiceResource,
  services: PortServices,
  owners: (() => HostIndex<VirtualServiceResource>) | undefined,
): SplitHosts {
  const matching = new Set<Service>();
  const otherHosts: string[] = [];
  const { hosts } = virtualService.spec;
  for (const host of hosts.filter((each) => !isWildcard(each))) {
    const service = services.byHostname.get(host);
    if (service) matching.add(service);
    else otherHosts.push(host);
  }
  for (const host of hosts.filter(isWildcard)) {
    const covered = services.coveredBy(host);
    for (const service of covered) if (owners?.().covering(service.hostname)[0] === virtualService) matching.add(service);
    if (covered.length === 0) otherHosts.push(host);
  }
  return { matching: [...matching], otherHosts };
}

function defaultRoutes({ scope, mesh: { config } }: TranslateContext, service: Service, port: number): LazyRoutes {
  const hash = consistentHash(scope, service.hostname, undefined, port);
  const cluster = outboundClusterName(service.hostname, port);
  // The cluster may be that of an older object with the same host.
  const target = scope.serviceFor(service.hostname) ?? service;
  const dynamic = target.resolution === 'DynamicDNS' ? [target] : [];
  return kept.defaults.get([config, port, service], [hash, target], () => ({
    read: weakly(() => [onDeclaredPorts(serviceRoute(config, cluster, `${service.hostname}:${port}/*`, hash, service.resource), dynamic)]),
  }));
}

/** The domains that a claim gets, one at least; `place` is its place among the claims. */
interface Grant {
  readonly place: number;
  readonly domains: readonly string[];
}

function wantsTheSame(a: Claim, b: Claim): boolean {
  return a.name === b.name && sameMembers(a.domains, b.domains);
}

/** No name and no domain is there twice: the first that claims one has it. By name. */
function grants(claims: readonly Claim[]): readonly Grant[] {
  const granted: Grant[] = [];
  const names = new Set<string>();
  const taken = new Set<string>();
  for (const [place, claim] of claims.entries()) {
    if (names.has(claim.name)) continue;
    names.add(claim.name);
    const domains = claim.domains.filter((domain) => {
      const key = domain.toLowerCase();
      if (taken.has(key)) return false;
      taken.add(key);
      return true;
    });
    if (domains.length > 0) granted.push({ place, domains: domains.length < claim.domains.length ? domains : claim.domains });
  }
  return granted.sort((a, b) => (claims[a.place]!.name < claims[b.place]!.name ? -1 : 1));
}

/** The listener's address has told the service: whatever the Host says, its routes count. */
function onlyFor(virtualHosts: readonly VirtualHost[], service: Service, name: string): VirtualHost[] {
  const mine = virtualHosts.filter((host) => host.name === name || host.domains.includes(service.hostname));
  return mine.slice(0, 1).map((host) => kept.only.get([host], NO_INPUTS, () => create(VirtualHostSchema, { ...host, domains: ['*'] })));
}
