/** Patches of route configurations, their virtual hosts and routes; the order is Istio's. */
import type { EnvoyConfigObjectMatch } from '../../api/index.ts';
import { Memo } from '../../lib/memo.ts';
import { type Route, RouteSchema, type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { refusalOf } from '../../xds/match/metadata.ts';
import { merged } from '../../xds/patches/merge.ts';
import type { Patchable } from '../../xds/patches/value.ts';
import { isFor, isMerge, listsOf, type Patch, type PatchSet, type Side } from './patch.ts';

/** Whether a route configuration of a gateway that is on the port that is bound belongs to a port of its Services. */
export type HasServicePort = (bound: number, wanted: number) => boolean;

const kept = { whole: new Memo<RouteConfiguration>(), hosts: new Memo<VirtualHost | undefined>() };

export function patchedRoutes(set: PatchSet, side: Side, routes: RouteConfiguration, hasServicePort: HasServicePort): RouteConfiguration {
  const matching = (applyTo: Patchable) =>
    (set.get(applyTo) ?? []).filter((patch) => isFor(patch, side) && routesMatch(side, routes.name, patch.match, hasServicePort));
  const patches = { ofWhole: matching('ROUTE_CONFIGURATION'), ofHosts: matching('VIRTUAL_HOST'), ofRoutes: matching('HTTP_ROUTE') };
  const all = [...patches.ofWhole, ...patches.ofHosts, ...patches.ofRoutes];
  return all.length === 0 ? routes : kept.whole.get([set, routes, side], all, () => buildRoutes(set, routes, patches));
}

interface Patches {
  readonly ofWhole: readonly Patch[];
  readonly ofHosts: readonly Patch[];
  readonly ofRoutes: readonly Patch[];
}

function buildRoutes(set: PatchSet, routes: RouteConfiguration, { ofWhole, ofHosts, ofRoutes }: Patches): RouteConfiguration {
  let result = routes;
  for (const patch of ofWhole)
    if (isMerge(patch.operation)) result = merged(RouteConfigurationSchema, result, patch.value as RouteConfiguration, listsOf(patch));
  const inputs = [...ofHosts, ...ofRoutes];
  const hosts = result.virtualHosts.flatMap(
    (host) => kept.hosts.get([set, host, routes.name], inputs, () => patchedHost(host, ofHosts, ofRoutes)) ?? [],
  );
  for (const { operation, value } of ofHosts) if (operation === 'ADD') hosts.push(value as VirtualHost);
  return { ...result, virtualHosts: hosts };
}

/** `http.80`, `https.443.name.gateway.namespace` of gateways; a sidecar's are called after their ports. */
function routesMatch(side: Side, name: string, match: EnvoyConfigObjectMatch | undefined, hasServicePort: HasServicePort): boolean {
  const wanted = match?.routeConfiguration;
  if (!wanted) return true;
  if (wanted.name && wanted.name !== name) return false;
  if (side !== 'GATEWAY') return !wanted.portNumber || wanted.portNumber === portIn(name);
  const [scheme, port, portName = '', gateway, namespace] = name.split('.');
  const isHttps = scheme === 'https';
  if (wanted.portName && wanted.portName !== (isHttps ? portName : '')) return false;
  if (wanted.gateway && wanted.gateway !== (isHttps ? `${namespace}/${gateway}` : '')) return false;
  return !wanted.portNumber || hasServicePort(Number(port), wanted.portNumber);
}

function portIn(name: string): number {
  const text = name.startsWith('inbound|') ? name.split('|')[1]! : name;
  return /^\d+$/.test(text) ? Number(text) : 0;
}

/** Undefined where a patch removes it. What refuses stays as it is. */
function patchedHost(host: VirtualHost, ofHosts: readonly Patch[], ofRoutes: readonly Patch[]): VirtualHost | undefined {
  if (refusalOf(host.metadata) !== undefined) return host;
  let result = host;
  for (const patch of ofHosts) {
    if (!hostMatches(result, patch.match)) continue;
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) result = merged(VirtualHostSchema, result, patch.value as VirtualHost, listsOf(patch));
    else if (patch.operation === 'REPLACE') result = patch.value as VirtualHost;
  }
  const own = ofRoutes.filter(({ match }) => hostMatches(result, match));
  return own.length === 0 ? result : { ...result, routes: [...patchedRouteList(result.routes, own)] };
}

function hostMatches({ name, domains }: VirtualHost, match: EnvoyConfigObjectMatch | undefined): boolean {
  const wanted = match?.routeConfiguration?.vhost;
  if (!wanted) return true;
  return (!wanted.name || wanted.name === name) && (!wanted.domainName || domains.includes(wanted.domainName));
}

function patchedRouteList(routes: readonly Route[], patches: readonly Patch[]): readonly Route[] {
  let result: readonly Route[] = routes.flatMap((route) => patchedRoute(route, patches) ?? []);
  for (const { operation, match, value } of patches) result = withRoute(result, operation, value as Route, match);
  return result;
}

/** Undefined where a patch removes it. */
function patchedRoute(route: Route, patches: readonly Patch[]): Route | undefined {
  if (refusalOf(route.metadata) !== undefined) return route;
  let result = route;
  for (const patch of patches) {
    if (!routeMatches(result, patch.match)) continue;
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) result = merged(RouteSchema, result, patch.value as Route, listsOf(patch));
  }
  return result;
}

/** To be the first, a route needs one that the patch looks for somewhere. */
function withRoute(routes: readonly Route[], operation: Patch['operation'], route: Route, match: Patch['match']): readonly Route[] {
  const wanted = match?.routeConfiguration?.vhost?.route;
  const at = wanted ? routes.findIndex((each) => routeMatches(each, match)) : undefined;
  if (at === -1 && operation !== 'ADD') return routes;
  switch (operation) {
    case 'ADD':
      return [...routes, route];
    case 'INSERT_FIRST':
      return [route, ...routes];
    case 'INSERT_BEFORE':
      return routes.toSpliced(at ?? 0, 0, route);
    case 'INSERT_AFTER':
      return routes.toSpliced(at === undefined ? routes.length : at + 1, 0, route);
    default:
      return routes;
  }
}

const ACTIONS = { ROUTE: 'route', REDIRECT: 'redirect', DIRECT_RESPONSE: 'directResponse' } as const;

function routeMatches({ name, action }: Route, match: EnvoyConfigObjectMatch | undefined): boolean {
  const wanted = match?.routeConfiguration?.vhost?.route;
  if (!wanted) return true;
  if (wanted.name && wanted.name !== name) return false;
  if (wanted.action === 'ANY' || !Object.values<string | undefined>(ACTIONS).includes(action.case)) return true;
  return action.case === ACTIONS[wanted.action];
}
