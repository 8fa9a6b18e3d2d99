import { HostIndex } from '../../lib/host-index.ts';
import { fullHostname, hostCovers } from '../../lib/hostname.ts';
import { parseRange } from '../../lib/ip.ts';
import type { Service } from '../../registry/model.ts';
import { isVisible } from '../../registry/visibility.ts';
import type { Context } from '../context.ts';
import { type AnyRule, destinationHosts, type Gateway, gatewayServices, routeKind, type VirtualService } from '../egress-model.ts';
import { gatewayPods } from './gateway.ts';
import { destinationsOf } from './virtual-service-destinations.ts';
import { findGateway } from './virtual-service-gateways.ts';

/** SP1007: `tls` rules whose match can never hold. */
export function tlsMatches(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    const { namespace } = virtualService.metadata;
    const hosts = virtualService.spec.hosts.map((host) => fullHostname(host, namespace).toLowerCase());
    for (const [i, rule] of virtualService.spec.tls.entries()) {
      for (const [j, match] of rule.match.entries()) {
        const path = ['spec', 'tls', i, 'match', j];
        if (match.sniHosts.length === 0) {
          context.report(
            'SP1007',
            virtualService,
            path,
            `This match has no sniHosts, and TLS is told apart by SNI alone: it never holds. Add sniHosts: [${virtualService.spec.hosts.join(', ')}].`,
          );
          continue;
        }
        for (const [k, sni] of match.sniHosts.entries()) {
          // A TLSRoute's server names are its own, whatever hosts its parent has.
          if (virtualService.derivedFrom || hosts.some((host) => hostCovers(host, sni.toLowerCase()))) continue;
          context.report(
            'SP1007',
            virtualService,
            [...path, 'sniHosts', k],
            `SNI ${sni} is none of this VirtualService's hosts (${hosts.join(', ')}), so the match never holds for it. Use one of the hosts, or add ${sni} to hosts.`,
          );
        }
        const services = hosts.flatMap((host) => context.services.coveredBy(host));
        const ports = services.flatMap((service) => service.ports).filter((port) => !match.port || port.number === match.port);
        if (match.gateways.some((name) => name !== 'mesh') || services.length === 0) continue;
        if (ports.length > 0 && ports.every((port) => routeKind(port) === 'http')) {
          const numbers = [...new Set(ports.map((port) => port.number))].join(', ');
          context.report(
            'SP1007',
            virtualService,
            path,
            `Port ${numbers} is declared as ${ports[0]!.protocol}, so sidecars look for an http rule and this tls match never holds. Declare the port as TLS, or write an http rule.`,
          );
        }
      }
    }
  }
}

/** SP1009: subsets of DestinationRules that no route names. */
export function unusedSubsets(context: Context): void {
  /** Hosts of routes by the subset that they name. */
  const used = new Map<string, HostIndex<true>>();
  for (const virtualService of context.of('VirtualService')) {
    for (const { destination } of destinationsOf(virtualService)) {
      if (!destination.subset) continue;
      const hosts = used.get(destination.subset) ?? new HostIndex<true>();
      used.set(destination.subset, hosts);
      hosts.add(fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase(), true);
    }
  }
  for (const rule of context.of('DestinationRule')) {
    const host = fullHostname(rule.spec.host, rule.metadata.namespace).toLowerCase();
    for (const [i, subset] of rule.spec.subsets.entries()) {
      if (used.get(subset.name)?.overlaps(host)) continue;
      context.report(
        'SP1009',
        rule,
        ['spec', 'subsets', i, 'name'],
        `No route uses subset ${subset.name} of ${rule.spec.host}, so nothing that it says takes effect. Route to it with a VirtualService (destination.subset: ${subset.name}), or remove it.`,
      );
    }
  }
}

/** SP1010: fields that are accepted but have no effect where they stand. */
export function fieldsWithoutEffect(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    const { addresses, ports, resolution, endpoints } = entry.spec;
    if (addresses.length > 0 && resolution === 'DYNAMIC_DNS') {
      context.report(
        'SP1010',
        entry,
        ['spec', 'addresses'],
        'addresses have no effect with resolution DYNAMIC_DNS, which looks up the name that is called. Remove them.',
      );
    }
    if (resolution === 'NONE' && endpoints.length > 0) {
      context.report(
        'SP1010',
        entry,
        ['spec', 'endpoints'],
        'endpoints have no effect with resolution NONE: calls go to the address that the client dialled. Use resolution STATIC or DNS, or remove them.',
      );
    }
    for (const [i, port] of ports.entries()) {
      if (port.targetPort !== undefined && port.targetPort !== port.number && resolution === 'NONE') {
        context.report(
          'SP1010',
          entry,
          ['spec', 'ports', i, 'targetPort'],
          'targetPort has no effect with resolution NONE: calls go to the port that the client dialled. Use resolution STATIC or DNS, or remove it.',
        );
      }
    }
  }
}

