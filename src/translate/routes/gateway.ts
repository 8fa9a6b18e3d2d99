/** The routes of a gateway's HTTP servers. */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf } from '../../api/index.ts';
import type { Resource } from '../../api/resource.ts';
import { Arrangement } from '../../lib/arrangement.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import {
  type VirtualHost,
  VirtualHost_TlsRequirementType,
  VirtualHostSchema,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { type BindingJson, bindingFor } from '../binding.ts';
import type { TranslateContext } from '../context.ts';
import { type GatewayInjection, injectionAt, reportRefusedInjection, strayObject } from '../gateway-injection.ts';
import type { GatewayServer } from '../gateways.ts';
import { metadataOf } from '../metadata.ts';
import { MemberPhase } from '../phase.ts';
import { refusingHost } from './defaults.ts';
import { intersectHosts } from './host-sets.ts';
import { type LazyRoutes, routesOf } from './kept.ts';
import { isCatchAll } from './match.ts';
import { routeConfiguration } from './sidecar.ts';
import { virtualHostOf } from './virtual-host.ts';

/** What a server, or a VirtualService at a server, wants of a host. */
interface Claim {
  readonly host: string;
  /** As the server calls it. */
  readonly port: number;
  readonly gateway: Resource;
  /** What routes the host; without it the server only redirects to HTTPS. */
  readonly rule: { readonly resource: ResourceOf<'VirtualService'>; readonly routes: LazyRoutes } | undefined;
  readonly requireTls: boolean;
}

/** `servers` share the name. Routes of several VirtualServices for a host stand in the order of their age, catch-alls behind the others. */
export function gatewayRoutes(context: TranslateContext, name: string, servers: readonly GatewayServer[]): RouteConfiguration {
  const claims = servers.flatMap((server) => claimsOf(context, server));
  const { gateway, server } = servers[0]!;
  const byHost = kept.byHost.get([gateway, server, context.proxy.namespace], NO_INPUTS, () => new Arrangement(hasHostOf, placesByHost));
  const virtualHosts = byHost.of(claims).map((places) => {
    const ofHost = places.map((place) => claims[place]!);
    return virtualHost(ofHost, injectsOf(context, servers, ofHost));
  });
  return routeConfiguration(name, virtualHosts.length > 0 ? virtualHosts : [noRoutes(servers[0]!)]);
}

function hasHostOf(a: Claim, b: Claim): boolean {
  return a.host === b.host && a.port === b.port;
}

