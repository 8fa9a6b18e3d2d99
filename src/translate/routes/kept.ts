/** Routes of VirtualServices, kept for as long as the VirtualService, its destinations and the configuration are what they were. */
import type { HttpMatchRequest, MeshConfig, ResourceOf } from '../../api/index.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { weakly } from '../../lib/weakly.ts';
import type { Service } from '../../registry/model.ts';
import type { Route } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { Destinations, RouteContext } from './context.ts';
import { hasRoutes, virtualServiceRoutes } from './virtual-service.ts';

type VirtualService = ResourceOf<'VirtualService'>;
type Rule = ResourceOf<'DestinationRule'>;

/** For whom and for which port routes are built. */
export interface Routing {
  readonly proxy: ProxyIdentity;
  readonly config: MeshConfig;
  readonly destinations: Destinations;
  readonly port: number;
  readonly gateway: string;
  readonly tls: boolean;
}

/** Routes that are built when they are read, and again when nobody has them any more. The same routes are the same object. */
export interface LazyRoutes {
  readonly read: () => readonly Route[];
}

const kept = {
  routes: new Memo<LazyRoutes | undefined>(),
  hosts: new Memo<readonly string[]>(),
  local: new Memo<readonly HttpMatchRequest[]>(),
};

/** Undefined if no rule of the VirtualService concerns the proxy, port and gateway. */
export function routesOf(routing: Routing, virtualService: VirtualService): LazyRoutes | undefined {
  const { config, destinations, port, gateway, tls } = routing;
  const foreign = foreignMatches(virtualService, routing.proxy);
  const hosts = kept.hosts.get([virtualService], NO_INPUTS, () => [...new Set(destinationHosts(virtualService))]);
  const inputs: (Service | Rule | string | number | boolean | undefined)[] = [foreign.key];
  for (const host of hosts) inputs.push(destinations.serviceFor(host), destinations.destinationRuleFor(host));
  return kept.routes.get([config, `${port} ${tls} ${gateway}`, virtualService], inputs, () => {
    const found = new Map(hosts.map((host, i) => [host, { service: inputs[2 * i + 1] as Service, rule: inputs[2 * i + 2] as Rule }]));
    const context: RouteContext = {
      config,
      port,
      gateway,
      tls,
      foreign: foreign.matches,
      destinations: { serviceFor: (host) => found.get(host)?.service, destinationRuleFor: (host) => found.get(host)?.rule },
    };
    return hasRoutes(context, virtualService) ? { read: weakly(() => virtualServiceRoutes(context, virtualService)) } : undefined;
  });
}

/** The matches with conditions on the source that the proxy does not fulfil, and what tells them apart from others of the same VirtualService. */
function foreignMatches(virtualService: VirtualService, proxy: ProxyIdentity): { matches: ReadonlySet<HttpMatchRequest>; key: string } {
  const conditional = kept.local.get([virtualService], NO_INPUTS, () => sourceMatches(virtualService));
  if (conditional.length === 0) return NONE_FOREIGN;
  const holds = conditional.map((match) => isFrom(match, proxy));
  return { matches: new Set(conditional.filter((_, i) => !holds[i])), key: holds.join() };
}

const NONE_FOREIGN = { matches: new Set<HttpMatchRequest>(), key: '' };

function sourceMatches({ spec }: VirtualService): readonly HttpMatchRequest[] {
  return spec.http
    .flatMap(({ match }) => match)
    .filter(({ sourceLabels, sourceNamespace }) => Object.keys(sourceLabels).length > 0 || sourceNamespace);
}

function isFrom({ sourceLabels, sourceNamespace }: HttpMatchRequest, proxy: ProxyIdentity): boolean {
  if (!Object.entries(sourceLabels).every(([key, value]) => proxy.labels[key] === value)) return false;
  return !sourceNamespace || sourceNamespace === proxy.namespace;
}

function destinationHosts({ spec }: VirtualService): string[] {
  return spec.http.flatMap(({ route, mirror, mirrors }) =>
    [...route, ...mirrors].map(({ destination }) => destination.host).concat(mirror ? [mirror.host] : []),
  );
}
