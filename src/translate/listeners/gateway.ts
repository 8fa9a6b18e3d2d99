/** The listeners of a router: one for each port that its Gateways' servers bind. */
import { create } from '@bufbuild/protobuf';
import type { DestinationRule, MeshConfig, ResourceOf, RouteDestination } from '../../api/index.ts';
import { originOf, resourceText } from '../../api/resource.ts';
import { hostCovers, isWildcard } from '../../lib/hostname.ts';
import { Memo } from '../../lib/memo.ts';
import type { Service } from '../../registry/model.ts';
import type { Address } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import { TrafficDirection } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { listenerAccessLogs } from '../access-log.ts';
import { type Authorization, authorization } from '../authorization/filters.ts';
import type { TranslateContext } from '../context.ts';
import { proxyProtocol, tcpProxy, tlsInspector } from '../filters.ts';
import { injectionAt, reportRefusedInjection } from '../gateway-injection.ts';
import { type GatewayPort, type GatewayServer, gatewayPorts } from '../gateways.ts';
import { MESH_ALPN } from '../mesh-tls.ts';
import { metadataOf } from '../metadata.ts';
import { dnsSrvClusterName } from '../names.ts';
import { type Made, made, take } from '../notes.ts';
import { socketAddress } from '../proto.ts';
import { gatewayRoutes } from '../routes/gateway.ts';
import { originMetadata } from '../routes/origin.ts';
import { type Chain, ChainSet, chain, filterChain, matchesAll } from './chains.ts';
import { downstreamTls } from './downstream-tls.ts';
import { httpConnectionManager } from './hcm.ts';
import { WILDCARD } from './outbound.ts';
import type { BuiltListeners } from './planned.ts';
import { NO_IDENTITIES, type Refusal, type RefusalOf, refusals, refusingChain, reportRefusal } from './refusal.ts';
import { destinationFilters } from './tcp-chains.ts';

export function gatewayListeners(context: TranslateContext): BuiltListeners {
  const policies = { refusalOf: refusals(context), authorization: authorization(context) };
  const listeners: Listener[] = [];
  const byRoute = new Map<string, GatewayServer[]>();
  for (const shared of gatewayPorts(context)) {
    for (const entry of shared.servers) {
      if (!entry.routeName) continue;
      const sharing = byRoute.get(entry.routeName);
      if (sharing) sharing.push(entry);
      else byRoute.set(entry.routeName, [entry]);
    }
    const listener = gatewayListener(context, shared, policies);
    if (listener) listeners.push(listener);
  }
  return { listeners, routes: new Map([...byRoute].map(([name, servers]) => [name, () => gatewayRoutes(context, name, servers)])) };
}

interface Policies {
  readonly refusalOf: RefusalOf;
  readonly authorization: Authorization;
}

/** Undefined if no server has anywhere to send connections: then nothing is bound, and clients are refused. */
function gatewayListener(context: TranslateContext, { port, bind, servers }: GatewayPort, policies: Policies): Listener | undefined {
  const { config } = context.mesh;
  const name = `${bind || WILDCARD}_${port}`;
  const chains = portChains(context, servers, name, policies.refusalOf(port), policies.authorization);
  const [first] = chains;
  if (!first) return undefined;
  const address = bind || (context.proxy.bindAddress ?? WILDCARD);
  const gateways = [...new Set(servers.map((entry) => entry.gateway))];
  return kept.listeners.get([config, first, name], [address, ...gateways, ...chains], () =>
    buildListener(config, name, socketAddress(address, port), gateways, chains),
  );
}

function buildListener(
  config: MeshConfig,
  name: string,
  address: Address,
  gateways: readonly ResourceOf<'Gateway'>[],
  chains: readonly Chain[],
): Listener {
  const inspectsTls = chains.some(
    (each) => each.serverNames.length > 0 || each.transportSocket !== undefined || each.transportProtocol !== '',
  );
  const listenerFilters = [
    ...(config.defaultConfig.gatewayTopology?.proxyProtocol ? [proxyProtocol()] : []),
    ...(inspectsTls ? [tlsInspector()] : []),
  ];
  return create(ListenerSchema, {
    name,
    address,
    trafficDirection: TrafficDirection.OUTBOUND,
    listenerFilters,
    // The chain that takes everything stands last.
    filterChains: [...chains.filter((each) => !matchesAll(each)), ...chains.filter(matchesAll)].map(filterChain),
    accessLog: listenerAccessLogs(config, 'CLIENT'),
    metadata: metadataOf({ origins: gateways }),
  });
}

/** Each by what it follows from besides the configuration. */
const kept = {
  listeners: new Memo<Listener>(),
  http: new Memo<Chain>(),
  https: new Memo<Made<Chain>>(),
  rules: new Memo<Chain>(),
  clusters: new Memo<readonly Chain[]>(),
};

