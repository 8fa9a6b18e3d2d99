/** The listeners of a sidecar's outbound side: which there are, and which services share one. */
import type { ResourceOf } from '../../api/index.ts';
import { originOf } from '../../api/resource.ts';
import { HostIndex } from '../../lib/host-index.ts';
import { isIp, parseRange, singleAddress } from '../../lib/ip.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import { table } from '../../lib/table.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { isHttp, isTcp, isTls } from '../../registry/protocol.ts';
import { allocatedAddresses, isIpv6 } from '../addresses.ts';
import type { TranslateContext } from '../context.ts';
import { PLAINTEXT_HTTP } from '../filters.ts';
import { injectsAny, interceptingTls, isIntercepted } from '../injection.ts';
import { originMetadata } from '../routes/origin.ts';
import type { EgressScope } from '../scope.ts';
import { type Chain, ChainSet, chain, sameFilters } from './chains.ts';
import { httpConnectionManager } from './hcm.ts';
import type { Refusal } from './refusal.ts';
import { outboundTcpChains } from './tcp-chains.ts';

export const WILDCARD = '0.0.0.0';

/** One listener while services are still being added to it. */
export interface OutboundListener {
  readonly address: string;
  readonly port: number;
  /** True where an application addresses the listener itself, so that it has a socket of its own. */
  readonly bindToPort: boolean;
  readonly chains: ChainSet;
  /** What it serves so far: `mixed` tells HTTP and other bytes apart by looking at them. */
  kind: 'http' | 'tcp' | 'mixed';
  /** Protocols that a server speaks first share their port with no other: looking at the bytes would hang them. */
  serverFirst: ServicePort['protocol'] | undefined;
  /** A Sidecar has named this port: services of its catch-all listener stay out. */
  locked: boolean;
  /** The service of a listener on an address of its own. */
  readonly owner: Service | undefined;
}

type Family = 'http' | 'tcp' | 'auto';

/** Undefined for protocols that have no listener (UDP). */
function familyOf({ protocol }: ServicePort): Family | undefined {
  if (isHttp(protocol)) return 'http';
  if (isTcp(protocol) || isTls(protocol)) return 'tcp';
  return protocol === 'Unsupported' ? 'auto' : undefined;
}

/** The routes that an HTTP listener asks for. */
export interface WantedRoutes {
  readonly port: number;
  /** The place of the egress entry in the scope. */
  readonly egress: number;
  /** The routes serve this service alone, which the listener's address has told already. */
  readonly only: Service | undefined;
}

interface Outbound {
  /** By `address_port`, in the order of their first service. */
  readonly listeners: ReadonlyMap<string, OutboundListener>;
  /** By the name under which the listeners ask for them. */
  readonly routes: ReadonlyMap<string, WantedRoutes>;
  /** Ports that a Sidecar names and this version does not serve. */
  readonly refused: readonly RefusedPort[];
}

/** What clients call on the port, at whatever address, is refused. */
export interface RefusedPort {
  readonly address: string;
  readonly port: number;
  readonly refusal: Refusal;
}

/** A VirtualService and its place among those of its listener. */
interface Ranked {
  readonly rank: number;
  readonly virtualService: ResourceOf<'VirtualService'>;
}

interface Draft {
  readonly context: TranslateContext;
  readonly listeners: Map<string, OutboundListener>;
  readonly routes: Map<string, WantedRoutes>;
  readonly virtualServices: Map<EgressScope, HostIndex<Ranked>>;
}

