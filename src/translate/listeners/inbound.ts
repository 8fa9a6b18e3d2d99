/** A sidecar's inbound side: one filter chain or two for each port that its workload serves, and what takes the other ports. */
import { create } from '@bufbuild/protobuf';
import { originOf, type Resource, resourceText } from '../../api/resource.ts';
import type { Protocol } from '../../registry/model.ts';
import { type PeerMode, peerModes } from '../../registry/peer-modes.ts';
import { isHttp, parseProtocol } from '../../registry/protocol.ts';
import { TrafficDirection } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type ListenerFilter,
  ListenerFilterChainMatchPredicateSchema,
} from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { BLACK_HOLE_CLUSTER } from '../../xds/names.ts';
import { listenerAccessLogs } from '../access-log.ts';
import { type Authorization, authorization } from '../authorization/filters.ts';
import type { TranslateContext } from '../context.ts';
import { httpInspector, originalDestination, PLAINTEXT_HTTP, tcpProxy, tlsInspector } from '../filters.ts';
import { downstreamMeshTls, MESH_ALPN } from '../mesh-tls.ts';
import { INBOUND_PASSTHROUGH_CLUSTER, inboundClusterName, VIRTUAL_INBOUND_LISTENER } from '../names.ts';
import { socketAddress, toDuration } from '../proto.ts';
import { inboundRoute } from '../routes/defaults.ts';
import { originMetadata } from '../routes/origin.ts';
import { type Chain, chain, filterChain } from './chains.ts';
import { httpConnectionManager } from './hcm.ts';
import { WILDCARD } from './outbound.ts';
import { type Refusal, type RefusalOf, refusals, refusingChain, reportRefusal } from './refusal.ts';

/** One port of the workload. */
interface Served {
  /** Where the workload listens; undefined for the ports that nothing describes. */
  readonly port: number | undefined;
  /** The port as the service calls it. */
  readonly servicePort: number;
  readonly protocol: Protocol;
  readonly hostname: string;
  readonly cluster: string;
  readonly bind: string;
  /** A socket of its own in place of a chain of `virtualInbound`. */
  readonly bindToPort: boolean;
  readonly origin: Resource | undefined;
  /** Why it refuses, whatever the policies say. */
  readonly refusal: Refusal | undefined;
}

export function sidecarInbound(context: TranslateContext): Listener[] {
  const policies = { refusalOf: refusals(context), authorization: authorization(context) };
  const served = servedPorts(context);
  const captured = [PASSTHROUGH, ...served.filter((each) => !each.bindToPort)].flatMap((each) => servedChains(context, each, policies));
  const virtual = inboundListener(context, VIRTUAL_INBOUND_LISTENER, context.mesh.config.proxyInboundListenPort, [
    loopChain(context),
    ...captured,
  ]);
  virtual.address = socketAddress(context.proxy.bindAddress ?? WILDCARD, context.mesh.config.proxyInboundListenPort);
  virtual.listenerFilters.unshift(originalDestination());
  const bound = served
    .filter((each) => each.bindToPort)
    .map((each) => {
      const chains = servedChains(context, each, policies).map((parts) => ({ ...parts, destinationPort: undefined }));
      const listener = inboundListener(context, `${each.bind}_${each.port}`, each.port!, chains);
      listener.address = socketAddress(each.bind, each.port!);
      return listener;
    });
  return [virtual, ...bound];
}

const PASSTHROUGH: Served = {
  port: undefined,
  servicePort: 0,
  protocol: 'Unsupported',
  hostname: '',
  cluster: INBOUND_PASSTHROUGH_CLUSTER,
  bind: WILDCARD,
  bindToPort: false,
  origin: undefined,
  refusal: undefined,
};

/** A Sidecar's `ingress` replaces what follows from services. In the order of the ports; of two for one port the first stays. */
function servedPorts(context: TranslateContext): Served[] {
  const ingress = context.scope.sidecar?.spec.ingress ?? [];
  const all = ingress.length > 0 ? ingressPorts(context) : servicePorts(context);
  const byPort = new Map<number, Served>();
  for (const each of all) {
    const other = byPort.get(each.port!);
    if (!other) byPort.set(each.port!, each);
    else if (other.protocol !== each.protocol && other.hostname !== each.hostname) reportConflict(context, other, each);
  }
  return [...byPort.values()].sort((a, b) => a.port! - b.port!);
}

