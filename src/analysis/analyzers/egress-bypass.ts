import type { Destination, HttpRoute } from '../../api/index.ts';
import { type Resource, resourceText } from '../../api/resource.ts';
import { fullHostname, isWildcard } from '../../lib/hostname.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { isVisible, visibilityOf } from '../../registry/visibility.ts';
import { workloadsOf } from '../callers.ts';
import type { Context } from '../context.ts';
import {
  type AnyRule,
  destinationHosts,
  externalServices,
  type FindMeshVirtualService,
  type Gateway,
  gatewayServices,
  gatewaysFor,
  meshRules,
  meshVirtualServices,
  onlyPort,
  onMesh,
  routeKind,
  type VirtualService,
  withDelegates,
} from '../egress-model.ts';
import { type Leak, leaksTo } from '../ways.ts';
import { undeclaredLeaks } from '../ways-undeclared.ts';
import { reportHidden, reportHiddenBySidecars } from './egress-hidden.ts';
import { leadToGateway, ofKubernetes } from './egress-mends.ts';
import { reportPartialRules } from './egress-partial-rules.ts';
import { misspelt, type Strays, strayHosts } from './egress-strays.ts';
import { findGateway } from './virtual-service-gateways.ts';

/**
 * SP1001–SP1006, SP1008: external hosts whose traffic goes round an egress gateway. Only where there is one to go round: a Gateway that serves
 * the host, or sidecars' routes of other hosts that lead to a gateway's Service.
 */
export function* egressBypass(context: Context): Generator<void> {
  const services = gatewayServices(context);
  const atGateways = portsAtGateways(context);
  const external = externalServices(context);
  const find = meshVirtualServices(context);
  const strays = strayHosts(context);
  const routed: Routed[] = [];
  for (const service of external) {
    yield;
    const virtualService = find(service.hostname, (candidate) => seenWhere(context, candidate, service));
    const through = service.ports.filter(
      (port) =>
        virtualService &&
        meshRules(virtualService, service.hostname, port).some(({ rule }) =>
          destinationHosts(virtualService, rule).some((host) => services.has(host)),
        ),
    );
    const parts = through.length === 0 && isWildcard(service.hostname) ? partsThroughGateways(context, service.hostname) : [];
    routed.push({ service, virtualService, through, parts });
  }
  const inUse = leadsToGateway(context);
  if (inUse) yield* reportUndeclared(context);
  const hasWorkloads = workloadsOf(context).some(({ resource }) => resource.kind === 'Pod');
  for (const { service, virtualService, through, parts } of routed) {
    yield;
    const leaks = leaksTo(context, service);
    if (through.length === 0) {
      if (leaks.length > 0) reportBypass(context, { service, virtualService, parts, leaks, inUse, atGateways, find, strays });
      continue;
    }
    const told = new Set<ServicePort>();
    for (const port of service.ports) {
      const leaking = leaks.filter((leak) => leak.port === port);
      if (leaking.length === 0) continue;
      if (through.includes(port)) {
        if (reportDirectRules(context, service, port, virtualService!)) told.add(port);
        if (reportPartialRules(context, service, port, virtualService!)) told.add(port);
      } else {
        told.add(port);
        if (atGateways.get(service.hostname)?.has(port.number)) reportPortOfGateway(context, service, port, through);
        else reportPort(context, service, port, virtualService!, through);
      }
    }
    if (context.hints) reportUndeclaredTls(context, service, through);
    // Of files without workloads nobody knows which namespaces there are.
    if (leaks.length === 0 && hasWorkloads) continue;
    const hidden = [reportHidden(context, service, virtualService!), reportHiddenBySidecars(context, service, virtualService!)];
    if (!hidden.includes(true))
      for (const port of service.ports)
        if (!told.has(port))
          reportLeaks(
            context,
            leaks.filter((leak) => leak.port === port),
          );
  }
}

/** An external service, and what leads it to gateways. */
interface Routed {
  readonly service: Service;
  readonly virtualService: VirtualService | undefined;
  readonly through: readonly ServicePort[];
  readonly parts: readonly string[];
}

