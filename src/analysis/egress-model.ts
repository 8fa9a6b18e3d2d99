/** What the egress analyzers share: which Gateways are for egress, and where the sidecars send a host's ports. */

import type { Destination, HttpRoute, HttpRouteDestination, ResourceOf } from '../api/index.ts';
import type { PathStep, Source } from '../api/resource.ts';
import { HostIndex } from '../lib/host-index.ts';
import { fullHostname, hostsOverlap } from '../lib/hostname.ts';
import { matchesLabels } from '../lib/labels.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { mergeDelegate } from '../registry/delegates.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import { isTcp, isTls } from '../registry/protocol.ts';
import { isVisible, visibilityOf } from '../registry/visibility.ts';
import { gatewayPods } from './analyzers/gateway.ts';
import { type Context, formatSelector } from './context.ts';

export type VirtualService = ResourceOf<'VirtualService'>;
export type Gateway = ResourceOf<'Gateway'>;

/** Which routes of a VirtualService concern a port: by what its bytes can tell. */
export function routeKind(port: ServicePort): 'http' | 'tls' | 'tcp' {
  switch (port.protocol) {
    case 'HTTP':
    case 'HTTP2':
    case 'GRPC':
    case 'GRPC-Web':
      return 'http';
    case 'HTTPS':
    case 'TLS':
      return 'tls';
    default:
      return 'tcp';
  }
}

/** Services in front of the pods of Gateways: by pods where the files have them, else by equal labels. Made once for a context. */
export function gatewayServices(context: Context): ReadonlyMap<string, readonly Gateway[]> {
  return kept.gatewayServices.get([context], NO_INPUTS, () => findGatewayServices(context));
}

const kept = {
  gatewayServices: new Memo<ReadonlyMap<string, readonly Gateway[]>>(),
  gatewayAddresses: new Memo<ReadonlyMap<string, readonly Gateway[]>>(),
  joined: new Memo<VirtualService>(),
};

function findGatewayServices(context: Context): ReadonlyMap<string, readonly Gateway[]> {
  const candidates = context.registry.services.filter(({ registry }) => registry === 'Kubernetes');
  const fronts = new Map<string, readonly string[]>();
  const services = new Map<string, Gateway[]>();
  for (const gateway of context.of('Gateway')) {
    const { selector } = gateway.spec;
    if (Object.keys(selector).length === 0) continue;
    const key = formatSelector(selector);
    let hostnames = fronts.get(key);
    if (!hostnames) {
      const pods = gatewayPods(context, gateway);
      const inFront = (service: Service) =>
        // Of one with endpoints written by hand the labels tell.
        Object.keys(service.selector).length === 0
          ? matchesLabels(selector, service.labels)
          : matchesLabels(selector, service.selector) ||
            pods.some((pod) => pod.namespace === service.namespace && matchesLabels(service.selector, pod.labels));
      hostnames = candidates.filter(inFront).map(({ hostname }) => hostname);
      fronts.set(key, hostnames);
    }
    for (const hostname of hostnames) {
      const list = services.get(hostname);
      if (list) list.push(gateway);
      else services.set(hostname, [gateway]);
    }
  }
  return services;
}

/**
 * The Gateways that a service's endpoints are: an entry may name the Service of a gateway, or its address, in place of the host's own servers. Empty
 * where an endpoint is anything else.
 */
export function gatewaysAtEndpoints(context: Context, service: Service, port: ServicePort): readonly Gateway[] {
  const known = kept.gatewayAddresses.get([context], NO_INPUTS, () => findGatewayAddresses(context));
  const found = context.registry.endpoints(service, port).map(({ address }) => known.get(address.toLowerCase()) ?? []);
  return found.every((gateways) => gateways.length > 0) ? found.flat() : [];
}

function findGatewayAddresses(context: Context): ReadonlyMap<string, readonly Gateway[]> {
  const found = new Map(gatewayServices(context));
  for (const [hostname, gateways] of gatewayServices(context))
    for (const { addresses } of context.services.at(hostname)) for (const address of addresses) found.set(address, gateways);
  return found;
}

