/**
 * Which way calls take out of a sidecar: for each workload that a configuration tells apart, each external service that it is served and each of its
 * ports, where the rules on the mesh lead them, or that they go straight. It says of declared hosts what `verify` proves of all calls: test/field holds
 * the two together.
 */

import type { HttpMatchRequest, ResourceOf } from '../api/index.ts';
import { fullHostname, hostCovers, hostsOverlap, isWildcard } from '../lib/hostname.ts';
import { cidrCovers } from '../lib/ip.ts';
import { matchesLabels } from '../lib/labels.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { Caller } from '../registry/destination-rules.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import { isHttp, isTcp, isTls } from '../registry/protocol.ts';
import { type SidecarImport, sidecarImport } from '../registry/sidecar-import.ts';
import { isVisible, visibilityOf } from '../registry/visibility.ts';
import { possibleCallers } from './callers.ts';
import type { Context } from './context.ts';
import {
  type AnyMatch,
  type AnyRule,
  gatewayServices,
  gatewaysAtEndpoints,
  onMesh,
  type VirtualService,
  withDelegates,
} from './egress-model.ts';

/** Calls that leave the mesh at the sidecar. */
export interface Leak {
  readonly caller: Caller;
  readonly service: Service;
  readonly port: ServicePort;
  readonly bytes: 'http' | 'tls' | 'tcp';
  /** The rule that leads them; undefined where none does. */
  readonly by: VirtualService | undefined;
}

const kept = { leaks: new Memo<readonly Leak[]>(), sidecars: new Memo<ResourceOf<'Sidecar'> | undefined>() };

/** The leaks to a service. Found once. */
export function leaksTo(context: Context, service: Service): readonly Leak[] {
  return kept.leaks.get([context, service], NO_INPUTS, () => findLeaks(context, service));
}

/** What concerns a host, whoever calls. */
interface Subject {
  readonly service: Service;
  /** All that declare the host. */
  readonly declared: readonly Service[];
  /** All on the mesh that have a host in common with it. */
  readonly routes: readonly VirtualService[];
}

function findLeaks(context: Context, service: Service): Leak[] {
  if (service.registry !== 'External' || !service.meshExternal || gatewayServices(context).has(service.hostname)) return [];
  const { hostname } = service;
  const found = [...context.routedHosts.covering(hostname), ...context.routedHosts.coveredBy(hostname)].map(
    ({ virtualService }) => virtualService,
  );
  const routes = [...new Set(found)].filter((each) => each.valid && onMesh(each)).map((each) => withDelegates(context, each));
  const subject: Subject = { service, declared: context.services.at(hostname), routes };
  return callersFor(context, subject).flatMap((caller) =>
    servedTo(context, caller, subject).flatMap((virtualServices) =>
      service.ports.flatMap((port) => {
        if (!virtualServices.has(port.number) || !leavesAt(context, service, port)) return [];
        return leaksOfPort(context, caller, { virtualServices: virtualServices.get(port.number)!, service, port });
      }),
    ),
  );
}

/** One caller of those whom nothing here tells apart: most namespaces see a host alike. */
function callersFor(context: Context, { declared, routes }: Subject): Caller[] {
  const named = new Set<string>();
  for (const { namespace, exportTo } of declared) for (const name of [namespace, ...exportTo]) named.add(name);
  for (const { metadata, spec } of routes) {
    for (const name of [metadata.namespace, ...spec.exportTo]) named.add(name);
    for (const { match } of [...spec.http, ...spec.tls, ...spec.tcp])
      for (const each of match) if (each.sourceNamespace) named.add(each.sourceNamespace);
  }
  const others = new Set<string>();
  return possibleCallers(context).filter((caller) => {
    if (named.has(caller.namespace) || sidecarOf(context, caller)) return true;
    const key = JSON.stringify(Object.entries(caller.labels).sort());
    return others.size < others.add(key).size;
  });
}

interface AtPort {
  /** The one that decides first. */
  readonly virtualServices: readonly VirtualService[];
  readonly service: Service;
  readonly port: ServicePort;
}