/** Chains of all servers of a port; of two with one match the older stays. Plain HTTP servers share one. */
function portChains(
  context: TranslateContext,
  servers: readonly GatewayServer[],
  name: string,
  refusal: Refusal | undefined,
  authorized: Authorization,
): readonly Chain[] {
  const chains = new ChainSet();
  const mixed = servers.some((entry) => entry.kind !== 'http' && entry.kind !== 'tcp');
  const passed = new Set<string>();
  const add = (entry: GatewayServer, parts: Chain) => {
    // Of a match for several names Istio drops all where an older one has but one of them.
    const repeated = entry.kind === 'passthrough' && parts.serverNames.some((name) => passed.has(name.toLowerCase()));
    if (repeated || chains.add(parts)) reportSameMatch(context, entry, parts);
    if (entry.kind === 'passthrough' && !repeated) for (const name of parts.serverNames) passed.add(name.toLowerCase());
  };
  const plainHttp = servers.filter((entry) => entry.kind === 'http');
  for (const entry of servers) {
    if (entry.kind === 'http' && entry !== plainHttp[0]) continue;
    const http = entry.kind === 'http' || entry.kind === 'https';
    const own =
      entry.kind === 'http' ? [httpChain(context, plainHttp, name, mixed, authorized.http)] : serverChains(context, entry, authorized.http);
    const lacking = withoutIdentity(context, entry);
    for (const each of own) {
      if (lacking) add(entry, refused(context, { ...each, transportProtocol: 'tls', transportSocket: undefined }, false, lacking));
      else if (refusal) add(entry, refused(context, each, http, refusal));
      else add(entry, http || authorized.network.length === 0 ? each : { ...each, filters: [...authorized.network, ...each.filters] });
    }
  }
  return chains.list();
}

/** Why a server can't do the mutual TLS of the mesh that it asks for. */
function withoutIdentity(context: TranslateContext, { server, gateway }: GatewayServer): Refusal | undefined {
  if (server.tls?.mode !== 'ISTIO_MUTUAL' || !context.mesh.withoutIdentities) return undefined;
  const reason = `server ${server.port.name || server.port.number} of ${resourceText(gateway)} asks for ISTIO_MUTUAL, and ${NO_IDENTITIES}`;
  reportRefusal(context, gateway, reason);
  return { origin: gateway, reason };
}

function refused(context: TranslateContext, { filters, metadata, ...match }: Chain, http: boolean, refusal: Refusal): Chain {
  return refusingChain(context, { ...match, side: 'gateway', http }, refusal);
}

function httpChain(
  { mesh }: TranslateContext,
  servers: readonly GatewayServer[],
  name: string,
  besideTls: boolean,
  authorized: Authorization['http'],
): Chain {
  const origins = [...new Set(servers.map((entry) => entry.gateway))];
  const { gateway, routeName } = servers[0]!;
  return kept.http.get([mesh.config, gateway, name], [besideTls, routeName, ...origins, ...authorized], () => {
    const options = { side: 'gateway', statPrefix: `outbound_${name}`, routes: routeName, authorization: authorized } as const;
    const filter = httpConnectionManager(mesh.config, options);
    return chain({ filters: [filter], metadata: metadataOf({ origins }), transportProtocol: besideTls ? 'raw_buffer' : '' });
  });
}

function httpsChain(context: TranslateContext, entry: GatewayServer, authorized: Authorization['http']): Chain {
  const { server, serverNames, gateway, routeName, bind, port } = entry;
  const { config } = context.mesh;
  const statPrefix = server.name || `outbound_${bind || WILDCARD}_${port}`;
  const injection = injectionAt(context, gateway, server);
  if (injection?.refusal !== undefined) reportRefusedInjection(context, gateway, injection.refusal);
  const values = injection && injection.refusal === undefined ? injection.values : [];
  const build = () =>
    made(({ secrets }) => {
      const injects = values.length > 0 && values.map((value) => secrets.credentialValue(value, gateway));
      const filter = httpConnectionManager(config, { side: 'gateway', statPrefix, routes: routeName, authorization: authorized, injects });
      const transportSocket = downstreamTls(secrets, config, entry);
      return chain({ serverNames, filters: [filter], transportSocket, metadata: originMetadata(gateway) });
    });
  return take(
    kept.https.get([config, gateway, server], [statPrefix, routeName, values.join(), ...serverNames, ...authorized], build),
    context,
  );
}

function serverChains(context: TranslateContext, entry: GatewayServer, authorized: Authorization['http']): readonly Chain[] {
  const { kind, serverNames } = entry;
  switch (kind) {
    case 'https':
      return [httpsChain(context, entry, authorized)];
    case 'tls':
      return tcpRuleChains(context, entry).map((each) => ({
        ...each,
        serverNames,
        transportSocket: downstreamTls(context.secrets, context.mesh.config, entry),
      }));
    case 'tcp':
      return tcpRuleChains(context, entry);
    case 'passthrough':
      return tlsRuleChains(context, entry);
    case 'auto-passthrough':
      return clusterChains(context, entry);
    case 'http':
      return [];
  }
}

