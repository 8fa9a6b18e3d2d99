import type { Destination, ResourceOf } from '../../api/index.ts';
import { originOf } from '../../api/resource.ts';
import { isWildcard } from '../../lib/hostname.ts';
import { originText } from '../../lib/origin.ts';
import type { Service } from '../../registry/model.ts';
import type { Context } from '../context.ts';
import {
  type AnyRule,
  destinationHosts,
  type Gateway,
  gatewayServices,
  gatewaysAtEndpoints,
  type VirtualService,
  withDelegates,
} from '../egress-model.ts';
import { gatewayPods } from './gateway.ts';
import { howCallsEnd } from './virtual-service-destinations.ts';
import { findGateway } from './virtual-service-gateways.ts';

/** SP1015, SP1016, SP1031: routes at a gateway that lead back to it, to a host that it cannot reach, or to one whose DestinationRule it does not see. */
export function gatewayRoutes(context: Context): void {
  const services = gatewayServices(context);
  for (const alone of context.of('VirtualService')) {
    // A delegate's rules hold by way of its roots.
    if (alone.spec.hosts.length === 0) continue;
    const virtualService = withDelegates(context, alone);
    const { namespace } = virtualService.metadata;
    const { spec } = virtualService;
    const resolved = new Map<string, Gateway | undefined>();
    for (const kind of ['http', 'tls', 'tcp'] as const) {
      const rules: readonly AnyRule[] = spec[kind];
      for (let i = 0; i < rules.length; i++) {
        const rule = rules[i]!;
        if (rule.route.length === 0) continue;
        const gateways = gatewaysOf(context, rule, spec.gateways, namespace, resolved);
        if (gateways.length > 0) checkRoutes(context, virtualService, rule, ['spec', kind, i], gateways, services);
      }
    }
  }
}

/** The Gateways at which a rule holds; `resolved` keeps what names mean in this VirtualService. */
function gatewaysOf(
  context: Context,
  { match }: AnyRule,
  defaults: readonly string[],
  namespace: string,
  resolved: Map<string, Gateway | undefined>,
): Gateway[] {
  const found: Gateway[] = [];
  const add = (names: readonly string[], port?: number) => {
    for (const name of names) {
      if (name === 'mesh') continue;
      if (!resolved.has(name)) resolved.set(name, findGateway(context, name, namespace));
      const gateway = resolved.get(name);
      const meets = !port || gateway?.spec.servers.some((server) => server.port.number === port);
      if (gateway && meets && !found.includes(gateway)) found.push(gateway);
    }
  };
  if (match.length === 0) add(defaults);
  else for (const { gateways, port } of match) add(gateways.length > 0 ? gateways : defaults, port);
  return found;
}

function checkRoutes(
  context: Context,
  virtualService: VirtualService,
  rule: AnyRule,
  at: readonly (string | number)[],
  gateways: readonly Gateway[],
  services: ReadonlyMap<string, readonly Gateway[]>,
): void {
  for (const [j, host] of destinationHosts(virtualService, rule).entries()) {
    const path = [...at, 'route', j, 'destination', 'host'];
    const behind = services.get(host);
    const loop = behind && gateways.find((gateway) => behind.some((other) => samePods(context, gateway, other)));
    if (loop) {
      context.report(
        'SP1015',
        virtualService,
        path,
        `At gateway ${loop.metadata.namespace}/${loop.metadata.name} this route leads to ${host}, which is the gateway itself: calls go round until the connection limit. Limit the rule to mesh (match: gateways: [mesh]), and add one for the gateway that leads to the external host.`,
      );
      continue;
    }
    for (const gateway of gateways) {
      const podNamespace = gatewayPods(context, gateway)[0]?.namespace;
      if (podNamespace === undefined) continue;
      const seen = context.registry.lookup(host, podNamespace);
      if (seen) {
        if (hasNoAddress(seen)) reportNoAddress(context, virtualService, path, seen);
        else if (leadsBack(context, seen, rule.route[j]!.destination, gateway))
          reportEndpointLoop(context, virtualService, path, seen, gateway);
        reportHiddenRule(context, seen, gateway);
        continue;
      }
      const hidden = context.services.at(host)[0];
      if (!hidden) continue;
      context.report(
        'SP1016',
        virtualService,
        path,
        `Gateway ${gateway.metadata.namespace}/${gateway.metadata.name} runs in ${podNamespace}, to which ${hidden.resource.kind} ${hidden.namespace}/${hidden.resource.metadata.name} is not exported: ${howCallsEnd(virtualService, path, 'NC')}. Add ${podNamespace} to its exportTo.`,
      );
    }
  }
}