function servicePorts({ mesh, proxy }: TranslateContext): Served[] {
  return mesh.registry.servicesOf(proxy).map(({ service, port, endpointPort }) => ({
    port: endpointPort,
    servicePort: port.number,
    // Connections to a port of UDP are bytes, as in Istio.
    protocol: port.protocol === 'UDP' ? 'TCP' : port.protocol,
    hostname: service.hostname,
    cluster: inboundClusterName(endpointPort),
    bind: WILDCARD,
    bindToPort: false,
    origin: service.resource,
    refusal: undefined,
  }));
}

function ingressPorts({ scope, proxy }: TranslateContext): Served[] {
  const sidecar = scope.sidecar!;
  return sidecar.spec.ingress.map(({ port, bind, captureMode, tls }) => ({
    port: port.number,
    servicePort: port.number,
    protocol: parseProtocol(port.protocol),
    hostname: `${sidecar.metadata.name}.${sidecar.metadata.namespace}`,
    cluster: inboundClusterName(port.number),
    bind: bind || (captureMode === 'NONE' ? (proxy.addresses[0] ?? WILDCARD) : WILDCARD),
    bindToPort: captureMode === 'NONE',
    origin: sidecar,
    refusal: tls && {
      origin: sidecar,
      reason: `${resourceText(sidecar)} asks its sidecars to terminate TLS on port ${port.number}, which this version does not do`,
    },
  }));
}

function reportConflict({ report }: TranslateContext, kept: Served, lost: Served): void {
  report({
    code: 'IST0116',
    level: 'Warning',
    message: `port ${lost.port} of the workload is ${lost.protocol} to ${lost.hostname} and ${kept.protocol} to ${kept.hostname}, which is older and decides`,
    origin: originOf(lost.origin!),
    position: lost.origin!.source.position(),
  });
}

interface Policies {
  readonly refusalOf: RefusalOf;
  readonly authorization: Authorization;
}

/** TLS that is not the mesh's is the application's own and passes; a port that is HTTP takes plain HTTP and the mesh's TLS only. */
function servedChains(context: TranslateContext, served: Served, { refusalOf, authorization: authorized }: Policies): Chain[] {
  const { protocol, port } = served;
  const metadata = served.origin && originMetadata(served.origin);
  const base = { destinationPort: port, metadata };
  const kind = protocol === 'Unsupported' ? 'sniffed' : isHttp(protocol) ? 'http' : 'tcp';
  if (served.refusal) reportRefusal(context, served.refusal.origin, served.refusal.reason);
  const refusal = served.refusal ?? refusalOf(port ?? 0);
  const refuse = (parts: Partial<Chain>, isHttpChain: boolean) =>
    refusingChain(context, { ...parts, side: 'inbound', http: isHttpChain }, refusal!);
  const { mode } = context.mesh.withoutIdentities ? { mode: 'DISABLE' as const } : peerModes(context.mesh).of(context.proxy, port ?? 0);
  return MATCHES[kind][mode].map(({ http, mesh, transportProtocol, applicationProtocols = [] }) => {
    const parts = { ...base, name: chainName(served, http), transportProtocol, applicationProtocols };
    if (refusal) return refuse(parts, http);
    const filters = http ? [httpFilter(context, served, authorized.http)] : [...authorized.network, tcpFilter(context, served)];
    const transportSocket = mesh ? { transportSocket: downstreamMeshTls(context.secrets, context.mesh.config) } : {};
    return chain({ ...parts, filters, ...transportSocket });
  });
}

/** What one chain of a port takes. */
interface PortMatch {
  readonly http: boolean;
  /** The mesh's TLS, which ends here. */
  readonly mesh: boolean;
  readonly transportProtocol: Chain['transportProtocol'];
  readonly applicationProtocols?: readonly string[];
}

const PLAIN_HTTP: PortMatch = { http: true, mesh: false, transportProtocol: 'raw_buffer' };
const SNIFFED_HTTP: PortMatch = { ...PLAIN_HTTP, applicationProtocols: PLAINTEXT_HTTP };
const PLAIN_TCP: PortMatch = { http: false, mesh: false, transportProtocol: 'raw_buffer' };
const OWN_TLS: PortMatch = { http: false, mesh: false, transportProtocol: 'tls' };
const meshChain = (http: boolean, applicationProtocols: readonly string[]): PortMatch => ({
  http,
  mesh: true,
  transportProtocol: 'tls',
  applicationProtocols,
});