/** VirtualServices that have a host of this server. */
function boundVirtualServices(context: TranslateContext, { hosts, gatewayName }: GatewayServer): ResourceOf<'VirtualService'>[] {
  return context.scope.virtualServicesForGateway(gatewayName).filter(({ spec, metadata }) =>
    hosts.some((host) => {
      const slash = host.indexOf('/');
      if (slash >= 0 && host.slice(0, slash) !== metadata.namespace) return false;
      const name = host.slice(slash + 1);
      return spec.hosts.some((each) => hostCovers(name, each) || hostCovers(each, name));
    }),
  );
}

/** The first `tcp` rule for this port and gateway: bytes say nothing by which several could be told apart. */
function tcpRuleChains(context: TranslateContext, entry: GatewayServer): Chain[] {
  for (const virtualService of boundVirtualServices(context, entry)) {
    for (const rule of virtualService.spec.tcp) {
      if (rule.route.length === 0 || !(rule.match.length === 0 || rule.match.some((match) => concerns(entry, match)))) continue;
      return [ruleChain(context, entry, virtualService, rule, [])];
    }
  }
  return [];
}

function tlsRuleChains(context: TranslateContext, entry: GatewayServer): Chain[] {
  return boundVirtualServices(context, entry).flatMap((virtualService) =>
    virtualService.spec.tls
      .filter((rule) => rule.route.length > 0)
      .flatMap((rule) =>
        rule.match
          .filter((match) => concerns(entry, match))
          .map((match) => ruleChain(context, entry, virtualService, rule, match.sniHosts)),
      ),
  );
}

/** To the destinations of a rule; kept with them and with what DestinationRules say of the first. */
function ruleChain(
  context: TranslateContext,
  { server, gateway }: GatewayServer,
  virtualService: ResourceOf<'VirtualService'>,
  rule: { readonly route: readonly RouteDestination[] },
  serverNames: readonly string[],
): Chain {
  const { scope, mesh } = context;
  const services = rule.route.map(({ destination }) => scope.serviceFor(destination.host));
  const followed = services[0] && scope.destinationRuleFor(services[0].hostname);
  const { number } = server.port;
  return kept.rules.get([mesh.config, rule, gateway, number, serverNames.join()], [virtualService, followed, ...services], () =>
    chain({
      serverNames,
      filters: destinationFilters(context, rule.route, { number }, virtualService, serverNames.length > 0),
      metadata: metadataOf({ origins: [virtualService, gateway] }),
    }),
  );
}

/** At a gateway, conditions on the source beside these are not looked at, as in Istio. */
function concerns(
  { server, gatewayName }: GatewayServer,
  match: { readonly port?: number; readonly gateways: readonly string[] },
): boolean {
  if (match.port && match.port !== server.port.number) return false;
  return match.gateways.length === 0 || match.gateways.includes(gatewayName);
}

/** AUTO_PASSTHROUGH: a chain for each cluster, known by an SNI that names it. What passes is mutual TLS of the mesh that the workload behind terminates. */
function clusterChains({ scope, mesh: { config } }: TranslateContext, { gateway, serverNames }: GatewayServer): readonly Chain[] {
  return scope.services.flatMap((service) => {
    // No SNI can name a wildcard's cluster, and Envoy refuses a listener that asks for one.
    if (service.meshExternal || isWildcard(service.hostname)) return [];
    if (!serverNames.some((name) => hostCovers(name, service.hostname))) return [];
    const rule = scope.destinationRuleFor(service.hostname);
    return kept.clusters.get([config, gateway, service], [rule], () => chainsOf(service, rule?.spec, gateway, config));
  });
}

function chainsOf(
  service: Service,
  destinationRule: DestinationRule | undefined,
  gateway: ResourceOf<'Gateway'>,
  config: MeshConfig,
): readonly Chain[] {
  const subsets = ['', ...(destinationRule?.subsets.map((each) => each.name) ?? [])];
  const ports = service.ports.filter(({ protocol }) => protocol !== 'UDP');
  return ports.flatMap((port) =>
    subsets.map((subset) => {
      const name = dnsSrvClusterName(service.hostname, port.number, subset);
      const clusters = [{ name, weight: 1 }];
      const filter = tcpProxy({ statPrefix: name, clusters, destinationRule, subset, logged: { config, mode: 'CLIENT' } });
      const metadata = metadataOf({ origins: [gateway, service.resource] });
      return chain({ serverNames: [name], applicationProtocols: MESH_ALPN.any, filters: [filter], metadata });
    }),
  );
}

function reportSameMatch({ report }: TranslateContext, { gateway, server }: GatewayServer, { serverNames }: Chain): void {
  report({
    code: 'IST0145',
    level: 'Error',
    message: `a rule for ${serverNames.join(', ') || 'any host'} on port ${server.port.number} is not served: an older one takes the same connections`,
    origin: originOf(gateway),
    position: gateway.source.position(),
  });
}
