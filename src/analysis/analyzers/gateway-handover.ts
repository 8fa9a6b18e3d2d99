import type { HttpRoute, Pod, Server } from '../../api/index.ts';
import { PROXY_CONTAINER } from '../../api/injection.ts';
import { fullHostname, hostsOverlap } from '../../lib/hostname.ts';
import { isHttp, isTls, parseProtocol } from '../../registry/protocol.ts';
import { isVisible, visibilityOf } from '../../registry/visibility.ts';
import { upstreamTls } from '../arrivals.ts';
import { callersOf } from '../callers.ts';
import { type Context, formatSelector, type Selectable } from '../context.ts';
import {
  type AnyRule,
  type Gateway,
  gatewayServices,
  onlyPort,
  onMesh,
  ruleConcerns,
  type VirtualService,
  withDelegates,
} from '../egress-model.ts';
import { gatewayPods } from './gateway.ts';
import { findGateway, serverHostTakes } from './virtual-service-gateways.ts';

/** A server of a Gateway that takes a host on a port. */
interface Serving {
  readonly gateway: Gateway;
  readonly server: Server;
}

/** SP1017: hosts that sidecars send to a gateway which has no server, or no route, for them. */
export function gatewayHandover(context: Context): void {
  const services = new Map([...gatewayServices(context)].map(([host, gateways]) => [host, new Set(gateways)]));
  for (const alone of context.of('VirtualService')) {
    if (!alone.valid || !onMesh(alone)) continue;
    const virtualService = withDelegates(context, alone);
    const { namespace } = virtualService.metadata;
    // Rules of one VirtualService mostly lead to one port of one gateway.
    const judged = new Map<string, readonly Fault[]>();
    for (const kind of ['http', 'tls', 'tcp'] as const) {
      const rules: readonly AnyRule[] = virtualService.spec[kind];
      for (const [i, rule] of rules.entries()) {
        const forMesh = rule.match.length === 0 || rule.match.some(({ gateways }) => gateways.length === 0 || gateways.includes('mesh'));
        if (!forMesh) continue;
        for (const [j, { destination }] of rule.route.entries()) {
          const host = fullHostname(destination.host, namespace).toLowerCase();
          const gateways = services.get(host);
          const port = destination.port?.number ?? onlyPort(context, host);
          if (!gateways) reportUnselected(context, virtualService, host, ['spec', kind, i, 'route', j, 'destination', 'host']);
          if (!gateways || !port) continue;
          // What one that is not valid is meant to serve is not known; that it is not valid is a finding already.
          if ([...gateways].some(({ valid }) => !valid)) continue;
          const names = rule.match.flatMap(({ sniHosts = [] }) => sniHosts);
          const named = kind === 'http' ? hostSent(virtualService.spec.http[i]!, j) : undefined;
          const key = [kind, port, host, destination.subset ?? '', named ?? '', ...names].join(' ');
          let faults = judged.get(key);
          if (!faults) {
            const lead = { kind, host, port, subset: destination.subset ?? '', names, named, gateways };
            faults = faultsOf(context, virtualService, lead);
            judged.set(key, faults);
          }
          const path = ['spec', kind, i, 'route', j, 'destination', 'host'];
          for (const { code, message } of faults) context.report(code, virtualService, path, message);
        }
      }
    }
  }
}

/** The host that a rule writes into requests; undefined where it leaves what the client sent, or a request decides. */
export function hostSent({ rewrite, headers, route }: HttpRoute, destination: number): string | undefined {
  const set = { ...headers?.request?.set, ...route[destination]?.headers?.request?.set };
  const written = Object.entries(set).find(([name]) => /^(?:host|:authority)$/i.test(name))?.[1] ?? rewrite?.authority;
  return written && !written.includes('%') ? written.toLowerCase().replace(/:\d+$/, '') : undefined;
}

/** A Service whose pods are proxies and nothing else, which is a gateway's, and no Gateway selects them. */
function reportUnselected(context: Context, virtualService: VirtualService, host: string, path: (string | number)[]): void {
  const service = context.services.at(host).find(({ registry, selector }) => registry === 'Kubernetes' && Object.keys(selector).length > 0);
  if (!service || context.of('Gateway').some(({ spec }) => Object.keys(spec.selector).length === 0)) return;
  const pods = context.selectIn(service.namespace, service.selector);
  const isProxy = ({ resource }: Selectable) =>
    resource.kind === 'Pod' && (resource.spec as Pod).containers.every(({ name }) => name === PROXY_CONTAINER);
  if (pods.length === 0 || !pods.every(isProxy)) return;
  context.report(
    'SP1017',
    virtualService,
    path,
    `Sidecars send ${virtualService.spec.hosts.join(', ')} to Service ${service.namespace}/${service.resource.metadata.name}, whose gateway no Gateway selects: it listens for nothing, and calls are refused (503 UF). Select its pods (${formatSelector(service.selector)}) with the Gateway that serves the hosts, or lead the calls to that Gateway's Service.`,
  );
}