function leaksOfPort(context: Context, caller: Caller, at: AtPort): Leak[] {
  const { service, port } = at;
  const leaks: Leak[] = [];
  for (const bytes of bytesOf(port)) {
    const ways =
      bytes === 'http' ? httpWays(caller, at) : bytes === 'tls' ? tlsWays(caller, at, opensUnknown(context, caller)) : tcpWays(caller, at);
    const leak = ways.find((way) => way === 'straight' || leavesBy(context, caller, way, port.number));
    if (leak) leaks.push({ caller, service, port, bytes, by: leak === 'straight' ? undefined : leak.virtualService });
  }
  return leaks;
}

/** Whether calls to what nobody declares leave the workload's sidecar for the address that was called. */
function opensUnknown(context: Context, caller: Caller): boolean {
  const policy = sidecarOf(context, caller)?.spec.outboundTrafficPolicy ?? context.mesh.outboundTrafficPolicy;
  return policy.mode === 'ALLOW_ANY' && !('egressProxy' in policy && policy.egressProxy);
}

/** What sidecars tell apart on a port; of one without a protocol they look at the bytes. */
function bytesOf({ protocol }: ServicePort): readonly Leak['bytes'][] {
  if (isHttp(protocol)) return ['http'];
  if (isTls(protocol)) return ['tls'];
  if (isTcp(protocol)) return ['tcp'];
  return protocol === 'Unsupported' ? ['http', 'tcp'] : [];
}

/** A destination of a rule, or the service itself because no rule takes the call. */
type Way = 'straight' | { readonly virtualService: VirtualService; readonly destination: AnyRule['route'][number]['destination'] };

function waysOf(virtualService: VirtualService, rule: AnyRule): Way[] {
  // Of weighted ones those with weight 0 take nothing.
  const routes = rule.route as readonly (AnyRule['route'][number] & { readonly weight?: number })[];
  const taken = routes.length > 1 ? routes.filter(({ weight }) => weight !== 0) : routes;
  return taken.map(({ destination }) => ({ virtualService, destination }));
}

/** Whether a destination is outside the mesh and no gateway; one that does not exist ends the call. */
export function leavesBy(context: Context, caller: Caller, way: Exclude<Way, 'straight'>, called: number): boolean {
  const { host: written, port, subset } = way.destination;
  const host = fullHostname(written, way.virtualService.metadata.namespace).toLowerCase();
  if (gatewayServices(context).has(host)) return false;
  const service = context.registry.lookup(host, caller.namespace);
  if (!service?.meshExternal) return false;
  const number = port?.number || (service.ports.length === 1 ? service.ports[0]!.number : called);
  const found = service.ports.find((each) => each.number === number);
  if (!found || !leavesAt(context, service, found)) return false;
  return !subset || (context.ruleFor(caller, service)?.spec.subsets.some(({ name }) => name === subset) ?? false);
}

/** Whether the service's servers can be reached, and are no gateway. */
function leavesAt(context: Context, service: Service, port: ServicePort): boolean {
  if (service.resolution === 'Passthrough' || service.resolution === 'DynamicDNS') return true;
  return context.registry.endpoints(service, port).length > 0 && gatewaysAtEndpoints(context, service, port).length === 0;
}

function httpWays(caller: Caller, { virtualServices, service, port }: AtPort): Way[] {
  const nearest = mostSpecific(virtualServices, service.hostname);
  const deciding = virtualServices.find((each) => {
    if (!each.spec.http.some((rule) => concernsHttp(caller, rule, port.number))) return false;
    // Routes of the Kubernetes Gateway API are for the client's namespace or that of the service.
    const { namespace } = each.metadata;
    if (each.derivedFrom && namespace !== caller.namespace && namespace !== service.namespace) return false;
    return hostsOf(each).some(
      (host) => host === service.hostname || (isWildcard(host) && hostCovers(host, service.hostname) && each === nearest),
    );
  });
  if (!deciding) return ['straight'];
  const ways: Way[] = [];
  for (const rule of deciding.spec.http) {
    if (!concernsHttp(caller, rule, port.number)) continue;
    ways.push(...waysOf(deciding, rule));
    // Rules behind one that takes everything are never reached.
    if (rule.match.length === 0 || rule.match.some((match) => takesAll(match) && concernsMatch(caller, match, port.number, true))) break;
  }
  return ways;
}