export function outbound(context: TranslateContext): Outbound {
  const draft: Draft = { context, listeners: new Map(), routes: new Map(), virtualServices: new Map() };
  const refused: RefusedPort[] = [];
  for (const egress of context.scope.egress) {
    const unserved = whyUnserved(egress);
    if (unserved) {
      reportUnserved(context, egress, unserved);
      // Where the application would call a socket of the proxy's, nothing listens.
      if (egress.port && boundAddress(egress) === undefined) {
        const refusal = { origin: context.scope.sidecar!, reason: unserved.message };
        refused.push({ address: WILDCARD, port: egress.port.number, refusal });
      }
      continue;
    }
    const byHost = new HostIndex<Ranked>();
    for (const [rank, virtualService] of virtualServicesBelowHttp(egress, context.proxy.namespace).entries()) {
      const ranked = { rank, virtualService };
      for (const host of virtualService.spec.hosts) byHost.add(host, ranked);
    }
    draft.virtualServices.set(egress, byHost);
    if (!egress.port) for (const listener of draft.listeners.values()) listener.locked = true;
    for (const service of egress.services) {
      if (service.resolution === 'Alias') continue;
      for (const port of listenPorts(egress, service)) addPort(draft, { egress, service, port });
    }
  }
  return { ...draft, refused };
}

/** A port of a service as one egress listener sees it. */
interface Offer {
  readonly egress: EgressScope;
  readonly service: Service;
  readonly port: ServicePort;
}

/** A listener with a port speaks the protocol that the Sidecar says, whatever the service calls it. */
function listenPorts(egress: EgressScope, service: Service): readonly ServicePort[] {
  const named = egress.port;
  if (!named) return service.ports;
  const own = service.ports.find((port) => port.number === named.number);
  const protocol = protocolOf(named.protocol) ?? own?.protocol ?? 'Unsupported';
  return [{ number: named.number, name: named.name, protocol, targetPort: own?.targetPort ?? named.number }];
}

function protocolOf(name: string): ServicePort['protocol'] | undefined {
  return SIDECAR_PROTOCOLS[name.toUpperCase()];
}

const SIDECAR_PROTOCOLS: Readonly<Record<string, ServicePort['protocol']>> = table({
  HTTP: 'HTTP',
  HTTP2: 'HTTP2',
  GRPC: 'GRPC',
  'GRPC-WEB': 'GRPC-Web',
  HTTPS: 'HTTPS',
  TLS: 'TLS',
  TCP: 'TCP',
  MONGO: 'Mongo',
  MYSQL: 'MySQL',
  REDIS: 'Redis',
});

function addPort(draft: Draft, offer: Offer): void {
  const { egress, port } = offer;
  const family = familyOf(port);
  if (!family) return;
  const bound = boundAddress(egress);
  if (family === 'http' || bound !== undefined) {
    addListener(draft, offer, family, bound ?? WILDCARD, []);
    return;
  }
  const { addresses, cidrs } = listenAddresses(draft.context, offer);
  for (const address of addresses) addListener(draft, offer, family, address, []);
  if (cidrs.length > 0) addListener(draft, offer, family, WILDCARD, cidrs);
}

/** Undefined where a listener takes the addresses of its services. */
function boundAddress({ bind, captureMode }: EgressScope): string | undefined {
  return bind || (captureMode === 'NONE' ? '127.0.0.1' : undefined);
}

/**
 * Where a TCP service is to be recognised: at its addresses; at those of its endpoints if it is headless and the Sidecar names no port; else at
 * every address, besides the one that was allocated for it and that this proxy's DNS answers.
 */
function listenAddresses(context: TranslateContext, { egress, service, port }: Offer): { addresses: string[]; cidrs: string[] } {
  const addresses = service.addresses.flatMap((address) => singleAddress(address) ?? []);
  const cidrs = service.addresses.filter((address) => parseRange(address) !== undefined && singleAddress(address) === undefined);
  if (addresses.length > 0 || cidrs.length > 0) return { addresses, cidrs };
  if (!egress.port && service.resolution === 'Passthrough' && !isHttp(port.protocol)) {
    const endpoints = endpointAddresses(context, service, port.number);
    const reachable = [...new Set(endpoints)].filter((address) => isIp(address) && !context.proxy.addresses.includes(address));
    // Endpoints may come later: without any there is nothing to reach, and taking the port for every address would be wrong.
    const hasEndpoints = endpoints.length > 0 || service.registry === 'Kubernetes' || Object.keys(service.selector).length > 0;
    if (hasEndpoints) return { addresses: reachable, cidrs };
  }
  return { addresses: [...allocatedAddresses(service, context.proxy.addresses.some(isIpv6)), WILDCARD], cidrs };
}

