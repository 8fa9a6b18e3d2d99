import type { L4MatchAttributes, ResourceOf, TlsMatchAttributes, TrafficPolicy } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { HostIndex } from '../../lib/host-index.ts';
import { fullHostname, hostCovers } from '../../lib/hostname.ts';
import { canonicalRange } from '../../lib/ip.ts';
import type { Service } from '../../registry/model.ts';
import { parseProtocol } from '../../registry/protocol.ts';
import { isVisible } from '../../registry/visibility.ts';
import type { Context } from '../context.ts';
import { routeKind } from '../egress-model.ts';
import { destinationsOf } from './virtual-service-destinations.ts';

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
          // A TLSRoute has server names of its own; they need not be hosts of its parent.
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
    const unused = [...rule.spec.subsets.entries()].filter(([, { name }]) => !used.get(name)?.overlaps(host));
    const [first] = unused;
    if (!first) continue;
    const names = unused.map(([, { name }]) => name);
    const shown = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
    context.report(
      'SP1009',
      rule,
      ['spec', 'subsets', first[0], 'name'],
      `No route uses subset ${shown} of ${rule.spec.host}, so nothing that ${names.length > 1 ? 'they say' : 'it says'} takes effect. Route to ${names.length > 1 ? 'them' : 'it'} with a VirtualService (destination.subset: ${names[0]}), or remove ${names.length > 1 ? 'them' : 'it'}.`,
    );
  }
}

/** SP1010: fields that are accepted but have no effect where they stand. */
export function fieldsWithoutEffect(context: Context): void {
  for (const rule of context.of('DestinationRule')) {
    portsWithoutEffect(context, rule);
    tlsWithoutEffect(context, rule);
  }
  for (const virtualService of context.of('VirtualService')) {
    sourcesWithoutEffect(context, virtualService);
    conditionsWithoutEffect(context, virtualService);
  }
  for (const entry of context.of('ServiceEntry')) {
    const { ports, resolution, endpoints } = entry.spec;
    if (resolution === 'NONE' && endpoints.length > 0) {
      context.report(
        'SP1010',
        entry,
        ['spec', 'endpoints'],
        'endpoints have no effect with resolution NONE: calls go to the address that the client dialled. Use resolution STATIC or DNS, or remove them.',
      );
    }
    for (const [i, port] of ports.entries()) {
      if (parseProtocol(port.protocol) === 'UDP') {
        context.report(
          'SP1010',
          entry,
          ['spec', 'ports', i, 'protocol'],
          `No sidecar or gateway sees UDP: the port has no effect, and REGISTRY_ONLY, too, leaves UDP to go out straight as it would without it. A NetworkPolicy of the workloads says which UDP may leave; take the port out here.`,
        );
      }
    }
  }
}

/** TLS fields that the mode passes over; a missing one means DISABLE. */
function tlsWithoutEffect(context: Context, rule: ResourceOf<'DestinationRule'>): void {
  const { host } = rule.spec;
  for (const { tls, path } of tlsSettings(rule)) {
    if (!tls || tls.mode === 'MUTUAL') continue;
    const { sni, subjectAltNames, caCertificates, credentialName, clientCertificate, privateKey } = tls;
    const own = { clientCertificate, privateKey };
    const [fields, text] = {
      DISABLE: [
        { sni, subjectAltNames, caCertificates, credentialName, ...own },
        `without a mode, or with DISABLE: ${host} is called without TLS. Write mode: SIMPLE, or MUTUAL where the client has a certificate.`,
      ] as const,
      SIMPLE: [
        own,
        `with mode SIMPLE: no client certificate is shown, and a server that asks for one refuses. Write mode: MUTUAL.`,
      ] as const,
      ISTIO_MUTUAL: [
        { caCertificates, credentialName, ...own },
        `with mode ISTIO_MUTUAL: the mesh's own certificates are shown and asked for. Write mode: MUTUAL for others, or take it out.`,
      ] as const,
    }[tls.mode];
    const written = Object.entries(fields).find(([, value]) => value !== undefined && value.length > 0)?.[0];
    if (written) context.report('SP1010', rule, [...path, written], `${written} has no effect ${text}`);
  }
}

/** The TLS settings of a DestinationRule: of the host, of its ports, and of its subsets. */
function tlsSettings({ spec: { trafficPolicy, subsets } }: ResourceOf<'DestinationRule'>) {
  return [
    ...tlsOf(trafficPolicy, ['spec', 'trafficPolicy']),
    ...subsets.flatMap(({ trafficPolicy: own }, i) => tlsOf(own, ['spec', 'subsets', i, 'trafficPolicy'])),
  ];
}

function tlsOf(policy: TrafficPolicy | undefined, path: readonly PathStep[]) {
  return [
    { tls: policy?.tls, path: [...path, 'tls'] },
    ...(policy?.portLevelSettings ?? []).map(({ tls }, i) => ({ tls, path: [...path, 'portLevelSettings', i, 'tls'] })),
  ];
}

