import { INVALID_BACKEND_HOST } from '../../api/gateway-api/common.ts';
import type { Destination, HttpRoute, ResourceOf } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { inPlaceOf } from '../../lib/finding.ts';
import { fullHostname, isWildcard } from '../../lib/hostname.ts';
import { REFUSED } from '../../lib/refused-host.ts';
import { closest } from '../../lib/spelling.ts';
import type { Service } from '../../registry/model.ts';
import { isVisible, visibilityOf } from '../../registry/visibility.ts';
import type { Context } from '../context.ts';
import { isDefaultGateway, isInstalledGateway } from '../default-gateways.ts';
import type { AnyRule } from '../egress-model.ts';
import { gatewayPods } from './gateway.ts';
import { findGateway, gatewayNames } from './virtual-service-gateways.ts';

type VirtualService = ResourceOf<'VirtualService'>;

/** A destination that a VirtualService names, where it does, and for whom: `mesh` or gateways. */
interface NamedDestination {
  readonly destination: Destination;
  readonly path: readonly PathStep[];
}

/** Every destination of routes and mirrors. */
export function destinationsOf({ spec }: VirtualService): NamedDestination[] {
  return (['http', 'tls', 'tcp'] as const).flatMap((kind) =>
    spec[kind].flatMap((rule, i) => destinationsOfRule(rule).map((found) => ({ ...found, path: ['spec', kind, i, ...found.path] }))),
  );
}

/** Of one rule; paths begin at it. */
export function destinationsOfRule(rule: AnyRule | HttpRoute): NamedDestination[] {
  const found: NamedDestination[] = rule.route.map(({ destination }, j) => ({ destination, path: ['route', j, 'destination'] }));
  if (!('mirrors' in rule)) return found;
  if (rule.mirror) found.push({ destination: rule.mirror, path: ['mirror'] });
  for (const [j, { destination }] of rule.mirrors.entries()) found.push({ destination, path: ['mirrors', j, 'destination'] });
  return found;
}

/** What becomes of calls whose destination has no cluster. */
function fateOf(virtualService: VirtualService, path: readonly PathStep[]): string {
  if (path[3] !== 'route') return 'No copies are made (the calls go on)';
  const ends = howCallsEnd(virtualService, path, 'NC');
  return `${ends[0]!.toUpperCase()}${ends.slice(1)}`;
}

/** @param flag why they come to nothing, as access logs say it: there is no cluster (NC), or no endpoint (UH) */
export function howCallsEnd({ derivedFrom }: VirtualService, path: readonly PathStep[], flag: 'NC' | 'UH'): string {
  if (path[1] !== 'http') return `connections on this route are closed (${flag})`;
  return `calls on this route end in ${derivedFrom && flag === 'NC' ? '500' : '503'} (${flag})`;
}

/** IST0101 (host, port, subset), IST0112: whether destinations lead to services that exist, by ports and subsets that exist. */
export function virtualServiceDestinations(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    const { namespace } = virtualService.metadata;
    let others: readonly string[] | undefined;
    for (const { destination, path } of destinationsOf(virtualService)) {
      const fate = fateOf(virtualService, path);
      // Reported when the route was read, as is one without a host.
      if (destination.host === INVALID_BACKEND_HOST || destination.host === '') continue;
      // Nothing is meant to answer there.
      if (destination.host === REFUSED.forwardProxy) continue;
      const host = fullHostname(destination.host, namespace).toLowerCase();
      let service = findService(context, host, namespace);
      if (!service) {
        others ??= viewersOf(context, virtualService);
        service = serviceFor(context, host, others);
      }
      if (!service && context.isBroken(host)) continue;
      if (service && service.hostname !== host && !service.aliases?.includes(host)) {
        context.report(
          'IST0101',
          virtualService,
          [...path, 'host'],
          `Referenced host not found: "${destination.host}". ${service.hostname} covers it, and makes no cluster of that name. ${fate}. Declare ${host} with a ServiceEntry of its own, or lead to ${service.hostname}, whose endpoints then take the calls.`,
        );
        continue;
      }
      if (!service) {
        const { text, near } = missingHost(context, host, namespace);
        context.report(
          'IST0101',
          virtualService,
          [...path, 'host'],
          `Referenced host not found: "${destination.host}". ${fate}. ${text}`,
          inPlaceOf(destination.host, near),
        );
        continue;
      }
      if (isDefaultGateway(service.resource) && !isInstalledGateway(service.resource)) {
        const { name, namespace: owner } = service.resource.metadata;
        context.report(
          'SP1044',
          virtualService,
          [...path, 'host'],
          `Service ${owner}/${name}, to which this leads, is not among the files; it is taken to be the gateway's. Where it does not exist there is no cluster for it. ${fate}, also in explain and verify, which know the files alone: add the Service and a Pod of the gateway to them.`,
        );
      }
      if (destination.subset !== undefined && destination.subset !== '') checkSubset(context, virtualService, destination, host, path);
      const port = destination.port?.number;
      if (port === undefined && service.ports.length > 1) {
        context.report(
          'IST0112',
          virtualService,
          [...path, 'host'],
          `This destination must name a port: ${host} has ${service.ports.length} (${service.ports.map((p) => p.number).join(', ')}), and without one the port that the client called is used, whatever it is. Add port: {number: …}.`,
        );
      } else if (
        port !== undefined &&
        port !== 0 &&
        !hasPort(service, port) &&
        !gatewayHasPort(context, virtualService, path, host, port)
      ) {
        context.report(
          'IST0101',
          virtualService,
          [...path, 'port', 'number'],
          `Referenced host:port not found: "${destination.host}:${port}". ${host} has no port ${port}; it has ${service.ports.map((p) => p.number).join(', ') || 'none'}. ${fate}. Use one of its ports, or declare port ${port} there.`,
        );
      }
    }
  }
}