/** As Istio's control plane has them. */
const MATCHES: Readonly<Record<'http' | 'sniffed' | 'tcp', Readonly<Record<PeerMode, readonly PortMatch[]>>>> = {
  http: {
    DISABLE: [PLAIN_HTTP],
    PERMISSIVE: [meshChain(true, MESH_ALPN.any), PLAIN_HTTP],
    STRICT: [meshChain(true, [])],
  },
  sniffed: {
    DISABLE: [SNIFFED_HTTP, PLAIN_TCP],
    PERMISSIVE: [meshChain(true, MESH_ALPN.http), SNIFFED_HTTP, meshChain(false, MESH_ALPN.tcp), PLAIN_TCP, OWN_TLS],
    STRICT: [meshChain(true, MESH_ALPN.http), meshChain(false, [])],
  },
  tcp: {
    DISABLE: [PLAIN_TCP],
    PERMISSIVE: [meshChain(false, MESH_ALPN.any), PLAIN_TCP, OWN_TLS],
    STRICT: [meshChain(false, [])],
  },
};

function chainName({ port, bind }: Served, http: boolean): string {
  if (port !== undefined) return `${bind}_${port}`;
  return http ? 'virtualInbound-catchall-http' : VIRTUAL_INBOUND_LISTENER;
}

function httpFilter(context: TranslateContext, served: Served, authorized: Authorization['http']) {
  const statPrefix = served.port === undefined ? served.cluster : `inbound_${chainName(served, true)}`;
  return httpConnectionManager(context.mesh.config, {
    side: 'inbound',
    statPrefix,
    routes: inboundRoutes(served),
    authorization: authorized,
  });
}

function inboundRoutes({ cluster, hostname, servicePort, protocol }: Served): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: cluster,
    validateClusters: false,
    virtualHosts: [
      { name: `inbound|http|${servicePort}`, domains: ['*'], routes: [inboundRoute(cluster, `${hostname}:${servicePort}/*`, protocol)] },
    ],
  });
}

function tcpFilter(context: TranslateContext, { cluster }: Served) {
  return tcpProxy({
    statPrefix: cluster,
    clusters: [{ name: cluster, weight: 1 }],
    logged: { config: context.mesh.config, mode: 'SERVER' },
  });
}

/** A call of the port itself was not captured: passing it on would come back here for ever. */
function loopChain(context: TranslateContext): Chain {
  return chain({
    name: 'virtualInbound-blackhole',
    destinationPort: context.mesh.config.proxyInboundListenPort,
    filters: [tcpProxy({ statPrefix: BLACK_HOLE_CLUSTER, clusters: [{ name: BLACK_HOLE_CLUSTER, weight: 1 }] })],
    metadata: undefined,
  });
}

function inboundListener(context: TranslateContext, name: string, port: number, chains: readonly Chain[]): Listener {
  const { config } = context.mesh;
  return create(ListenerSchema, {
    name,
    address: socketAddress(WILDCARD, port),
    trafficDirection: TrafficDirection.INBOUND,
    continueOnListenerFiltersTimeout: true,
    listenerFilters: inspectors(chains),
    listenerFiltersTimeout: toDuration(config.protocolDetectionTimeout),
    filterChains: chains.map(filterChain),
    accessLog: listenerAccessLogs(config, 'SERVER'),
  });
}

/**
 * An inspector waits for the client's first bytes, while the server may be the first to speak: it runs where chains are told apart by what it finds.
 * Bytes that nobody has looked at count as no TLS.
 */
function inspectors(chains: readonly Chain[]): ListenerFilter[] {
  const without = (inspected: (parts: Chain) => boolean): ListenerFilter['filterDisabled'] => {
    const ports = new Set(chains.filter((parts) => !inspected(parts)).flatMap((parts) => parts.destinationPort ?? []));
    for (const parts of chains) if (inspected(parts) && parts.destinationPort !== undefined) ports.delete(parts.destinationPort);
    return portPredicate([...ports].sort((a, b) => a - b));
  };
  const filters: ListenerFilter[] = [];
  const isTls = (parts: Chain) => parts.transportProtocol === 'tls';
  if (chains.some(isTls)) {
    const tls = tlsInspector();
    tls.filterDisabled = without(isTls);
    filters.push(tls);
  }
  // The protocols of TLS are in its hello.
  const sniffed = (parts: Chain) => parts.applicationProtocols.length > 0 && parts.transportProtocol !== 'tls';
  if (chains.some(sniffed)) {
    const http = httpInspector();
    http.filterDisabled = without(sniffed);
    filters.push(http);
  }
  return filters;
}

function portPredicate(ports: readonly number[]): ListenerFilter['filterDisabled'] {
  const rules = ports.map((port) => ({ rule: { case: 'destinationPortRange' as const, value: { start: port, end: port + 1 } } }));
  if (rules.length === 0) return undefined;
  return create(ListenerFilterChainMatchPredicateSchema, rules.length === 1 ? rules[0]! : { rule: { case: 'orMatch', value: { rules } } });
}