interface Fault {
  readonly code: 'SP1017' | 'SP1037';
  readonly message: string;
}

/** Where a rule on the mesh leads. */
interface Lead {
  readonly kind: 'http' | 'tls' | 'tcp';
  /** The gateway's Service, and the port of it. */
  readonly host: string;
  readonly port: number;
  readonly subset: string;
  /** The hosts that the rule is for; empty if for all. */
  readonly names: readonly string[];
  /** The host that requests are sent with in place of the one that was called. */
  readonly named: string | undefined;
  readonly gateways: ReadonlySet<Gateway>;
}

/** What is wrong with leading the VirtualService's hosts there. */
function faultsOf(context: Context, virtualService: VirtualService, lead: Lead): Fault[] {
  const { names, named, gateways, port } = lead;
  const { namespace } = virtualService.metadata;
  const faults: Fault[] = [];
  const say = (message: string) => faults.push({ code: 'SP1017', message });
  const reached = portsBehind(context, lead);
  const bound = virtualService.spec.gateways.some((name) => gateways.has(findGateway(context, name, namespace)!));
  for (const written of named ? [named] : virtualService.spec.hosts) {
    const host = fullHostname(written, namespace).toLowerCase();
    const sent = named
      ? `requests as ${host}, which the rule writes in place of the host that was called (it can be written at the gateway as well),`
      : host;
    if (names.length > 0 && !names.some((name) => hostsOverlap(name.toLowerCase(), host))) continue;
    // Which namespaces' VirtualServices a server takes is asked of those at the gateway, not of this one.
    const servers = context.gatewayServers.overlapping(host).filter(({ gateway }) => gateways.has(gateway));
    const anywhere = [...new Set(servers.map(({ gateway }) => gateway))];
    const serving: Serving[] = servers
      .map(({ gateway, index }) => ({ gateway, server: gateway.spec.servers[index]! }))
      .filter(({ server }) => reached(server.port.number));
    if (serving.length === 0) {
      // Where no Gateway at all has the host, a VirtualService that is bound to one of them is a finding already (IST0132).
      if (anywhere.length === 0 && bound && named === undefined) continue;
      const elsewhere = anywhere.map(nameOf).sort().join(', ');
      say(
        `Sidecars send ${sent} to port ${port} of the gateway, where no Gateway has a server for it${elsewhere ? ` (${elsewhere} has one on another port)` : ''}: calls are answered 404 or closed. Add a server with port ${port} and the host, and a rule for it at the gateway, or lead the calls to the port that has one.`,
      );
      continue;
    }
    const refusal = refusalOf(context, virtualService, lead, serving);
    if (refusal) {
      faults.push(refusal);
      continue;
    }
    if (serving.some((each) => hasRoute(context, each, host, each.server.port.number))) continue;
    const takes = ({ gateway, server }: Serving) =>
      server.hosts.some((each) => serverHostTakes(each, gateway.metadata.namespace, host, namespace));
    // One that takes the host from other namespaces alone is a finding already (IST0132).
    if (bound && named === undefined && !serving.some(takes)) continue;
    const { gateway, server } = serving[0]!;
    const kind = kindsOf(server)[0]!;
    const end = kind === 'http' ? 'answered 404' : 'closed';
    if (gateway.derivedFrom) {
      const { namespace: owner, name } = gateway.derivedFrom.metadata;
      const route = { http: 'HTTPRoute', tls: 'TLSRoute', tcp: 'TCPRoute' }[kind];
      say(
        `Sidecars send ${host} to port ${port} of Gateway ${owner}/${name}, to which no ${route} for it is attached: calls are ${end} there. Attach one (parentRefs: [{name: ${name}, namespace: ${owner}}]) that leads to ${host}.`,
      );
      continue;
    }
    const hidden = serving.map((each) => routeFor(context, each, host, each.server.port.number, true)).find(Boolean);
    if (hidden) {
      const { metadata } = hidden.virtualService;
      say(
        `Sidecars send ${host} to Gateway ${nameOf(gateway)}, whose pods run in ${hidden.podNamespace}, to which the VirtualService with its rules there, ${metadata.namespace}/${metadata.name}, is not exported: calls are ${end} there. Add ${hidden.podNamespace} to its exportTo.`,
      );
      continue;
    }
    say(
      `Sidecars send ${sent} to Gateway ${nameOf(gateway)}, for which no VirtualService has a rule of kind ${kind} that holds on its port ${server.port.number}: calls are ${end} there. Add a rule under ${kind} with match gateways: [${nameOf(gateway)}] that leads to ${host}.`,
    );
  }
  return faults;
}

function nameOf({ metadata }: Gateway): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/**
 * Which servers take what comes to a port of the gateway's Service, by their numbers: a server whose number is a port of the Service is bound to where
 * that port leads, another one to its own number.
 */