/** The places of the claims for each host, by the names of the virtual hosts. */
function placesByHost(claims: readonly Claim[]): readonly (readonly number[])[] {
  const groups = Map.groupBy(claims.keys(), (place) => claims[place]!.host);
  const nameOf = ([first]: readonly number[]) => virtualHostName(claims[first!]!);
  return [...groups.values()].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

const kept = {
  hosts: new Memo<VirtualHost>(),
  claims: new Memo<Claim>(),
  byHost: new Memo<Arrangement<Claim, readonly (readonly number[])[]>>(),
  ofVirtualServices: new MemberPhase<ResourceOf<'VirtualService'>, readonly Claim[]>(),
};

function claimsOf(context: TranslateContext, entry: GatewayServer): readonly Claim[] {
  const { server, gateway, gatewayName, serverNames } = entry;
  const { config, snapshot } = context.mesh;
  const keys = [config, context.scope.services, snapshot.list('DestinationRule'), gateway, server] as const;
  const virtualServices = context.scope.virtualServicesForGateway(gatewayName);
  const claims = kept.ofVirtualServices
    .get(context, keys, virtualServices, (watched, virtualService) => virtualServiceClaims(watched, entry, virtualService))
    .flat();
  // A redirect to HTTPS needs no route. Without one Istio takes a host that names a namespace literally, and no request has such a Host.
  if (server.tls?.httpsRedirect) {
    for (const host of serverNames.length > 0 ? serverNames : entry.hosts.filter((each) => !each.includes('/')))
      claims.push(kept.claims.get([server, host], [gateway], () => claimOf(entry, host, undefined)));
  }
  return claims;
}

/** The same claims for the same routes. */
function virtualServiceClaims(
  { proxy, scope, mesh }: TranslateContext,
  entry: GatewayServer,
  virtualService: ResourceOf<'VirtualService'>,
): readonly Claim[] {
  const { server, gateway, gatewayName } = entry;
  const { hosts } = virtualService.spec;
  const common = intersectHosts(hostsFor(entry, virtualService), hosts);
  const tls = server.tls !== undefined;
  const routing = { proxy, destinations: scope, config: mesh.config, port: server.port.number, gateway: gatewayName, tls };
  const routes = common.length > 0 ? routesOf(routing, virtualService) : undefined;
  if (!routes) return [];
  return common.map((host) =>
    // Most have one host: the key is that of its routes alone.
    kept.claims.get(hosts.length === 1 ? [routes] : [routes, host], [host, server, gateway], () =>
      claimOf(entry, host, { resource: virtualService, routes }),
    ),
  );
}

function claimOf({ server, gateway }: GatewayServer, host: string, rule: Claim['rule']): Claim {
  return { host, port: server.port.number, gateway, rule, requireTls: server.tls?.httpsRedirect ?? false };
}

/** The server's hosts that a VirtualService of this namespace may use. */
function hostsFor({ hosts }: GatewayServer, { metadata }: ResourceOf<'VirtualService'>): string[] {
  return hosts.flatMap((host) => {
    const slash = host.indexOf('/');
    if (slash < 0) return [host];
    return host.slice(0, slash) === metadata.namespace ? [host.slice(slash + 1)] : [];
  });
}

interface Injects {
  readonly injection: GatewayInjection;
  readonly bind: BindingJson | undefined;
  /** Why nothing is put in and the calls are refused, as a sentence without its end. */
  readonly refusal: string | undefined;
}

/** What is put into requests for the host of the claims; its servers share a name, and with that a Gateway, only where nothing is put in. */
function injectsOf(context: TranslateContext, [first]: readonly GatewayServer[], claims: readonly Claim[]): Injects | undefined {
  const { gateway, server } = first!;
  const { host } = claims[0]!;
  const injection = injectionAt(context, gateway, server);
  if (!injection) return undefined;
  const stray = injection.refusal ?? strayObject(context, injection, host, routingOf(claims));
  // The other was told of where the listener was made.
  if (stray !== undefined && injection.refusal === undefined) reportRefusedInjection(context, gateway, stray);
  return { injection, bind: bindingFor(context.scope.serviceFor(host), context.mesh.config), refusal: stray };
}

function routingOf(claims: readonly Claim[]): Resource[] {
  return claims.flatMap(({ rule }) => rule?.resource ?? []);
}

/** `claims` are all for one host, one at least. */
function virtualHost(claims: readonly Claim[], injects: Injects | undefined): VirtualHost {
  const { injection, bind, refusal } = injects ?? {};
  return kept.hosts.get([claims[0]!], [injection, bind, refusal, ...claims], () => buildHost(claims, injects));
}

function buildHost(claims: readonly Claim[], injects?: Injects): VirtualHost {
  const { host } = claims[0]!;
  const refusal = injects?.refusal;
  const rules = claims.flatMap(({ rule }) => rule ?? []);
  // VirtualServices, which decide, before Gateways.
  const origins = new Set<Resource>([...rules.map(({ resource }) => resource), ...claims.map(({ gateway }) => gateway)]);
  const requireTls = claims.some((claim) => claim.requireTls);
  const init = {
    name: virtualHostName(claims[0]!),
    domains: [host],
    requireTls: requireTls ? VirtualHost_TlsRequirementType.ALL : VirtualHost_TlsRequirementType.NONE,
    includeRequestAttemptCount: true,
    metadata: metadataOf({
      origins: [...origins],
      ...(refusal === undefined ? { bind: injects?.bind, credentials: injects?.injection.rules } : { refusal }),
    }),
  };
  return virtualHostOf(init, () => {
    if (refusal !== undefined) return refusingHost(init.name, `sallyport: refused: ${refusal}`).routes;
    const all = rules.flatMap(({ routes }) => routes.read());
    return [...all.filter((route) => !isCatchAll(route)), ...all.filter(isCatchAll)];
  });
}

function virtualHostName({ host, port }: Claim): string {
  return `${host}:${port}`;
}

/** Answers 404: the server is there, but no VirtualService has a route for it. */
function noRoutes({ server, gateway }: GatewayServer): VirtualHost {
  return create(VirtualHostSchema, {
    name: `blackhole:${server.port.number}`,
    domains: ['*'],
    metadata: metadataOf({ origins: [gateway] }),
  });
}