function hasPort({ ports }: Service, number: number): boolean {
  return ports.some((port) => port.number === number);
}

/** Whether the rule holds at gateways alone and these, which may follow another declaration of the host, know the port. */
function gatewayHasPort(
  context: Context,
  { spec, metadata }: VirtualService,
  path: readonly PathStep[],
  host: string,
  port: number,
): boolean {
  const { match }: AnyRule = spec[path[1] as 'http' | 'tls' | 'tcp'][path[2] as number]!;
  const names = match.length === 0 ? spec.gateways : match.flatMap(({ gateways }) => (gateways.length > 0 ? gateways : spec.gateways));
  const viewers = names.map((name) => {
    const gateway = name === 'mesh' ? undefined : findGateway(context, name, metadata.namespace);
    return gateway && gatewayPods(context, gateway)[0]?.namespace;
  });
  return viewers.every((viewer) => {
    const service = viewer === undefined ? undefined : findService(context, host, viewer);
    return service && hasPort(service, port);
  });
}

/** Namespaces by which destinations are judged beside the VirtualService's own: those that it is exported to by name, and those of its gateways' pods. */
function viewersOf(context: Context, virtualService: VirtualService): readonly string[] {
  const { namespace } = virtualService.metadata;
  const names = visibilityOf(virtualService.spec.exportTo, context.mesh.defaultVirtualServiceExportTo);
  const gateways = gatewayNames(virtualService).flatMap(({ name }) => {
    const gateway = name === 'mesh' ? undefined : findGateway(context, name, namespace);
    return gateway ? (gatewayPods(context, gateway)[0]?.namespace ?? []) : [];
  });
  return [...new Set([...names, ...gateways])].filter((name) => name !== '.' && name !== '*');
}

function serviceFor(context: Context, host: string, viewers: readonly string[]): Service | undefined {
  for (const namespace of viewers) {
    const service = findService(context, host, namespace);
    if (service) return service;
  }
  return undefined;
}

/** The service that a route of `namespace` reaches under this host, a wildcard one included. */
function findService(context: Context, host: string, namespace: string): Service | undefined {
  const visible = (service: Service) => isVisible(service.exportTo, service.namespace, namespace);
  return (
    context.registry.lookup(host, namespace) ??
    context.services.covering(host).find((service) => service.hostname !== host && visible(service))
  );
}

/** What to do about a host that is not there, and the one that was probably meant. */
function missingHost(context: Context, host: string, namespace: string): { readonly text: string; readonly near?: string | undefined } {
  const hidden = context.services.at(host)[0];
  if (hidden)
    return {
      text: `${hidden.namespace}/${hidden.resource.metadata.name} declares it but exports it to other namespaces than ${namespace}: add ${namespace} (or '*') to its exportTo.`,
    };
  if (isWildcard(host)) {
    const names = context.services.coveredBy(host).map(({ hostname }) => hostname);
    const text =
      names.length > 0
        ? `No ServiceEntry declares the wildcard, only ${names.join(', ')}: write ${names.length > 1 ? 'a rule for each, with hosts, sniHosts and destination that name' : 'hosts, sniHosts and destination that name'} it. (Leading ${host} to ${names[0]} would send every name under it there.)`
        : 'Declare it with a ServiceEntry (for a wildcard resolution DYNAMIC_DNS), or name the hosts.';
    return { text };
  }
  const near = context.nearService.near(host);
  return { text: near ? `Did you mean ${near}?` : 'Declare it with a ServiceEntry, or correct the name.', near };
}

function checkSubset(
  context: Context,
  virtualService: VirtualService,
  destination: Destination,
  host: string,
  path: readonly PathStep[],
): void {
  const rules = context.destinationRules.covering(host);
  const names = rules.flatMap((rule) => rule.spec.subsets.map((subset) => subset.name));
  if (names.includes(destination.subset!)) return;
  const near = closest(destination.subset!, names);
  context.report(
    'IST0101',
    virtualService,
    [...path, 'subset'],
    `Referenced host+subset in destinationrule not found: "${destination.host}+${destination.subset}". ${fateOf(virtualService, path)}. ${near ? `Did you mean subset ${near}?` : 'Define the subset in a DestinationRule for the host.'}`,
    inPlaceOf(destination.subset!, near),
  );
}
