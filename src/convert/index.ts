/** Istio's Gateways and VirtualServices as objects of the Kubernetes Gateway API, as far as that can express them. Pure. */
import type { ResourceOf } from '../api/index.ts';
import type { Resource } from '../api/resource.ts';
import { HostIndex } from '../lib/host-index.ts';
import { fullHostname, hostsOverlap } from '../lib/hostname.ts';
import type { Service } from '../registry/model.ts';
import { isHttp, isTls } from '../registry/protocol.ts';
import { convertDestinationRule } from './backend-tls.ts';
import { type ConvertedGateway, convertGateway, type Gateway, protocolOf } from './gateways.ts';
import { type Attachment, type Draft, draftsOf, makeAll, saysAnything, type VirtualService } from './halves.ts';
import { type ConvertInput, type Made, Maker, Problems, type Unexpressed } from './model.ts';

export type { Made, Unexpressed } from './model.ts';

/** What conversion does to an object that it changes. */
export interface Replacement {
  readonly resource: Resource;
  readonly made: readonly Made[];
  /** For a VirtualService: the gateways (`namespace/name`, or `mesh`) for which the original stays in place; empty if it can be removed. */
  readonly stays: readonly string[];
}

interface Conversion {
  readonly replacements: readonly Replacement[];
  readonly unexpressed: readonly Unexpressed[];
}

interface Half {
  readonly virtualService: VirtualService;
  readonly gateway: string;
  readonly problems: Problems;
  readonly drafts: readonly Draft[];
}

export function convert(input: ConvertInput): Conversion {
  const { snapshot } = input;
  const written = <R extends Resource>(list: readonly R[]): readonly R[] => list.filter(({ derivedFrom }) => !derivedFrom);
  const gateways = new Map<string, { readonly gateway: Gateway; readonly converted: ConvertedGateway }>();
  for (const gateway of written(snapshot.list('Gateway')))
    gateways.set(nameOf(gateway), { gateway, converted: convertGateway(input, gateway) });
  const virtualServices = written(snapshot.list('VirtualService'));
  const claims = claimsOf(virtualServices);
  const halves = virtualServices.flatMap((virtualService) => halvesOf(input, virtualService, gateways, claims));
  const halvesByGateway = Map.groupBy(halves, ({ gateway }) => gateway);
  const halvesByObject = Map.groupBy(halves, ({ virtualService }) => virtualService);
  const blocking = (name: string) => halvesByGateway.get(name)?.find(({ problems }) => !problems.none)?.virtualService;
  const unexpressed: Unexpressed[] = [];
  const blocked = new Map([...gateways.keys()].map((name) => [name, blocking(name)]));
  const converts = (name: string): boolean =>
    name === 'mesh' || (gateways.get(name)?.converted.problems.none === true && blocked.get(name) === undefined);

  const maker = new Maker(snapshot);
  const replacements: Replacement[] = [];
  for (const [name, { gateway, converted }] of gateways) {
    unexpressed.push(...converted.problems.list);
    if (converts(name)) replacements.push({ resource: gateway, made: converted.make(maker), stays: [] });
    else if (converted.problems.none) {
      const reason = `its routes can’t all be expressed (VirtualService ${nameOf(blocked.get(name)!)}), and a VirtualService can’t be attached to a Kubernetes Gateway`;
      unexpressed.push({ resource: gateway, path: ['metadata', 'name'], reason });
    }
  }
  for (const virtualService of virtualServices) {
    const own = halvesByObject.get(virtualService) ?? [];
    for (const { problems } of own) unexpressed.push(...problems.list);
    const gone = own.filter(({ gateway, problems }) => problems.none && converts(gateway));
    if (gone.length === 0) continue;
    const made = gone.flatMap(({ drafts }) => makeAll(maker, drafts));
    replacements.push({ resource: virtualService, made, stays: own.filter((half) => !gone.includes(half)).map(({ gateway }) => gateway) });
  }
  for (const rule of written(snapshot.list('DestinationRule'))) {
    const { problems, make } = convertDestinationRule(input, rule);
    unexpressed.push(...problems.list);
    if (problems.none) replacements.push({ resource: rule, made: make(maker), stays: [] });
  }
  for (const { kind, resource } of withoutCounterpart(input))
    unexpressed.push({ resource, path: ['kind'], reason: `the Gateway API has no counterpart of a ${kind}` });
  return { replacements, unexpressed: distinct(unexpressed) };
}