/** External services: what leaves the mesh. */
export function externalServices(context: Context): Service[] {
  return context.registry.services.filter((service) => service.registry === 'External' && service.meshExternal);
}

/** The VirtualService with the rules of its delegates in place of those that delegate. A rule's place in the document is that of its root. */
export function withDelegates(context: Context, virtualService: VirtualService): VirtualService {
  if (!virtualService.spec.http.some(({ delegate }) => delegate)) return virtualService;
  return kept.joined.get([context, virtualService], NO_INPUTS, () => {
    const placed = virtualService.spec.http.flatMap((rule, i) => {
      if (!rule.delegate) return [{ rule, i }];
      const { found } = delegateOf(context, virtualService, rule.delegate);
      const leaves = found?.spec.http.map((leaf) => ({ ...leaf, route: leaf.route.map((each) => inFull(each, found.metadata.namespace)) }));
      const merged = mergeDelegate(rule, leaves ?? []);
      return merged.length > 0 ? merged.map((leaf) => ({ rule: leaf, i })) : [{ rule: { ...rule, route: [] }, i }];
    });
    const { source: written } = virtualService;
    const inDocument = (path: readonly PathStep[]) =>
      path[1] === 'http' && path.length > 2 ? path.with(2, placed[Number(path[2])]?.i ?? path[2]!) : path;
    const source: Source = {
      file: written.file,
      position: (path = [], within) => written.position(inDocument(path), within),
      keyPosition: (path) => written.keyPosition(inDocument(path)),
    };
    return { ...virtualService, spec: { ...virtualService.spec, http: placed.map(({ rule }) => rule) }, source };
  });
}

/** Whether sidecars have any rule by it: those that delegate to nothing are left out, and where they are all there is, so is the VirtualService. */
export function hasRules(context: Context, virtualService: VirtualService): boolean {
  const { http, tls, tcp } = withDelegates(context, virtualService).spec;
  return http.some(({ delegate }) => !delegate) || tls.length > 0 || tcp.length > 0;
}

/** Which VirtualService a rule delegates to. */
export type Delegation = NonNullable<HttpRoute['delegate']>;

/** Why a rule that delegates has no rules to go by. */
export type NoDelegate = 'missing' | 'not exported' | 'has hosts';

/** The VirtualService to which a rule delegates, as Istio looks it up: one without hosts that the root's namespace sees. */
export function delegateOf(
  context: Context,
  { metadata: { namespace } }: VirtualService,
  { name, namespace: written }: Delegation,
): { readonly found?: VirtualService; readonly why?: NoDelegate } {
  const found = context.find('VirtualService', written || namespace, name);
  if (!found) return { why: 'missing' };
  if (found.spec.hosts.length > 0) return { why: 'has hosts' };
  const visibility = visibilityOf(found.spec.exportTo, context.mesh.defaultVirtualServiceExportTo);
  return isVisible(visibility, found.metadata.namespace, namespace) ? { found } : { why: 'not exported' };
}

/** With the name of its host as any namespace understands it. */
function inFull(route: HttpRouteDestination, namespace: string): HttpRouteDestination {
  return { ...route, destination: { ...route.destination, host: fullHostname(route.destination.host, namespace) } };
}

export type FindMeshVirtualService = (hostname: string, sees: (virtualService: VirtualService) => boolean) => VirtualService | undefined;

/** Finds the VirtualService that sidecars follow for a host: the most specific host, then the oldest. Indexed once. */
export function meshVirtualServices(context: Context): FindMeshVirtualService {
  const index = new HostIndex<VirtualService>();
  for (const alone of context.of('VirtualService')) {
    if (!onMesh(alone)) continue;
    const virtualService = withDelegates(context, alone);
    for (const host of virtualService.spec.hosts)
      index.add(fullHostname(host, virtualService.metadata.namespace).toLowerCase(), virtualService);
  }
  return (hostname, sees) => index.covering(hostname).find(sees);
}