/** SP1011: TCP services that claim one address and port. */
export function tcpCollisions(context: Context): void {
  /** By port and network; oldest first. */
  const claims = new Map<string, Service[]>();
  for (const service of context.registry.services) {
    if (service.registry !== 'External') continue;
    const networks = service.addresses.length > 0 ? service.addresses.map(networkOf) : ['every'];
    for (const [index, port] of service.ports.entries()) {
      if (routeKind(port) !== 'tcp') continue;
      const older = networks
        .map((network) => olderClaim(claims, `${port.number} ${network}`, service))
        .find((found) => found !== undefined);
      if (!older) continue;
      context.report(
        'SP1011',
        service.resource,
        service.addresses.length > 0 ? ['spec', 'addresses'] : ['spec', 'ports', index],
        `ServiceEntry ${older.namespace}/${older.resource.metadata.name} is older and claims port ${port.number} at ${describe(service.addresses)} too: its hosts take every connection, and ${service.hostname} gets none. Give each its own addresses or port.`,
      );
    }
  }
}

/** The older service that claims the same where some namespace sees both; notes the claim of this one. */
function olderClaim(claims: Map<string, Service[]>, key: string, service: Service): Service | undefined {
  const list = claims.get(key) ?? [];
  claims.set(key, list);
  const older = list.find(
    (other) =>
      other.resource !== service.resource &&
      (isVisible(other.exportTo, other.namespace, service.namespace) || isVisible(service.exportTo, service.namespace, other.namespace)),
  );
  list.push(service);
  return older;
}

/** One text for all spellings of a network. */
function networkOf(address: string): string {
  const range = parseRange(address);
  if (!range) return address;
  const bytes = range.address.toByteArray().map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, range.length - i * 8))) & 0xff);
  return `${bytes.join('.')}/${range.length}`;
}

function describe(addresses: readonly string[]): string {
  return addresses.length > 0 ? addresses.join(', ') : 'every address';
}

/** SP1013, SP1014: TLS that the sidecar or gateway originates to external servers without checking whom it talks to, or in a form they can't answer. */
export function tlsOrigination(context: Context): void {
  for (const rule of context.of('DestinationRule')) {
    const host = fullHostname(rule.spec.host, rule.metadata.namespace).toLowerCase();
    const { trafficPolicy, subsets } = rule.spec;
    const places = [
      { tls: trafficPolicy?.tls, path: ['spec', 'trafficPolicy', 'tls'] },
      ...(trafficPolicy?.portLevelSettings ?? []).map((level, i) => ({
        tls: level.tls,
        path: ['spec', 'trafficPolicy', 'portLevelSettings', i, 'tls'],
      })),
      ...subsets.map((subset, i) => ({ tls: subset.trafficPolicy?.tls, path: ['spec', 'subsets', i, 'trafficPolicy', 'tls'] })),
    ];
    for (const { tls, path } of places) {
      if (tls?.insecureSkipVerify && (tls.mode === 'SIMPLE' || tls.mode === 'MUTUAL')) {
        context.report(
          'SP1013',
          rule,
          [...path, 'insecureSkipVerify'],
          `insecureSkipVerify turns off verification of the certificate and name of ${rule.spec.host}: anyone on the way can answer in its place. Remove it, and set caCertificates if its CA is private.`,
        );
      }
      const outside = tls?.mode === 'ISTIO_MUTUAL' ? context.services.coveredBy(host).find(({ meshExternal }) => meshExternal) : undefined;
      if (outside) {
        context.report(
          'SP1014',
          rule,
          [...path, 'mode'],
          `ISTIO_MUTUAL presents a certificate of the mesh and offers its ALPN to ${outside.hostname}, which is outside the mesh and verifies neither: handshakes fail. Use SIMPLE, or MUTUAL with credentials of its own.`,
        );
      }
    }
  }
}

/** SP1015, SP1016: routes at a gateway that lead back to it, or to a host that it does not see. */
export function gatewayRoutes(context: Context): void {
  const services = gatewayServices(context);
  for (const virtualService of context.of('VirtualService')) {
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
  const add = (names: readonly string[]) => {
    for (const name of names) {
      if (name === 'mesh') continue;
      if (!resolved.has(name)) resolved.set(name, findGateway(context, name, namespace));
      const gateway = resolved.get(name);
      if (gateway && !found.includes(gateway)) found.push(gateway);
    }
  };
  if (match.length === 0) add(defaults);
  else for (const { gateways } of match) add(gateways.length > 0 ? gateways : defaults);
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
      if (podNamespace === undefined || context.registry.lookup(host, podNamespace)) continue;
      const hidden = context.services.at(host)[0];
      if (!hidden) continue;
      context.report(
        'SP1016',
        virtualService,
        path,
        `Gateway ${gateway.metadata.namespace}/${gateway.metadata.name} runs in ${podNamespace}, to which ${hidden.resource.kind} ${hidden.namespace}/${hidden.resource.metadata.name} is not exported: calls on this route end in 503 (NC). Add ${podNamespace} to its exportTo.`,
      );
    }
  }
}

function samePods(context: Context, a: Gateway, b: Gateway): boolean {
  if (a === b) return true;
  const pods = new Set(gatewayPods(context, a));
  return gatewayPods(context, b).some((pod) => pods.has(pod));
}
