/** Filter chains for TLS and TCP on a sidecar's outbound side: those that VirtualServices ask for, else the service's own. */

import type { L4MatchAttributes, ResourceOf, RouteDestination, TlsMatchAttributes } from '../../api/index.ts';
import { canonicalRange } from '../../lib/ip.ts';
import { matchesLabels } from '../../lib/labels.ts';
import { Memo } from '../../lib/memo.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { isTls } from '../../registry/protocol.ts';
import type { Filter } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type BindingJson, bindingFor, bindingOfAll } from '../binding.ts';
import type { TranslateContext } from '../context.ts';
import { tcpProxy } from '../filters.ts';
import { MESH_GATEWAY, outboundClusterName } from '../names.ts';
import { destinationCluster } from '../routes/destination.ts';
import { aliasNames } from '../routes/domains.ts';
import { originMetadata } from '../routes/origin.ts';
import { type Chain, chain } from './chains.ts';
import { dynamicDnsFilters } from './dynamic-dns.ts';

interface TcpListen {
  readonly service: Service;
  /** The port of the listener; its number may differ from the service's where a Sidecar names it. */
  readonly port: ServicePort;
  /** Networks of the service, where the listener is bound to every address. */
  readonly cidrs: readonly string[];
  /** True where the listener is not at an address of the service, so that only SNI or networks tell services apart. */
  readonly shared: boolean;
  /** Those on the mesh that have a host in common with the service, oldest first. */
  readonly virtualServices: readonly ResourceOf<'VirtualService'>[];
}

const kept = new Memo<readonly Chain[]>();

/** In the order in which they count: of two with the same match the first stays. Kept while the rules and their destinations are what they were. */
export function outboundTcpChains(context: TranslateContext, listen: TcpListen): readonly Chain[] {
  const { proxy, scope, mesh } = context;
  const { service, port, cidrs, shared } = listen;
  const inputs: unknown[] = [scope.destinationRuleFor(service.hostname), ...cidrs];
  const concerned: boolean[] = [];
  for (const virtualService of listen.virtualServices) {
    const { tls, tcp } = virtualService.spec;
    if (tls.length === 0 && tcp.length === 0) continue;
    inputs.push(virtualService);
    for (const { match, route } of [...tls, ...tcp]) {
      for (const each of match) concerned.push(concerns(context, each, port.number));
      for (const each of match) if ('sniHosts' in each) inputs.push(...each.sniHosts.map((host) => scope.serviceFor(host)));
      for (const { destination } of route) {
        const target = scope.serviceFor(destination.host);
        inputs.push(target, target && scope.destinationRuleFor(target.hostname));
      }
    }
  }
  const key = [port.number, port.protocol, shared, proxy.namespace, concerned].join(' ');
  return kept.get([mesh.config, key, service], inputs, () =>
    isTls(port.protocol) ? tlsChains(context, listen) : tcpChains(context, listen),
  );
}

function tlsChains(context: TranslateContext, listen: TcpListen): Chain[] {
  const chains: Chain[] = [];
  const seen = new Set<string>();
  // Istio keeps the subnets of a match for every later one of the port that names none, be it in another rule or VirtualService.
  let cidrs = listen.cidrs;
  for (const virtualService of listen.virtualServices) {
    for (const rule of virtualService.spec.tls) {
      for (const match of rule.match) {
        if (!concerns(context, match, listen.port.number)) continue;
        if (match.destinationSubnets.length > 0) cidrs = match.destinationSubnets;
        // Matches that differ only in what is decided here are one to the proxy, and the first of them counts.
        const key = JSON.stringify([match.sniHosts, match.destinationSubnets]);
        if (seen.has(key)) continue;
        seen.add(key);
        chains.push(
          chain({
            serverNames: match.sniHosts,
            destinationCidrs: cidrs,
            filters: destinationFilters(context, rule.route, listen.port, virtualService, true),
            metadata: originMetadata(virtualService, virtualService, bindingForNames(context, match.sniHosts, listen)),
          }),
        );
      }
    }
  }
  if (chains.length > 0) return chains;
  // Behind an address of its own the service is known; elsewhere only the SNI tells it.
  const serverNames = listen.shared ? [listen.service.hostname, ...aliasNames(listen.service, context.proxy.namespace)] : [];
  return [chain({ ...serviceChain(context, listen), serverNames })];
}