export function portsBehind(context: Context, { host, port }: Pick<Lead, 'host' | 'port'>): (server: number) => boolean {
  const ports = context.services.at(host).flatMap((service) => service.ports);
  const boundTo = (number: number) => ports.find((each) => each.number === number)?.targetPort ?? number;
  return (server) => boundTo(server) === boundTo(port);
}

/** Bytes that none of the servers there can read. */
function refusalOf(context: Context, virtualService: VirtualService, lead: Lead, serving: readonly Serving[]): Fault | undefined {
  const { kind, host, port, subset } = lead;
  const names = [...new Set(serving.map(({ gateway }) => nameOf(gateway)))].join(', ');
  const isPlain = ({ server }: Serving) => isHttp(parseProtocol(server.port.protocol));
  if (kind === 'tls' && serving.every(isPlain)) {
    return {
      code: 'SP1017',
      message: `This leads TLS to port ${port} of the gateway, where ${names} takes plain HTTP alone: connections are closed. Lead it to a port with a server of protocol TLS (tls: {mode: PASSTHROUGH}), with a tls rule at the gateway.`,
    };
  }
  if (
    kind !== 'http' ||
    !serving.every(({ server }) => server.tls && !server.tls.httpsRedirect && !isHttp(parseProtocol(server.port.protocol)))
  )
    return undefined;
  const caller = callersOf(context, virtualService.metadata.namespace)[0]!;
  const service = context.registry.lookup(host, caller.namespace);
  const found = service?.ports.find(({ number }) => number === port);
  if (!service || !found) return undefined;
  const arrival = { service, port: found, subset, bytes: 'http', by: 'sidecar', caller, resource: virtualService, path: [] } as const;
  if (upstreamTls(context, arrival)?.holds) return undefined;
  const passes = serving.every(({ server }) => server.tls?.mode === 'PASSTHROUGH');
  return {
    code: 'SP1037',
    message: `This leads requests in plain HTTP to port ${port} of the gateway, where ${names} takes TLS alone (${passes ? 'and passes it on' : 'and ends it'}): the gateway closes the connection, and the application gets 503 from its sidecar. Lead them to a port with a server of protocol HTTP, and originate TLS to the outside at the gateway.`,
  };
}

/** The kinds of rules that a server follows; one of PASSTHROUGH knows calls by their SNI, and tcp rules open no listener there. */
function kindsOf({ port, tls }: Server): readonly ('http' | 'tls' | 'tcp')[] {
  const protocol = parseProtocol(port.protocol);
  if (isHttp(protocol)) return ['http'];
  if (!isTls(protocol)) return ['tcp'];
  if (tls?.mode === 'PASSTHROUGH' || tls?.mode === 'AUTO_PASSTHROUGH') return ['tls'];
  return protocol === 'HTTPS' ? ['http'] : ['tcp'];
}

function hasRoute(context: Context, serving: Serving, host: string, port: number): boolean {
  const { tls } = serving.server;
  return tls?.mode === 'AUTO_PASSTHROUGH' || tls?.httpsRedirect === true || routeFor(context, serving, host, port, false) !== undefined;
}

interface FoundRoute {
  readonly virtualService: VirtualService;
  readonly podNamespace: string | undefined;
}

/** The VirtualService with a rule for the host at the server; with `hidden` one that the gateway's pods do not see. */
function routeFor(context: Context, { gateway, server }: Serving, host: string, port: number, hidden: boolean): FoundRoute | undefined {
  const podNamespace = gatewayPods(context, gateway)[0]?.namespace;
  const found = context.routedHosts.overlapping(host).find(({ virtualService: alone }) => {
    const virtualService = withDelegates(context, alone);
    const { namespace } = virtualService.metadata;
    const visibility = visibilityOf(virtualService.spec.exportTo, context.mesh.defaultVirtualServiceExportTo);
    if (podNamespace !== undefined && isVisible(visibility, namespace, podNamespace) === hidden) return false;
    if (!server.hosts.some((serverHost) => serverHostTakes(serverHost, gateway.metadata.namespace, host, namespace))) return false;
    const names = namesFor(gateway, namespace);
    if (!names.some((name) => virtualService.spec.gateways.includes(name))) return false;
    return kindsOf(server).some((kind) => {
      const rules: readonly AnyRule[] = virtualService.spec[kind];
      return rules.some((rule) => names.some((name) => ruleConcerns(virtualService, rule, name, host, port)));
    });
  });
  return found && { virtualService: found.virtualService, podNamespace };
}

/** How a VirtualService of a namespace may name the Gateway. */
function namesFor({ metadata }: Gateway, namespace: string): string[] {
  const full = `${metadata.namespace}/${metadata.name}`;
  return metadata.namespace === namespace ? [full, metadata.name] : [full];
}