/** Of those who declare the host in this namespace the youngest that has some for the port, whatever it calls it. */
function endpointAddresses({ mesh: { registry } }: TranslateContext, { hostname, namespace }: Service, number: number): readonly string[] {
  for (const service of registry.declaring(hostname, namespace).toReversed()) {
    const endpoints = service.ports.filter((port) => port.number === number).flatMap((port) => registry.endpoints(service, port));
    if (endpoints.length > 0) return endpoints.map(({ address }) => address);
  }
  return [];
}

function addListener(draft: Draft, offer: Offer, family: Family, address: string, cidrs: readonly string[]): void {
  const { egress, service, port } = offer;
  const { proxyListenPort, proxyInboundListenPort } = draft.context.mesh.config;
  if (address === WILDCARD && (port.number === proxyListenPort || port.number === proxyInboundListenPort)) {
    reportCollision(draft.context, offer, 'captured traffic arrives there');
    return;
  }
  const name = `${address}_${port.number}`;
  const current = draft.listeners.get(name);
  if (current?.locked) return;
  // Routes tell HTTP services apart, so that the first one's chain serves them all.
  if (current && current.kind !== 'tcp' && family !== 'tcp') {
    for (const each of interceptingChains(draft, offer)) current.chains.add(each);
    return;
  }
  const serverFirst = port.protocol === 'Mongo' || port.protocol === 'MySQL' ? port.protocol : undefined;
  if (current && current.serverFirst !== serverFirst) {
    reportCollision(draft.context, offer, 'another service has it, and one of the two has a protocol whose server speaks first');
    return;
  }
  const chains = buildChains(draft, offer, family, address, cidrs);
  if (!current) {
    const bindToPort = egress.captureMode === 'NONE';
    const kind = family === 'tcp' ? 'tcp' : family === 'http' && address !== WILDCARD ? 'http' : 'mixed';
    const owner = address === WILDCARD || egress.bind ? undefined : service;
    draft.listeners.set(name, {
      address,
      port: port.number,
      bindToPort,
      chains: new ChainSet(chains),
      kind,
      serverFirst,
      locked: false,
      owner,
    });
    return;
  }
  if (current.kind === 'http' || family !== 'tcp') current.kind = 'mixed';
  for (const each of chains) {
    const other = current.chains.add(each);
    if (other && family === 'tcp' && !sameFilters(other, each))
      reportCollision(draft.context, offer, 'an older service has the same address and port');
  }
}

const kept = {
  chains: new Memo<Chain>(),
  belowHttp: new Memo<readonly ResourceOf<'VirtualService'>[]>(),
  sameList: new Memo<readonly ResourceOf<'VirtualService'>[]>(),
};

/** Those with rules that become filter chains; the same list where others of the entry's change. */
export function virtualServicesBelowHttp(egress: EgressScope, namespace: string): readonly ResourceOf<'VirtualService'>[] {
  const { services, virtualServices } = egress;
  const list = kept.belowHttp.get([virtualServices], NO_INPUTS, () =>
    virtualServices.filter(({ spec }) => spec.tls.length > 0 || spec.tcp.length > 0),
  );
  return kept.sameList.get([services, namespace], list, () => list);
}

function buildChains(draft: Draft, offer: Offer, family: Family, address: string, cidrs: readonly string[]): readonly Chain[] {
  const { egress, service, port } = offer;
  const { context } = draft;
  const wildcard = address === WILDCARD;
  const shared = wildcard || boundAddress(egress) !== undefined;
  const tcp =
    family === 'http' ? [] : outboundTcpChains(context, { service, port, cidrs, shared, virtualServices: concerning(draft, offer) });
  if (family === 'tcp') return tcp;
  const only = family === 'auto' && !shared ? service : undefined;
  const routes = only ? `${only.hostname}:${port.number}` : String(port.number);
  // Whichever entry a listener comes of, its routes are those of the one that names the port, as in Istio.
  const entries = context.scope.egress;
  const naming = entries.findIndex((each) => each.port?.number === port.number);
  if (!draft.routes.has(routes))
    draft.routes.set(routes, { port: port.number, egress: naming < 0 ? entries.indexOf(egress) : naming, only });
  const { config } = context.mesh;
  const statPrefix = `outbound_${address}_${port.number}`;
  const injects = injectsAny(context.scope.services);
  const http = kept.chains.get([config, wildcard ? config : service, `${statPrefix} ${routes} ${family} ${injects}`], NO_INPUTS, () =>
    chain({
      filters: [httpConnectionManager(config, { side: 'outbound', statPrefix, routes, authorization: [], injects })],
      metadata: wildcard ? undefined : originMetadata(service.resource),
      // Everything else on the port goes to the chain that takes what no service claims.
      ...((wildcard || family === 'auto') && { applicationProtocols: PLAINTEXT_HTTP, transportProtocol: 'raw_buffer' as const }),
    }),
  );
  return [...tcp, http, ...interceptingChains(draft, offer)];
}

