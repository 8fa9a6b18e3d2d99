/** The routes of a gateway's HTTP servers. */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf, VirtualService } from '../../api/index.ts';
import type { Resource } from '../../api/resource.ts';
import { Memo } from '../../lib/memo.ts';
import {
  type VirtualHost,
  VirtualHost_TlsRequirementType,
  VirtualHostSchema,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import type { TranslateContext } from '../context.ts';
import type { GatewayServer } from '../gateways.ts';
import { metadataOf } from '../metadata.ts';
import { intersectHosts } from './host-sets.ts';
import { type LazyRoutes, routesOf } from './kept.ts';
import { isCatchAll } from './match.ts';
import { routeConfiguration } from './sidecar.ts';
import { virtualHostOf } from './virtual-host.ts';

interface HostDraft {
  readonly host: string;
  /** The port as the first server that has the host calls it. */
  readonly port: number;
  /** Of one VirtualService each. */
  readonly routes: LazyRoutes[];
  /** VirtualServices, which decide, before Gateways. */
  readonly rules: Set<Resource>;
  readonly gateways: Set<Resource>;
  requireTls: boolean;
}

/** `servers` share the name. Routes of several VirtualServices for a host stand in the order of their age, catch-alls behind the others. */
export function gatewayRoutes(context: TranslateContext, name: string, servers: readonly GatewayServer[]): RouteConfiguration {
  const hosts = new Map<string, HostDraft>();
  for (const server of servers) addServer(context, hosts, server);
  const virtualHosts = [...hosts.values()].map(virtualHost).sort((a, b) => (a.name < b.name ? -1 : 1));
  return routeConfiguration(name, virtualHosts.length > 0 ? virtualHosts : [noRoutes(servers[0]!)]);
}

function addServer(context: TranslateContext, hosts: Map<string, HostDraft>, entry: GatewayServer): void {
  const { server, gatewayName, gateway } = entry;
  const port = server.port.number;
  const redirects = server.tls?.httpsRedirect ?? false;
  const draft = (host: string): HostDraft => {
    const found = hosts.get(host) ?? { host, port, routes: [], rules: new Set(), gateways: new Set(), requireTls: false };
    found.gateways.add(gateway);
    found.requireTls ||= redirects;
    hosts.set(host, found);
    return found;
  };
  const routing = {
    proxy: context.proxy,
    destinations: context.scope,
    config: context.mesh.config,
    port,
    gateway: gatewayName,
    tls: server.tls !== undefined,
  };
  for (const virtualService of context.scope.virtualServicesForGateway(gatewayName)) {
    const common = intersectHosts(hostsFor(entry, virtualService), virtualService.spec.hosts);
    const routes = common.length > 0 ? routesOf(routing, virtualService) : undefined;
    if (!routes) continue;
    for (const host of common) {
      const { routes: all, rules } = draft(host);
      all.push(routes);
      rules.add(virtualService);
    }
  }
  // A redirect to HTTPS needs no route.
  if (redirects) for (const host of entry.serverNames.length > 0 ? entry.serverNames : plainHosts(entry)) draft(host);
}

/** The server's hosts that a VirtualService of this namespace may use. */
function hostsFor({ hosts }: GatewayServer, { metadata }: ResourceOf<'VirtualService'>): string[] {
  return hosts.flatMap((host) => {
    const slash = host.indexOf('/');
    if (slash < 0) return [host];
    return host.slice(0, slash) === metadata.namespace ? [host.slice(slash + 1)] : [];
  });
}

function plainHosts({ hosts }: GatewayServer): string[] {
  return hosts.map((host) => host.slice(host.indexOf('/') + 1));
}

function virtualHost(draft: HostDraft): VirtualHost {
  const { host, port, routes, rules, gateways, requireTls } = draft;
  const [owner] = [...routes, ...gateways];
  // Most have one host: the key is that of its routes alone.
  const [first] = rules;
  const only = first !== undefined && (first.spec as VirtualService).hosts.length === 1;
  return kept.get(only ? [owner!] : [owner!, host], [host, port, requireTls, ...routes, ...rules, ...gateways], () => buildHost(draft));
}

const kept = new Memo<VirtualHost>();

function buildHost({ host, port, routes, rules, gateways, requireTls }: HostDraft): VirtualHost {
  const init = {
    name: `${host}:${port}`,
    domains: [host],
    requireTls: requireTls ? VirtualHost_TlsRequirementType.ALL : VirtualHost_TlsRequirementType.NONE,
    includeRequestAttemptCount: true,
    metadata: metadataOf({ origins: [...rules, ...gateways] }),
  };
  return virtualHostOf(init, () => {
    const all = routes.flatMap(({ read }) => read());
    return [...all.filter((route) => !isCatchAll(route)), ...all.filter(isCatchAll)];
  });
}

/** Answers 404: the server is there, but no VirtualService has a route for it. */
function noRoutes({ server, gateway }: GatewayServer): VirtualHost {
  return create(VirtualHostSchema, {
    name: `blackhole:${server.port.number}`,
    domains: ['*'],
    metadata: metadataOf({ origins: [gateway] }),
  });
}