/** SP1008: rules for hosts that nothing declares, which sidecars follow on port 80 all the same. */
function* reportUndeclared(context: Context): Generator<void> {
  for (const { virtualService, host, rule, route, to } of yield* undeclaredLeaks(context)) {
    context.report(
      'SP1008',
      virtualService,
      ['spec', 'http', rule, 'route', route, 'destination', 'host'],
      `On the mesh this rule leads HTTP on port 80 to ${host}, which nothing declares there, straight to ${to}, past the egress gateway. Lead it to the gateway's Service, or limit it to the gateway (match: gateways).`,
    );
  }
}

interface Bypass {
  readonly service: Service;
  readonly virtualService: VirtualService | undefined;
  readonly parts: readonly string[];
  /** Not empty. */
  readonly leaks: readonly Leak[];
  readonly inUse: boolean;
  readonly atGateways: ReadonlyMap<string, ReadonlySet<number>>;
  readonly find: FindMeshVirtualService;
  readonly strays: Strays;
}

/** A host no port of which is led to a gateway. */
function reportBypass(context: Context, { service, virtualService, parts, leaks, inUse, atGateways, find, strays }: Bypass): void {
  const meant = [...gatewaysFor(context, service.hostname), ...gatewaysThatLeadTo(context, service.hostname)];
  const intended = [...new Set(meant)].filter((gateway) => gateway.spec.selector.istio !== 'ingressgateway');
  if (intended.length === 0 && !inUse) return;
  const say = (message: string) => context.report('SP1001', service.resource, hostPath(service), message);
  if (parts.length > 0) {
    const names = parts.length > 3 ? `${parts.slice(0, 3).join(', ')} and ${parts.length - 3} more` : parts.join(', ');
    say(
      `Of ${service.hostname} only ${names} ${parts.length > 1 ? 'are' : 'is'} routed to an egress gateway: calls to every other name under it leave straight from the sidecar. Route ${service.hostname} to the gateway, or declare just the names that are needed.`,
    );
    return;
  }
  if (explainBypass(context, service, find, strays)) return;
  const byAddress = routedAddress(context, service);
  if (byAddress) {
    say(
      `Only the address ${byAddress.address} of ${service.hostname} is routed to the gateway (${resourceText(byAddress.virtualService)}): calls by the name leave straight from the sidecar. Add ${service.hostname} to hosts, there and in the Gateway's server.`,
    );
    return;
  }
  const ports = [...new Set(leaks.map(({ port }) => port))];
  if (isBackendOfGateways(context, service, atGateways)) {
    for (const port of ports) reportPortOfGateway(context, service, port);
    return;
  }
  const names = [...new Set(intended.map((gateway) => nameOf(gateway.derivedFrom ?? gateway)))].join(', ');
  const how = virtualService ? ` ${resourceText(virtualService)} routes it elsewhere.` : '';
  const some = ports.length < service.ports.length ? ` to port ${ports.map(({ number }) => number).join(', ')}` : '';
  say(
    `No ${ofKubernetes(intended) ? 'route' : 'VirtualService'} on the mesh ${ofKubernetes(intended) ? 'leads' : 'routes'} ${service.hostname} to an egress gateway${names ? `, although Gateway ${names} serves it` : ''}: calls${some} leave straight from the sidecar.${how} ${leadToGateway(service, ports, intended)}`,
  );
}

/** An address of the service that somebody routes on the mesh in place of its name. */
function routedAddress(
  context: Context,
  { addresses }: Service,
): { readonly address: string; readonly virtualService: VirtualService } | undefined {
  const services = gatewayServices(context);
  for (const address of addresses.map((text) => text.replace(/\/(?:32|128)$/, ''))) {
    for (const { virtualService } of context.routedHosts.at(address)) {
      if (!onMesh(virtualService)) continue;
      const { http, tls, tcp } = withDelegates(context, virtualService).spec;
      if ([...http, ...tls, ...tcp].some((rule: AnyRule) => destinationHosts(virtualService, rule).some((host) => services.has(host))))
        return { address, virtualService };
    }
  }
  return undefined;
}