function tlsWays(caller: Caller, { virtualServices, service, port }: AtPort, opensUnknown: boolean): Way[] {
  const ways: Way[] = [];
  const names: string[] = [];
  const seen = new Set<string>();
  for (const virtualService of virtualServices) {
    for (const rule of virtualService.spec.tls) {
      for (const match of rule.match) {
        if (!concernsMatch(caller, match, port.number, false)) continue;
        // Of two matches that differ only in what is decided here the first counts.
        const key = JSON.stringify([match.sniHosts, match.destinationSubnets]);
        if (seen.has(key)) continue;
        seen.add(key);
        names.push(...match.sniHosts.map((sni) => sni.toLowerCase()));
        if (match.sniHosts.some((sni) => hostsOverlap(sni.toLowerCase(), service.hostname))) ways.push(...waysOf(virtualService, rule));
      }
    }
  }
  if (seen.size === 0) return ['straight'];
  // A server name that no rule has is not taken for the service: such calls are to an unknown host.
  return opensUnknown && !names.some((sni) => hostCovers(sni, service.hostname)) ? [...ways, 'straight'] : ways;
}

function tcpWays(caller: Caller, { virtualServices, service, port }: AtPort): Way[] {
  const ways: Way[] = [];
  for (const virtualService of virtualServices) {
    for (const rule of virtualService.spec.tcp) {
      const matches = rule.match.filter((each) => concernsMatch(caller, each, port.number, false));
      if (rule.match.length > 0 && matches.length === 0) continue;
      ways.push(...waysOf(virtualService, rule));
      const subnets = matches.flatMap(({ destinationSubnets }) => destinationSubnets);
      const anywhere = matches.length === 0 || matches.some(({ destinationSubnets }) => destinationSubnets.length === 0);
      const { addresses } = service;
      if (anywhere || (addresses.length > 0 && addresses.every((address) => subnets.some((subnet) => cidrCovers(subnet, address)))))
        return ways;
    }
  }
  return [...ways, 'straight'];
}

/** That with the host that fits the name best, the first of several. */
function mostSpecific(virtualServices: readonly VirtualService[], hostname: string): VirtualService | undefined {
  let best: { readonly host: string; readonly virtualService: VirtualService } | undefined;
  for (const virtualService of virtualServices) {
    for (const host of hostsOf(virtualService)) {
      if (!hostCovers(host, hostname)) continue;
      if (!best || (isWildcard(best.host) && (!isWildcard(host) || host.length > best.host.length))) best = { host, virtualService };
    }
  }
  return best?.virtualService;
}

export function concernsHttp(caller: Caller, { match, route, ...rule }: AnyRule, port: number): boolean {
  // A delegate that is not seen takes its rule with it.
  if ('delegate' in rule && rule.delegate && route.length === 0) return false;
  return match.length === 0 || match.some((each) => concernsMatch(caller, each, port, true));
}

/** Whether the match is for calls of this caller to the port. `gateways` beside conditions on the source switches them off in http matches. */
export function concernsMatch(caller: Caller, match: AnyMatch, port: number, http: boolean): boolean {
  if (match.port && match.port !== port) return false;
  if (match.gateways.length > 0 && !match.gateways.includes('mesh')) return false;
  if (http && match.gateways.length > 0) return true;
  return matchesLabels(match.sourceLabels, caller.labels) && (!match.sourceNamespace || match.sourceNamespace === caller.namespace);
}

function takesAll(match: AnyMatch): boolean {
  const { uri, scheme, method, authority, headers, queryParams, withoutHeaders } = match as HttpMatchRequest;
  const path = !uri || uri.prefix === '/' || uri.regex === '.*';
  return path && !scheme && !method && !authority && [headers, queryParams, withoutHeaders].every((map) => Object.keys(map).length === 0);
}