/** Whether any rule is for sidecars: the object's gateways name `mesh`. */
export function onMesh(virtualService: VirtualService): boolean {
  return virtualService.spec.gateways.includes('mesh');
}

/** What the matches of all three kinds have; `sniHosts` are of TLS, `destinationSubnets` of TLS and TCP. */
export interface AnyMatch {
  readonly gateways: readonly string[];
  readonly port?: number | undefined;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string | undefined;
  readonly sniHosts?: readonly string[];
  readonly destinationSubnets?: readonly string[];
}

/** A rule of a VirtualService, with the fields that http, tls and tcp rules share. */
export interface AnyRule {
  readonly match: readonly AnyMatch[];
  readonly route: readonly { readonly destination: Destination }[];
}

/** The kind of a rule and its place in the VirtualService. */
interface PlacedRule {
  readonly rule: AnyRule;
  readonly path: readonly ['spec', 'http' | 'tls' | 'tcp', number];
}

/** Whether calls to a port of `host` that come by `gateway` (`mesh`: from a workload) may meet the rule. */
export function ruleConcerns(virtualService: VirtualService, rule: AnyRule, gateway: string, host: string, port: number): boolean {
  if (rule.match.length === 0) return virtualService.spec.gateways.includes(gateway);
  return rule.match.some((match) => matchConcerns(virtualService, match, gateway, host, port));
}

/** The same of one match. */
export function matchConcerns({ spec }: VirtualService, match: AnyMatch, gateway: string, host: string, port: number): boolean {
  return (
    (match.gateways.length === 0 ? spec.gateways : match.gateways).includes(gateway) &&
    (!match.port || match.port === port) &&
    (!match.sniHosts || match.sniHosts.some((sni) => hostsOverlap(sni.toLowerCase(), host)))
  );
}

/** The rules that sidecars may follow for calls to a port of a host, in their order. */
export function meshRules(virtualService: VirtualService, host: string, port: ServicePort): PlacedRule[] {
  const kind = routeKind(port);
  const rules: readonly AnyRule[] = virtualService.spec[kind];
  return rules.flatMap((rule, i) =>
    ruleConcerns(virtualService, rule, 'mesh', host, port.number) ? [{ rule, path: ['spec', kind, i] as const }] : [],
  );
}

/** A port of a service that declares a host. */
export interface ConcernedPort {
  readonly service: Service;
  readonly port: ServicePort;
}

/** The ports of the VirtualService's hosts that a rule is for on the mesh; none where nothing declares them. */
export function concernedPorts(context: Context, virtualService: VirtualService, rule: AnyRule): ConcernedPort[] {
  return virtualService.spec.hosts.flatMap((written) => {
    const host = fullHostname(written, virtualService.metadata.namespace).toLowerCase();
    return context.services
      .overlapping(host)
      .flatMap((service) => service.ports.map((port) => ({ service, port })))
      .filter(({ port }) => ruleConcerns(virtualService, rule, 'mesh', host, port.number));
  });
}

/** Whether sidecars may see a request on one of these ports, which an `http` rule needs; true where nothing is declared. */
export function holdsOnMesh(ports: readonly ConcernedPort[]): boolean {
  return ports.length === 0 || ports.some(({ port }) => !isTls(port.protocol) && !isTcp(port.protocol));
}

/** The hosts to which a rule leads, in full. */
export function destinationHosts(virtualService: VirtualService, { route }: AnyRule): string[] {
  return route.map(({ destination }) => fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase());
}

/** Gateways with a server for this host. A server for `*` does not count, because it was not made for this host. */
export function gatewaysFor(context: Context, hostname: string): Gateway[] {
  const servers = context.gatewayServers.covering(hostname).filter(({ written }) => !/^(?:[^/]*\/)?\*$/.test(written));
  return [...new Set(servers.map(({ gateway }) => gateway))].sort((a, b) => a.order - b.order);
}

/** The port of a host that has one only: what a destination without a port means. */
export function onlyPort(context: Context, host: string): number | undefined {
  const ports = context.services.at(host).flatMap((service) => service.ports);
  return ports.length === 1 ? ports[0]!.number : undefined;
}