/** Where the proxy sees through the client's TLS: what is within it takes the routes of the port. */
function interceptingChains({ context }: Draft, { service, port }: Offer): readonly Chain[] {
  if (!isHttp(port.protocol) || !isIntercepted(service, port.number)) return [];
  const { config } = context.mesh;
  const { hostname, resource } = service;
  const statPrefix = `intercepted_${hostname}_${port.number}`;
  const injects = injectsAny(context.scope.services);
  return [
    kept.chains.get([config, service, `${statPrefix} ${injects}`], NO_INPUTS, () =>
      chain({
        serverNames: [hostname],
        transportProtocol: 'tls',
        transportSocket: interceptingTls(hostname),
        filters: [httpConnectionManager(config, { side: 'outbound', statPrefix, routes: String(port.number), authorization: [], injects })],
        metadata: originMetadata(resource),
      }),
    ),
  ];
}

/** VirtualServices below HTTP that have a host in common with the service, the one that decides first. */
function concerning({ virtualServices }: Draft, { egress, service }: Offer): ResourceOf<'VirtualService'>[] {
  const byHost = virtualServices.get(egress)!;
  const found = new Set([...byHost.covering(service.hostname), ...byHost.coveredBy(service.hostname)]);
  return [...found].sort((a, b) => a.rank - b.rank).map(({ virtualService }) => virtualService);
}

function reportCollision({ report }: TranslateContext, { service, port }: Offer, because: string): void {
  const { resource } = service;
  report({
    code: 'SP1011',
    level: 'Error',
    message: `${service.hostname} is not served on port ${port.number} (${port.protocol}): ${because}. Give it an address or a port of its own.`,
    origin: originOf(resource),
    position: resource.source.position(),
  });
}

/** What this version does not do of an egress listener. */
interface Unserved {
  readonly message: string;
  /** In the entry. */
  readonly field: readonly string[];
}

function whyUnserved({ bind, port }: EgressScope): Unserved | undefined {
  if (bind.startsWith('unix:')) {
    const message = `The egress listener on ${bind} is not served: this version binds addresses, not unix sockets. Bind 127.0.0.1 and a port.`;
    return { message, field: ['bind'] };
  }
  if (port?.protocol.toUpperCase() !== 'HTTP_PROXY') return undefined;
  // Istio's own serves the hosts of port 80 alone, and sends those with a VirtualService to clusters that do not exist.
  const message =
    `The egress listener on port ${port.number} is not served: this version has no egress listeners of protocol HTTP_PROXY. ` +
    'Set protocol: HTTP and the port that clients name, or have them use the explicit proxy of `sallyport up`.';
  return { message, field: ['port', 'protocol'] };
}

/** Connections of the application to it are refused. */
function reportUnserved({ report, scope }: TranslateContext, { bind, port }: EgressScope, { message, field }: Unserved): void {
  const sidecar = scope.sidecar!;
  const index = sidecar.spec.egress.findIndex((each) => (each.bind ?? '') === bind && (each.port?.number || undefined) === port?.number);
  report({
    code: 'SP1024',
    level: 'Error',
    message,
    origin: originOf(sidecar),
    position: sidecar.source.position(['spec', 'egress', index, ...field]),
  });
}