/** For each egress listener of the caller's Sidecar (one where there is none) the ports of the service that it serves, with the routes there. */
function servedTo(
  context: Context,
  caller: Caller,
  { service, declared, routes }: Subject,
): ReadonlyMap<number, readonly VirtualService[]>[] {
  const { namespace: own } = caller;
  const seen = declared.filter((each) => isVisible(each.exportTo, each.namespace, own));
  const virtualServices = inOrder(context, own, routes);
  const serve = (services: readonly Service[], followed: readonly VirtualService[], ports: readonly ServicePort[]) =>
    followedOf(services, own)?.namespace === service.namespace && services.includes(service)
      ? [new Map(ports.map(({ number }) => [number, followed]))]
      : [];
  const listeners = sidecarOf(context, caller)?.spec.egress ?? [];
  if (listeners.length === 0) return serve(seen, virtualServices, service.ports);
  const named = new Set(listeners.map(({ port }) => port?.number));
  return listeners.flatMap(({ hosts, port }) => {
    const imports = hosts.map((text) => sidecarImport(text, own));
    const takes = (each: SidecarImport, namespace: string, host: string) => each.takes(namespace) && hostCovers(each.host, host);
    const isLeft = (namespace: string, host: string) => imports.some((each) => each.excludes(namespace) && hostCovers(each.host, host));
    return serve(
      seen.filter(({ namespace, hostname }) => !isLeft(namespace, hostname) && imports.some((each) => takes(each, namespace, hostname))),
      virtualServices.filter((each) =>
        hostsOf(each).some((host) =>
          imports.some(
            (one) =>
              one.takes(each.metadata.namespace) &&
              (isWildcard(one.host) || isWildcard(host) ? hostsOverlap(one.host, host) : one.host === host),
          ),
        ),
      ),
      service.ports.filter(({ number }) => (port?.number ? number === port.number : !named.has(number))),
    );
  });
}

/** Of the namespaces that declare one host the client's own, then that of a Kubernetes Service, then what is shown to it by name, then the oldest. */
function followedOf(services: readonly Service[], own: string): Service | undefined {
  const rank = ({ namespace, registry, exportTo }: Service) =>
    namespace === own ? 0 : registry === 'Kubernetes' ? 1 : exportTo.has('*') ? 3 : 2;
  return [...services].sort((a, b) => rank(a) - rank(b) || a.order - b.order)[0];
}

/** The Sidecar that a workload follows: one of its namespace that selects it, one without a selector, or the root namespace's. */
export function sidecarOf(context: Context, caller: Caller): ResourceOf<'Sidecar'> | undefined {
  return kept.sidecars.get([context, caller], NO_INPUTS, () => findSidecar(context, caller));
}

function findSidecar(context: Context, { namespace, labels }: Caller): ResourceOf<'Sidecar'> | undefined {
  const all = context.of('Sidecar').filter(({ valid }) => valid);
  const own = all.filter(({ metadata }) => metadata.namespace === namespace);
  const selectorOf = ({ spec }: ResourceOf<'Sidecar'>) => spec.workloadSelector?.labels ?? {};
  const selects = (each: ResourceOf<'Sidecar'>) => Object.keys(selectorOf(each)).length > 0;
  return (
    own.find((each) => selects(each) && matchesLabels(selectorOf(each), labels)) ??
    own.find((each) => !selects(each)) ??
    all.find((each) => each.metadata.namespace === context.mesh.rootNamespace && !selects(each))
  );
}

/** VirtualServices on the mesh that a namespace sees, the one that decides first: shown to it alone, to it by name, its own routes of the Gateway API, all others. */
export function inOrder(context: Context, namespace: string, all: readonly VirtualService[]): VirtualService[] {
  const groups: VirtualService[][] = [[], [], [], []];
  for (const alone of [...all].sort((a, b) => a.order - b.order)) {
    const exportTo = visibilityOf(alone.spec.exportTo, context.mesh.defaultVirtualServiceExportTo);
    if (!isVisible(exportTo, alone.metadata.namespace, namespace)) continue;
    const own = alone.metadata.namespace === namespace;
    const group = exportTo.has('*') ? (own && alone.derivedFrom ? 2 : 3) : own ? 0 : 1;
    groups[group]!.push(alone);
  }
  return groups.flat();
}

export function hostsOf({ spec, metadata }: VirtualService): string[] {
  return spec.hosts.map((host) => fullHostname(host, metadata.namespace).toLowerCase());
}
