/** The listeners of a router: one for each port that its Gateways' servers bind. */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf } from '../../api/index.ts';
import { originOf, resourceText } from '../../api/resource.ts';
import { hostCovers, isWildcard } from '../../lib/hostname.ts';
import { TrafficDirection } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { accessLogs, listenerAccessLogs } from '../access-log.ts';
import { type Authorization, authorization } from '../authorization/filters.ts';
import type { TranslateContext } from '../context.ts';
import { proxyProtocol, tcpProxy, tlsInspector } from '../filters.ts';
import { type GatewayPort, type GatewayServer, gatewayPorts } from '../gateways.ts';
import { metadataOf } from '../metadata.ts';
import { dnsSrvClusterName } from '../names.ts';
import { socketAddress, toDuration } from '../proto.ts';
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
  if (chains.length === 0) return undefined;
  const inspectsTls = chains.some(
    (each) => each.serverNames.length > 0 || each.transportSocket !== undefined || each.transportProtocol !== '',
  );
  const listenerFilters = [
    ...(config.defaultConfig.gatewayTopology?.proxyProtocol ? [proxyProtocol()] : []),
    ...(inspectsTls ? [tlsInspector()] : []),
  ];
  return create(ListenerSchema, {
    name,
    address: socketAddress(bind || (context.proxy.bindAddress ?? WILDCARD), port),
    trafficDirection: TrafficDirection.OUTBOUND,
    listenerFilters,
    // A gateway waits for the ClientHello as long as it takes.
    listenerFiltersTimeout: toDuration(0),
    // The chain that takes everything stands last.
    filterChains: [...chains.filter((each) => !matchesAll(each)), ...chains.filter(matchesAll)].map(filterChain),
    accessLog: listenerAccessLogs(config),
    metadata: metadataOf({ origins: [...new Set(servers.map((entry) => entry.gateway))] }),
  });
}

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
  const add = (entry: GatewayServer, parts: Chain) => {
    if (chains.add(parts)) reportSameMatch(context, entry, parts);
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
      else if (refusal && (http || refusal.concerns === 'all')) add(entry, refused(context, each, http, refusal));
      else add(entry, http ? each : { ...each, filters: [...authorized.network, ...each.filters] });
    }
  }
  return chains.list();
}

/** Why a server can't do the mutual TLS of the mesh that it asks for. */
function withoutIdentity(context: TranslateContext, { server, gateway }: GatewayServer): Refusal | undefined {
  if (server.tls?.mode !== 'ISTIO_MUTUAL' || !context.mesh.withoutIdentities) return undefined;
  const reason = `server ${server.port.name || server.port.number} of ${resourceText(gateway)} asks for ISTIO_MUTUAL, and ${NO_IDENTITIES}`;
  reportRefusal(context, gateway, reason);
  return { origin: gateway, reason, concerns: 'all' };
}

function refused(context: TranslateContext, { filters, metadata, ...match }: Chain, http: boolean, refusal: Refusal): Chain {
  return refusingChain(context, { ...match, side: 'gateway', http }, refusal);
}

function httpChain(
  context: TranslateContext,
  servers: readonly GatewayServer[],
  name: string,
  besideTls: boolean,
  authorized: Authorization['http'],
): Chain {
  const filter = httpConnectionManager(context.mesh.config, {
    side: 'gateway',
    statPrefix: `outbound_${name}`,
    routes: servers[0]!.routeName,
    authorization: authorized,
  });
  const origins = [...new Set(servers.map((entry) => entry.gateway))];
  return chain({ filters: [filter], metadata: metadataOf({ origins }), transportProtocol: besideTls ? 'raw_buffer' : '' });
}

function serverChains(context: TranslateContext, entry: GatewayServer, authorized: Authorization['http']): Chain[] {
  const { server, kind, serverNames, gateway } = entry;
  switch (kind) {
    case 'https': {
      const statPrefix = server.name || `outbound_${entry.bind || WILDCARD}_${entry.port}`;
      const options = { side: 'gateway', statPrefix, routes: entry.routeName, authorization: authorized } as const;
      const filter = httpConnectionManager(context.mesh.config, options);
      return [chain({ serverNames, filters: [filter], transportSocket: downstreamTls(context, entry), metadata: originMetadata(gateway) })];
    }
    case 'tls':
      return tcpRuleChains(context, entry).map((each) => ({ ...each, serverNames, transportSocket: downstreamTls(context, entry) }));
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
      const filters = destinationFilters(context, rule.route, { number: entry.server.port.number }, virtualService);
      return [chain({ filters, metadata: metadataOf({ origins: [virtualService, entry.gateway] }) })];
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
          .map((match) =>
            chain({
              serverNames: match.sniHosts,
              filters: destinationFilters(context, rule.route, { number: entry.server.port.number }, virtualService),
              metadata: metadataOf({ origins: [virtualService, entry.gateway] }),
            }),
          ),
      ),
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

/** ALPN that only proxies of the mesh offer: what passes is mutual TLS that the workload behind terminates. */
const MESH_ALPN: readonly string[] = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2'];

/** AUTO_PASSTHROUGH: a chain for each cluster, known by an SNI that names it. */
function clusterChains(context: TranslateContext, entry: GatewayServer): Chain[] {
  const { scope, mesh } = context;
  const chains: Chain[] = [];
  for (const service of scope.services) {
    // No SNI can name a wildcard's cluster, and Envoy refuses a listener that asks for one.
    if (service.meshExternal || isWildcard(service.hostname)) continue;
    if (!entry.serverNames.some((name) => hostCovers(name, service.hostname))) continue;
    const destinationRule = scope.destinationRuleFor(service.hostname)?.spec;
    const subsets = ['', ...(destinationRule?.subsets.map((each) => each.name) ?? [])];
    for (const port of service.ports) {
      if (port.protocol === 'UDP') continue;
      for (const subset of subsets) {
        const name = dnsSrvClusterName(service.hostname, port.number, subset);
        const clusters = [{ name, weight: 1 }];
        const filter = tcpProxy({ statPrefix: name, clusters, destinationRule, subset, accessLog: accessLogs(mesh.config) });
        const metadata = metadataOf({ origins: [entry.gateway, service.resource] });
        chains.push(chain({ serverNames: [name], applicationProtocols: MESH_ALPN, filters: [filter], metadata }));
      }
    }
  }
  return chains;
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