/** SP1002 for what nothing more special explains: leaks of one port, and whose. */
function reportLeaks(context: Context, leaks: readonly Leak[]): void {
  const [first] = leaks;
  if (!first) return;
  const { service, port, by, bytes } = first;
  const namespaces = [...new Set(leaks.map(({ caller }) => caller.namespace))].sort().join(', ');
  const http = leaks.some((leak) => leak.bytes === 'http');
  const what =
    port.protocol === 'Unsupported' && !http
      ? `What is not HTTP on port ${port.number} (of no protocol)`
      : `Port ${port.number} (${port.protocol})`;
  const why = by
    ? `${resourceText(by)} leads it there. Lead it to the gateway's Service.`
    : port.protocol === 'Unsupported'
      ? `${http ? 'No rule there' : 'No tcp rule'} leads it to the gateway. Write the port's protocol (HTTP, if it is), or add a ${http ? 'rule' : 'tcp rule'}.`
      : `No ${bytes} rule that holds there leads it to the gateway. Show them the VirtualService that does (exportTo, Sidecar hosts), or add a rule.`;
  context.report(
    'SP1002',
    service.resource,
    ['spec', 'ports', Math.max(0, service.ports.indexOf(port)), 'number'],
    `${what} of ${service.hostname} leaves straight from the sidecars of workloads in ${namespaces}, while other calls go through the egress gateway. ${why}`,
  );
}

/** Gateways at which a VirtualService routes calls for the host to the host itself, regardless of the names that they serve. */
function gatewaysThatLeadTo(context: Context, hostname: string): Gateway[] {
  return context.routedHosts.at(hostname).flatMap(({ virtualService }) => {
    const { metadata, spec } = virtualService;
    const leads = [...spec.http, ...spec.tls, ...spec.tcp].some((rule: AnyRule) =>
      destinationHosts(virtualService, rule).includes(hostname),
    );
    if (!leads || virtualService.derivedFrom) return [];
    return spec.gateways.flatMap((name) => (name === 'mesh' ? [] : (findGateway(context, name, metadata.namespace) ?? [])));
  });
}

/** Whether a rule on the mesh leads to a gateway, though no call may meet it: then calls are meant to go through one. */
function leadsToGateway(context: Context): boolean {
  const services = gatewayServices(context);
  return context.of('VirtualService').some((virtualService) => {
    if (!onMesh(virtualService)) return false;
    const { http, tls, tcp } = withDelegates(context, virtualService).spec;
    return [...http, ...tls, ...tcp].some((rule: AnyRule) => destinationHosts(virtualService, rule).some((host) => services.has(host)));
  });
}

/** Hosts under a wildcard that sidecars send to a gateway. */
function partsThroughGateways(context: Context, wildcard: string): string[] {
  const services = gatewayServices(context);
  const parts = context.routedHosts.coveredBy(wildcard).flatMap(({ virtualService, index }) => {
    if (!onMesh(virtualService)) return [];
    const { http, tls, tcp, hosts } = withDelegates(context, virtualService).spec;
    const leads = [...http, ...tls, ...tcp].some((rule: AnyRule) =>
      destinationHosts(virtualService, rule).some((host) => services.has(host)),
    );
    return leads ? [fullHostname(hosts[index]!, virtualService.metadata.namespace).toLowerCase()] : [];
  });
  return [...new Set(parts)].sort();
}

function nameOf({ metadata }: Pick<Resource, 'metadata'>): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function hostPath(service: Service): (string | number)[] {
  const hosts = (service.resource.spec as { hosts?: readonly string[] }).hosts ?? [];
  const index = hosts.findIndex((host) => host.toLowerCase() === service.hostname);
  return ['spec', 'hosts', Math.max(0, index)];
}