/** Conditions on the calling workload in http matches that name gateways: Istio asks one or the other. */
function sourcesWithoutEffect(context: Context, virtualService: ResourceOf<'VirtualService'>): void {
  for (const [i, { match }] of virtualService.spec.http.entries()) {
    for (const [j, { gateways, sourceLabels, sourceNamespace }] of match.entries()) {
      if (gateways.length === 0) continue;
      const field = Object.keys(sourceLabels).length > 0 ? 'sourceLabels' : sourceNamespace ? 'sourceNamespace' : undefined;
      if (!field) continue;
      context.report(
        'SP1010',
        virtualService,
        ['spec', 'http', i, 'match', j, field],
        `${field} has no effect beside gateways in an http match: the rule holds for every workload. Write it in a VirtualService that is bound to mesh alone, without gateways in its matches.`,
      );
    }
  }
}

/** What the layers below http have of calls that arrive at a gateway: nothing of the address that was called, nor of who calls. */
const UNSEEN = [
  ['destinationSubnets', 'there every connection comes to an address of the gateway'],
  ['sourceLabels', 'there nobody asks which workload calls'],
  ['sourceNamespace', 'there nobody asks where a call comes from'],
] as const;

/** Conditions of tls and tcp matches for gateways which Istio passes over there. */
function conditionsWithoutEffect(context: Context, virtualService: ResourceOf<'VirtualService'>): void {
  const { spec } = virtualService;
  for (const kind of ['tls', 'tcp'] as const) {
    const rules: readonly { readonly match: readonly (L4MatchAttributes | TlsMatchAttributes)[] }[] = spec[kind];
    for (const [i, { match }] of rules.entries()) {
      for (const [j, each] of match.entries()) {
        if ((each.gateways.length > 0 ? each.gateways : spec.gateways).includes('mesh')) continue;
        for (const [field, why] of UNSEEN) {
          const written = each[field];
          if (written === undefined || Object.keys(written).length === 0) continue;
          context.report(
            'SP1010',
            virtualService,
            ['spec', kind, i, 'match', j, field],
            `${field} has no effect at a gateway: ${why}, and the rule takes ${kind === 'tls' ? 'every connection with its server names' : 'every connection to the port'}. Write it in a rule for mesh${kind === 'tcp' ? ', and give each host a port of the gateway of its own' : ''}.`,
          );
        }
      }
    }
  }
}

/** Settings of a DestinationRule for ports that its host does not have. */
function portsWithoutEffect(context: Context, rule: ResourceOf<'DestinationRule'>): void {
  const { trafficPolicy, subsets } = rule.spec;
  const places = [
    { policy: trafficPolicy, path: ['spec', 'trafficPolicy'] },
    ...subsets.map((subset, i) => ({ policy: subset.trafficPolicy, path: ['spec', 'subsets', i, 'trafficPolicy'] })),
  ];
  for (const { policy, path } of places) {
    for (const [i, { port }] of (policy?.portLevelSettings ?? []).entries()) {
      const services = context.services.overlapping(fullHostname(rule.spec.host, rule.metadata.namespace).toLowerCase());
      const ports = new Set(services.flatMap((service) => service.ports.map(({ number }) => number)));
      if (ports.size === 0 || (port && ports.has(port.number))) continue;
      context.report(
        'SP1010',
        rule,
        [...path, 'portLevelSettings', i],
        `${rule.spec.host} has no port ${port?.number ?? 0} (it has ${[...ports].sort((a, b) => a - b).join(', ')}), so these settings, TLS included, never take effect. Write one of its ports.`,
      );
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
        `ServiceEntry ${older.namespace}/${older.resource.metadata.name} is older and claims port ${port.number} at ${describe(service.addresses)} too: its hosts take every connection there, and ${service.hostname} gets ${allocated(service)}. Give each its own addresses or port, and where both go to a gateway a port of the gateway each.`,
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
  return canonicalRange(address) || address;
}

/** Only where sidecars answer DNS do clients come to an allocated address. */
function allocated({ addresses, autoAddresses }: Service): string {
  return addresses.length === 0 && autoAddresses.length > 0
    ? `none (but those to the address that sidecars with DNS capture answer for it)`
    : 'none';
}

function describe(addresses: readonly string[]): string {
  return addresses.length > 0 ? addresses.join(', ') : 'every address';
}

/** SP1013, SP1014: TLS to external servers that checks nothing of whom it talks to, or has a form that they can't answer. */
export function tlsOrigination(context: Context): void {
  for (const rule of context.of('DestinationRule')) {
    const host = fullHostname(rule.spec.host, rule.metadata.namespace).toLowerCase();
    for (const { tls, path } of tlsSettings(rule)) {
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