function nameOf({ metadata }: Resource): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Settings of clients. ServiceEntries need none: routes refer to them. */
function withoutCounterpart({ snapshot }: ConvertInput): { kind: string; resource: Resource }[] {
  return (['Sidecar', 'EnvoyFilter'] as const).flatMap((kind) =>
    (snapshot.list(kind) as readonly Resource[]).filter(({ derivedFrom }) => !derivedFrom).map((resource) => ({ kind, resource })),
  );
}

function distinct(list: readonly Unexpressed[]): Unexpressed[] {
  return [
    ...new Map(list.map((each) => [JSON.stringify([each.resource.kind, nameOf(each.resource), each.path, each.reason]), each])).values(),
  ];
}

type Gateways = ReadonlyMap<string, { readonly gateway: Gateway; readonly converted: ConvertedGateway }>;

/** Who has rules for a host, by gateway (in full, or `mesh`). */
type Claims = ReadonlyMap<string, HostIndex<VirtualService>>;

function claimsOf(all: readonly VirtualService[]): Claims {
  const claims = new Map<string, HostIndex<VirtualService>>();
  for (const virtualService of all) {
    for (const gateway of gatewaysOf(virtualService)) {
      const index = claims.get(gateway) ?? new HostIndex();
      claims.set(gateway, index);
      for (const host of hostsOf(virtualService)) index.add(host, virtualService);
    }
  }
  return claims;
}

function halvesOf(input: ConvertInput, virtualService: VirtualService, gateways: Gateways, claims: Claims): Half[] {
  return gatewaysOf(virtualService).map((gateway): Half => {
    const problems = new Problems(virtualService);
    const attachments =
      gateway === 'mesh'
        ? meshAttachments(input, virtualService, problems, claims)
        : gatewayAttachments(virtualService, gateway, gateways, problems, claims);
    const drafts = attachments.flatMap((attachment) => draftsOf({ input, virtualService, attachment, problems }));
    if (problems.none && drafts.length === 0 && attachments.some((attachment) => saysAnything({ virtualService, attachment })))
      problems.add(['spec'], `it has no rule that takes effect on ${gateway === 'mesh' ? 'the mesh' : `Gateway ${gateway}`}`);
    return { virtualService, gateway, problems, drafts };
  });
}

/** The gateways of a VirtualService in full; none of a delegate. */
function gatewaysOf({ metadata, spec }: VirtualService): string[] {
  return [...new Set(spec.gateways.map((name) => (name === 'mesh' || name.includes('/') ? name : `${metadata.namespace}/${name}`)))];
}

function hostsOf({ metadata, spec }: VirtualService): string[] {
  return spec.hosts.map((host) => fullHostname(host.toLowerCase(), metadata.namespace));
}

function isExportedToAll({ spec }: VirtualService): boolean {
  return spec.exportTo.length === 0 || spec.exportTo.includes('*');
}

function gatewayAttachments(
  virtualService: VirtualService,
  name: string,
  gateways: Gateways,
  problems: Problems,
  claims: Claims,
): Attachment[] {
  const known = gateways.get(name);
  if (!known) {
    problems.add(['spec', 'gateways', gatewaysOf(virtualService).indexOf(name)], `there is no Gateway ${name}`);
    return [];
  }
  if (!isExportedToAll(virtualService)) problems.add(['spec', 'exportTo'], 'a route can’t be hidden from a gateway');
  const hosts = hostsOf(virtualService);
  for (const [index, host] of hosts.entries()) {
    const rivals = claims.get(name)?.at(host) ?? [];
    const other = rivals.find((each) => each !== virtualService && each.spec.http.length > 0 && virtualService.spec.http.length > 0);
    if (!other) continue;
    const reason = `VirtualService ${nameOf(other)} has rules for ${host} too, and HTTPRoutes would mix them in another order`;
    problems.add(['spec', 'hosts', index], reason);
  }
  const { namespace } = virtualService.metadata;
  const ports = { http: new Set<number>(), tls: new Set<number>(), tcp: new Set<number>() };
  let usualPorts = true;
  for (const server of known.gateway.spec.servers) {
    if (!server.hosts.some((host) => takes(host, namespace, known.gateway.metadata.namespace, hosts))) continue;
    const protocol = protocolOf(server);
    if (protocol === 'HTTP' || protocol === 'HTTPS') {
      ports.http.add(server.port.number);
      usualPorts &&= server.port.number === (protocol === 'HTTP' ? 80 : 443);
    }
    if (protocol === 'TLS' && server.tls?.mode === 'PASSTHROUGH') ports.tls.add(server.port.number);
    else if (protocol === 'TLS' || protocol === 'TCP') ports.tcp.add(server.port.number);
  }
  const { namespace: owner, name: own } = known.converted;
  const several = gatewaysOf(virtualService).length > 1;
  return [
    {
      gateway: name,
      parentRef: { name: own, ...(owner !== namespace && { namespace: owner }) },
      namespace,
      clientNamespace: known.converted.proxyNamespace ?? owner,
      hostnames: hosts,
      ports: { http: [...ports.http], tls: [...ports.tls], tcp: [...ports.tcp] },
      usualPorts,
      subnets: [],
      suffix: several ? `-${known.gateway.metadata.name}` : '',
    },
  ];
}