/** Whether some namespace sees both the VirtualService and the service. */
function seenWhere(context: Context, virtualService: VirtualService, service: Service): boolean {
  const visibility = visibilityOf(virtualService.spec.exportTo, context.mesh.defaultVirtualServiceExportTo);
  const { namespace } = virtualService.metadata;
  if (visibility.has('*') || service.exportTo.has('*')) return true;
  const viewers = [...visibility].map((name) => (name === '.' ? namespace : name));
  return viewers.some((viewer) => isVisible(service.exportTo, service.namespace, viewer));
}

/** A VirtualService that was meant for the host but is not on the mesh, or has its name misspelt. */
function explainBypass(context: Context, service: Service, find: FindMeshVirtualService, strays: Strays): boolean {
  // An HTTPRoute of a Gateway says nothing to sidecars, and is not meant to.
  const offMesh = context.routedHosts
    .covering(service.hostname)
    .find(({ virtualService }) => !virtualService.derivedFrom && !onMesh(virtualService))?.virtualService;
  if (offMesh && find(service.hostname, () => true) === undefined) {
    reportOffMesh(context, offMesh, `, and calls to ${service.hostname} leave straight from the sidecar, round the gateway`);
    return true;
  }
  const stray = misspelt(strays, service.hostname);
  if (!stray) return false;
  const { virtualService, index, host } = stray;
  context.report(
    'SP1006',
    virtualService,
    ['spec', 'hosts', index],
    `${host} is declared nowhere; ${service.resource.kind} ${service.namespace}/${service.resource.metadata.name} declares ${service.hostname}. The rules for ${host} meet no traffic, and calls to ${service.hostname} leave straight from the sidecar, round the gateway. Did you mean ${service.hostname}?`,
    { from: virtualService.spec.hosts[index]!, to: service.hostname },
  );
  if (!onMesh(virtualService)) reportOffMesh(context, virtualService, '');
  return true;
}

function reportOffMesh(context: Context, virtualService: VirtualService, consequence: string): void {
  const { gateways, http, tls, tcp } = virtualService.spec;
  // They would hold on the mesh as well, and lead straight out from there.
  const unlimited = [...http, ...tls, ...tcp].some(
    ({ match }: AnyRule) => match.length === 0 || match.some((each) => each.gateways.length === 0),
  );
  const limit = unlimited ? `, and limit the rules that are there to the gateway (match: gateways: [${gateways.join(', ')}])` : '';
  context.report(
    'SP1003',
    virtualService,
    ['spec', 'gateways'],
    `gateways does not name mesh (it has ${gateways.join(', ')}), so no sidecar follows this VirtualService${consequence}. Add mesh to gateways, with a match for mesh that leads to the egress gateway's Service${limit}.`,
  );
}

function reportPort(
  context: Context,
  service: Service,
  port: ServicePort,
  virtualService: VirtualService,
  through: readonly ServicePort[],
): void {
  const kind = routeKind(port);
  const others = through.map((other) => other.number).join(', ');
  const wrongKind = kind !== 'http' && virtualService.spec.http.some((route) => route.match.some((match) => match.port === port.number));
  const why = wrongKind
    ? `The http rule of VirtualService ${nameOf(virtualService)} for this port does not hold: its bytes are encrypted for the sidecar. Use ${kind} rules, on the mesh and at the gateway, where a server has to take the port.`
    : `VirtualService ${nameOf(virtualService)} has no ${kind} rule on the mesh for it that leads to the gateway. Add one, and at the Gateway a server and a rule for it, or take the port out of the ServiceEntry.`;
  context.report(
    'SP1002',
    service.resource,
    ['spec', 'ports', service.ports.indexOf(port), 'number'],
    `Port ${port.number} (${port.protocol}) of ${service.hostname} leaves straight from the sidecar, while port ${others} goes through the egress gateway. ${why}`,
  );
}