/** Whether the endpoints of a destination are the gateway's own. */
function leadsBack(context: Context, service: Service, { port: named }: Destination, gateway: Gateway): boolean {
  const port = named ? service.ports.find(({ number }) => number === named.number) : service.ports[0];
  return port !== undefined && gatewaysAtEndpoints(context, service, port).some((other) => samePods(context, gateway, other));
}

function reportEndpointLoop(
  context: Context,
  virtualService: VirtualService,
  path: (string | number)[],
  { hostname, resource }: Service,
  { metadata }: Gateway,
): void {
  context.report(
    'SP1015',
    virtualService,
    path,
    `At gateway ${metadata.namespace}/${metadata.name} this route leads to ${hostname}, whose endpoints in ${originText(originOf(resource))} are the gateway itself: calls go round until the connection limit. Take the endpoints out there, and lead calls to the gateway with a rule on the mesh (match: gateways: [mesh]).`,
  );
}

/** Whether a gateway has nowhere to connect to; what a sidecar's client dialled it does not know. */
function hasNoAddress({ registry, resolution, addresses }: Service): boolean {
  return registry === 'External' && resolution === 'Passthrough' && addresses.every((address) => address.includes('/'));
}

function reportNoAddress(context: Context, virtualService: VirtualService, path: (string | number)[], service: Service): void {
  context.report(
    'SP1016',
    virtualService,
    path,
    `${service.resource.kind} ${service.namespace}/${service.resource.metadata.name} gives ${service.hostname} no address (resolution NONE, or a wildcard without endpoints): a sidecar dials what the application dialled, and at a gateway that is the gateway itself, so ${howCallsEnd(virtualService, path, 'UH')}. ${mendOf(service, String(path[1]))}`,
  );
}

/** DYNAMIC_DNS resolves the name that TLS or a request carries: Istio takes it with protocol TLS or HTTP, not HTTPS. `kind`: of the rule that leads there. */
function mendOf({ hostname, ports }: Service, kind: string): string {
  if (!isWildcard(hostname)) return 'Use resolution DNS, or write endpoints.';
  const names = 'Name the hosts that are needed in place of the wildcard (there, in the rules and in the Gateway), with resolution DNS';
  // Bytes carry no name.
  if (kind === 'tcp') return `${names}.`;
  const https = ports.some(({ protocol }) => protocol === 'HTTPS') ? ' and protocol: TLS in place of HTTPS' : '';
  const inCluster =
    kind === 'tls' ? ' (Istio resolves no name after a tls rule, see SP1052: it helps only where proxies are configured from here)' : '';
  return `${names}; or, if every name under ${hostname.slice(1)} may be called, use resolution DYNAMIC_DNS${https}${inCluster}.`;
}

/** SP1031: a DestinationRule that asks for TLS to a host, and does not hold at the gateway that calls the host. */
function reportHiddenRule(context: Context, service: Service, gateway: Gateway): void {
  if (context.of('DestinationRule').length === 0) return;
  const rule = context.destinationRules.covering(service.hostname).find(asksForTls);
  const pod = gatewayPods(context, gateway)[0];
  if (!rule || !pod || context.ruleFor(pod, service)) return;
  context.report(
    'SP1031',
    rule,
    rule.spec.exportTo.length > 0 ? ['spec', 'exportTo'] : ['metadata', 'name'],
    `Gateway ${gateway.metadata.namespace}/${gateway.metadata.name} calls ${service.hostname} from namespace ${pod.namespace}, where this DestinationRule does not hold: it calls without the TLS that is asked for here. ${whereRulesHold(service)} Move it to ${pod.namespace}, or export it there from ${service.namespace}.`,
  );
}

/** Whether the rule originates TLS to its host or to a port of it. */
export function asksForTls({ spec }: ResourceOf<'DestinationRule'>): boolean {
  return [spec.trafficPolicy, ...(spec.trafficPolicy?.portLevelSettings ?? [])].some(
    (policy) => policy?.tls && policy.tls.mode !== 'DISABLE',
  );
}

/** Istio's rule, for messages. */
export function whereRulesHold({ resource, namespace }: Service): string {
  return `A DestinationRule holds for callers of its own namespace; exported, only from the namespace of the host's ${resource.kind} (${namespace}) or the root namespace.`;
}

function samePods(context: Context, a: Gateway, b: Gateway): boolean {
  if (a === b) return true;
  const pods = new Set(gatewayPods(context, a));
  return gatewayPods(context, b).some((pod) => pods.has(pod));
}