function tcpChains(context: TranslateContext, listen: TcpListen): Chain[] {
  const chains: Chain[] = [];
  for (const virtualService of listen.virtualServices) {
    for (const rule of virtualService.spec.tcp) {
      const matches = rule.match.filter((match) => concerns(context, match, listen.port.number));
      if (rule.match.length > 0 && matches.length === 0) continue;
      const anywhere = matches.length === 0 || matches.some((match) => match.destinationSubnets.length === 0);
      const subnets = matches.flatMap((match) => match.destinationSubnets);
      chains.push(
        chain({
          destinationCidrs: anywhere ? listen.cidrs : subnets,
          filters: destinationFilters(context, rule.route, listen.port, virtualService, false),
          metadata: originMetadata(virtualService, virtualService, bindingFor(listen.service, context.mesh.config, listen.port)),
        }),
      );
      // What takes every address of the service leaves nothing for rules behind it.
      if (anywhere || sameNetworks(subnets, listen.cidrs)) return chains;
    }
  }
  return [...chains, serviceChain(context, listen)];
}

function concerns({ proxy }: TranslateContext, match: TlsMatchAttributes | L4MatchAttributes, port: number): boolean {
  if (match.gateways.length > 0 && !match.gateways.includes(MESH_GATEWAY)) return false;
  if (match.port && match.port !== port) return false;
  if (match.sourceNamespace && match.sourceNamespace !== proxy.namespace) return false;
  return matchesLabels(match.sourceLabels, proxy.labels);
}

function sameNetworks(a: readonly string[], b: readonly string[]): boolean {
  return a.length > 0 && a.map(canonicalRange).sort().join() === b.map(canonicalRange).sort().join();
}

/** To the service itself, on its only port if it has one port, else on the listener's. */
function serviceChain(context: TranslateContext, { service, port, cidrs }: TcpListen): Chain {
  const number = service.ports.length === 1 ? service.ports[0]!.number : port.number;
  const cluster = outboundClusterName(service.hostname, number);
  const proxy = tcpProxy({
    statPrefix: cluster,
    clusters: [{ name: cluster, weight: 1 }],
    destinationRule: context.scope.destinationRuleFor(service.hostname)?.spec,
    logged: { config: context.mesh.config, mode: 'CLIENT' },
  });
  return chain({
    destinationCidrs: cidrs,
    // Not by the cluster's resolution, which may be an older object's: this one's chain need not ask for a name of that service.
    filters: [...dynamicDnsFilters(context, service, number), proxy],
    metadata: originMetadata(service.resource, service.resource, bindingFor(service, context.mesh.config, port)),
  });
}

/** A rule may be for the names of several hosts, each of which may be bound. */
function bindingForNames(
  { scope, mesh }: TranslateContext,
  names: readonly string[],
  { service, port }: TcpListen,
): BindingJson | undefined {
  const services = new Set(names.map((name) => scope.serviceFor(name) ?? service));
  return bindingOfAll([...services], mesh.config, port);
}

/**
 * To the destinations of a `tls` or `tcp` rule; those with weight 0 take no connection unless they are alone. `hasNames`: the rule is for server names
 * that it states; without, no name is resolved after it (DYNAMIC_DNS), since it could be any.
 */
export function destinationFilters(
  context: TranslateContext,
  routes: readonly RouteDestination[],
  port: Pick<ServicePort, 'number'>,
  origin: ResourceOf<'VirtualService'>,
  hasNames: boolean,
): Filter[] {
  const { scope, mesh } = context;
  const first = routes[0]!.destination;
  const service = scope.serviceFor(first.host);
  const destinationRule = service && scope.destinationRuleFor(service.hostname)?.spec;
  if (routes.length === 1) {
    const cluster = destinationCluster(first, service, port.number);
    const proxy = tcpProxy({
      statPrefix: cluster,
      clusters: [{ name: cluster, weight: 1 }],
      destinationRule,
      subset: first.subset,
      logged: { config: mesh.config, mode: 'CLIENT' },
    });
    return service && hasNames ? [...dynamicDnsFilters(context, service, first.port?.number || port.number), proxy] : [proxy];
  }
  const weighted = routes.filter(({ weight }) => weight > 0);
  const clusters = weighted.map(({ destination, weight }) => ({
    name: destinationCluster(destination, scope.serviceFor(destination.host), port.number),
    weight,
  }));
  return [
    tcpProxy({
      statPrefix: `${origin.metadata.name}.${origin.metadata.namespace}`,
      clusters,
      destinationRule,
      logged: { config: mesh.config, mode: 'CLIENT' },
    }),
  ];
}