/** SP1008: rules that lead a part of the calls past the gateway. */
function reportDirectRules(context: Context, service: Service, port: ServicePort, virtualService: VirtualService): boolean {
  const services = gatewayServices(context);
  let found = false;
  for (const { rule, path } of meshRules(virtualService, service.hostname, port)) {
    for (const [j, host] of destinationHosts(virtualService, rule).entries()) {
      if (services.has(host) || !context.services.covering(host).some(({ meshExternal }) => meshExternal)) continue;
      found = true;
      context.report(
        'SP1008',
        virtualService,
        [...path, 'route', j, 'destination', 'host'],
        `On the mesh this rule leads calls to ${service.hostname} port ${port.number} straight to ${host}, while others go through the egress gateway. Lead it to the gateway's Service, or limit it to the gateway (match: gateways: [${virtualService.spec.gateways.find((name) => name !== 'mesh') ?? 'the gateway'}]).`,
      );
    }
  }
  return found;
}

/** Ports of hosts to which gateways lead calls: those are declared for the gateway's use, e.g. 443 where it originates TLS. */
function portsAtGateways(context: Context): ReadonlyMap<string, ReadonlySet<number>> {
  const ports = new Map<string, Set<number>>();
  for (const alone of context.of('VirtualService')) {
    const virtualService = withDelegates(context, alone);
    const { gateways, http, tls, tcp } = virtualService.spec;
    const atGateway = (rule: AnyRule) =>
      rule.match.length === 0
        ? gateways.some((name) => name !== 'mesh')
        : rule.match.some((match) => (match.gateways.length > 0 ? match.gateways : gateways).some((name) => name !== 'mesh'));
    for (const rule of [...http, ...tls, ...tcp]) {
      if (!atGateway(rule)) continue;
      for (const destination of leadsTo(rule)) {
        const host = fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase();
        const port = destination.port?.number || onlyPort(context, host);
        if (port) ports.set(host, (ports.get(host) ?? new Set<number>()).add(port));
      }
    }
  }
  return ports;
}

/** Where the calls of a rule and copies of them go. */
function leadsTo(rule: AnyRule | HttpRoute): Destination[] {
  const routes = rule.route.map(({ destination }) => destination);
  if (!('mirrors' in rule)) return routes;
  return [...routes, ...(rule.mirror ? [rule.mirror] : []), ...rule.mirrors.map(({ destination }) => destination)];
}

/** Whether the host exists only as a destination of gateways for calls to other hosts: no route matches calls to the host itself. */
function isBackendOfGateways(
  context: Context,
  { hostname, ports }: Service,
  atGateways: ReadonlyMap<string, ReadonlySet<number>>,
): boolean {
  const used = atGateways.get(hostname);
  return used !== undefined && ports.every(({ number }) => used.has(number)) && context.routedHosts.covering(hostname).length === 0;
}

/** SP1005, a hint: a port that the gateway needs, and that the application can call itself. */
function reportPortOfGateway(context: Context, service: Service, port: ServicePort, through: readonly ServicePort[] = []): void {
  const others =
    through.length > 0
      ? `only port ${through.map(({ number }) => number).join(', ')} is led to the gateway`
      : 'the gateway leads calls to other hosts there';
  context.report(
    'SP1005',
    service.resource,
    ['spec', 'ports', service.ports.indexOf(port), 'number'],
    `Port ${port.number} of ${service.hostname} is declared for the gateway, and an application that calls it itself leaves straight from its sidecar; ${others}. Route it there too (${routeKind(port)} rules on mesh and at the gateway), or declare the port in the gateway's namespace alone (a ServiceEntry there with exportTo: ["."] that has all ports that the gateway leads to), and not here.`,
  );
}

/** SP1005, a hint: only plain HTTP is declared for a host, and the mesh lets undeclared traffic out, so HTTPS to it bypasses the gateway. */
function reportUndeclaredTls(context: Context, service: Service, through: readonly ServicePort[]): void {
  if (context.mesh.outboundTrafficPolicy.mode !== 'ALLOW_ANY') return;
  if (!through.some((port) => routeKind(port) === 'http') || service.ports.some((port) => routeKind(port) === 'tls')) return;
  context.report(
    'SP1005',
    service.resource,
    hostPath(service),
    `Only plain HTTP to ${service.hostname} is declared, and outboundTrafficPolicy ALLOW_ANY lets the application's own HTTPS to it out past the gateway. Set REGISTRY_ONLY, or declare and route port 443 as well.`,
  );
}
