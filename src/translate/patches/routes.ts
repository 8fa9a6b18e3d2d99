/** Patches of route configurations, their virtual hosts and routes; the order is Istio's. */
import type { EnvoyConfigObjectMatch } from '../../api/index.ts';
import { Memo } from '../../lib/memo.ts';
import { sameMembers } from '../../lib/same.ts';
import { type Route, RouteSchema, type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { refusalOf } from '../../xds/match/metadata.ts';
import { merged } from '../../xds/patches/merge.ts';
import type { Patchable } from '../../xds/patches/value.ts';
import { applied, type Credits, credited, inserted, withRefusing } from './apply.ts';
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
  const credits: Credits = new Set();
  const own = applied(routes, ofWhole, credits, (value, patch) => (isMerge(patch.operation) ? mergedRoutes(value, patch) : value))!;
  const inputs = [...ofHosts, ...ofRoutes];
  const hosts = own.virtualHosts.map((host) =>
    kept.hosts.get([set, host, routes.name], inputs, () => patchedHost(host, ofHosts, ofRoutes)),
  );
  const virtualHosts = applied(
    hosts.filter((host) => host !== undefined),
    ofHosts,
    credits,
    (list, patch) => (patch.operation === 'ADD' ? [...list, credited(patch.value as VirtualHost, new Set([patch.source]))] : list),
  )!;
  return sameMembers(virtualHosts, own.virtualHosts) ? own : { ...own, virtualHosts };
}

/** The name stays, by which listeners know them; so do hosts that refuse, where the patch has a list in place of theirs. */
function mergedRoutes(routes: RouteConfiguration, patch: Patch): RouteConfiguration {
  const result = merged(RouteConfigurationSchema, routes, patch.value as RouteConfiguration, listsOf(patch));
  return { ...result, name: routes.name, virtualHosts: withRefusing(routes.virtualHosts, result.virtualHosts) };
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
  const credits: Credits = new Set();
  const own = applied(host, ofHosts, credits, (value, patch) => {
    if (!hostMatches(value, patch.match)) return value;
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) return merged(VirtualHostSchema, value, patch.value as VirtualHost, listsOf(patch));
    return patch.operation === 'REPLACE' ? (patch.value as VirtualHost) : value;
  });
  if (!own) return undefined;
  const routes = patchedRouteList(
    own.routes,
    ofRoutes.filter(({ match }) => hostMatches(own, match)),
    credits,
  );
  return credited(routes === own.routes ? own : ({ ...own, routes } as VirtualHost), credits);
}

function hostMatches({ name, domains }: VirtualHost, match: EnvoyConfigObjectMatch | undefined): boolean {
  const wanted = match?.routeConfiguration?.vhost;
  if (!wanted) return true;
  return (!wanted.name || wanted.name === name) && (!wanted.domainName || domains.includes(wanted.domainName));
}

function patchedRouteList(routes: readonly Route[], patches: readonly Patch[], credits: Credits): readonly Route[] {
  const changed = routes.map((route) => patchedRoute(route, patches, credits)).filter((route) => route !== undefined);
  const own = sameMembers(changed, routes) ? routes : changed;
  return applied(own, patches, credits, (list, { operation, match, value, source }) =>
    withRoute(list, operation, credited(value as Route, new Set([source])), match),
  )!;
}

/** Undefined where a patch removes it. */
function patchedRoute(route: Route, patches: readonly Patch[], credits: Credits): Route | undefined {
  if (refusalOf(route.metadata) !== undefined) return route;
  const own: Credits = new Set();
  const result = applied(route, patches, own, (value, patch) => {
    if (!routeMatches(value, patch.match)) return value;
    if (patch.operation === 'REMOVE') return undefined;
    return isMerge(patch.operation) ? merged(RouteSchema, value, patch.value as Route, listsOf(patch)) : value;
  });
  if (result) return credited(result, own);
  for (const each of own) credits.add(each);
  return undefined;
}

/** To be the first, a route needs one that the patch looks for somewhere. */
function withRoute(routes: readonly Route[], operation: Patch['operation'], route: Route, match: Patch['match']): readonly Route[] {
  const wanted = match?.routeConfiguration?.vhost?.route;
  const at = wanted ? routes.findIndex((each) => routeMatches(each, match)) : undefined;
  return at === -1 && operation === 'INSERT_FIRST' ? routes : inserted(routes, operation, route, at);
}

const ACTIONS = { ROUTE: 'route', REDIRECT: 'redirect', DIRECT_RESPONSE: 'directResponse' } as const;

function routeMatches({ name, action }: Route, match: EnvoyConfigObjectMatch | undefined): boolean {
  const wanted = match?.routeConfiguration?.vhost?.route;
  if (!wanted) return true;
  if (wanted.name && wanted.name !== name) return false;
  if (wanted.action === 'ANY' || !Object.values<string | undefined>(ACTIONS).includes(action.case)) return true;
  return action.case === ACTIONS[wanted.action];
}