/** Whether a server's host, with the namespace before it, lets a VirtualService have one of its hosts there. */
function takes(written: string, namespace: string, home: string, hosts: readonly string[]): boolean {
  const slash = written.indexOf('/');
  const owner = slash < 0 ? '*' : written.slice(0, slash);
  if (owner !== '*' && (owner === '.' ? home : owner) !== namespace) return false;
  return hosts.some((host) => hostsOverlap(written.slice(slash + 1).toLowerCase(), host));
}

interface Parent {
  readonly resource: ResourceOf<'Service' | 'ServiceEntry'>;
  /** With the ports of all objects that declare the host. */
  readonly service: Service;
}

function meshAttachments(input: ConvertInput, virtualService: VirtualService, problems: Problems, claims: Claims): Attachment[] {
  const { namespace } = virtualService.metadata;
  const hosts = hostsOf(virtualService);
  const parents = new Map<Resource, Parent>();
  for (const [index, host] of hosts.entries()) {
    const path = ['spec', 'hosts', index];
    const service = input.registry.lookup(host, namespace);
    if (!service || service.hostname !== host) {
      problems.add(path, `a route on the mesh has a Service or ServiceEntry for parent, and none declares ${host}`);
      continue;
    }
    if (host.startsWith('*') && virtualService.spec.http.length > 0) {
      problems.add(path, `routes of HTTP do not hold for the wildcard ${host} of a ServiceEntry`);
      continue;
    }
    const other = claims
      .get('mesh')
      ?.overlapping(host)
      .find((each) => each !== virtualService);
    if (other) {
      problems.add(
        path,
        `VirtualService ${nameOf(other)} has rules for ${host} on the mesh too; of VirtualServices one counts, of routes all`,
      );
      continue;
    }
    const resource = service.resource as Parent['resource'];
    const declared = resource.kind === 'ServiceEntry' ? resource.spec.hosts.map((each) => each.toLowerCase()) : [host];
    const more = declared.find((each) => !hosts.includes(each));
    if (more) {
      problems.add(path, `${resource.kind} ${nameOf(resource)} declares ${more} as well, and a route holds for all hosts of its parent`);
      continue;
    }
    if (!service.exportTo.has('*') && virtualService.spec.http.length > 0 && isExportedToAll(virtualService)) {
      problems.add(
        path,
        `${resource.kind} ${nameOf(resource)} is not seen everywhere, and a route holds only for clients that see its parent`,
      );
      continue;
    }
    parents.set(resource, { resource, service });
  }
  const attachments = [...parents.values()].map(({ resource, service }) => {
    const owner = resource.metadata.namespace;
    const visible = isExportedToAll(virtualService);
    const private_ = virtualService.spec.exportTo.join() === '.';
    // Beside its parent a route holds for everybody, elsewhere for its own namespace.
    if (!visible && !(private_ && owner !== namespace))
      problems.add(['spec', 'exportTo'], 'a route holds for everybody in its parent’s namespace, elsewhere for its own namespace');
    const home = visible ? owner : namespace;
    const serviceEntry = resource.kind === 'ServiceEntry';
    return {
      gateway: 'mesh',
      parentRef: {
        ...(serviceEntry ? { group: 'networking.istio.io' } : { group: '' }),
        kind: resource.kind,
        name: resource.metadata.name,
        ...(owner !== home && { namespace: owner }),
      },
      namespace: home,
      clientNamespace: namespace,
      hostnames: [],
      ports: portsOf(service),
      usualPorts: portsOf(service).http.every((port) => port === 80),
      subnets: service.addresses,
      suffix: gatewaysOf(virtualService).length > 1 ? '-mesh' : '',
    };
  });
  return attachments;
}

function portsOf({ ports }: Service): Attachment['ports'] {
  const numbers = (wanted: (protocol: Service['ports'][number]['protocol']) => boolean) =>
    ports.filter(({ protocol }) => wanted(protocol)).map(({ number }) => number);
  return {
    http: numbers((protocol) => isHttp(protocol) || protocol === 'Unsupported'),
    tls: numbers((protocol) => isTls(protocol)),
    tcp: numbers((protocol) => !isHttp(protocol) && !isTls(protocol) && protocol !== 'UDP'),
  };
}
