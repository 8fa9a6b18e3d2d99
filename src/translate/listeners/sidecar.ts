/** The listeners of a sidecar's outbound side as messages. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Address, AddressSchema } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import { TrafficDirection } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { FilterChain } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { accessLogs, listenerAccessLogs } from '../access-log.ts';
import type { TranslateContext } from '../context.ts';
import { explicitProxy, httpInspector, tcpProxy, tlsInspector } from '../filters.ts';
import { metadataOf } from '../metadata.ts';
import { BLACK_HOLE_CLUSTER, outboundClusterName, PASSTHROUGH_CLUSTER, VIRTUAL_OUTBOUND_LISTENER } from '../names.ts';
import { toDuration } from '../proto.ts';
import { sidecarRoutes } from '../routes/sidecar.ts';
import { chain, filterChain, matchesAll } from './chains.ts';
import type { PlannedRoutes } from './index.ts';
import { type OutboundListener, outbound, WILDCARD } from './outbound.ts';

/** The chain of a listener that takes what no service claims. */
const FALLBACK_CHAIN = 'PassthroughFilterChain';

export function socketAddress(address: string, port: number): Address {
  return create(AddressSchema, {
    address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } },
  });
}

export function sidecarOutbound(context: TranslateContext): { listeners: Listener[]; routes: PlannedRoutes } {
  const planned = outbound(context);
  const listeners = [...planned.listeners].map(([name, listener]) => outboundListener(context, name, listener));
  listeners.push(virtualOutbound(context));
  if (context.proxy.explicitProxy) listeners.push(explicitProxyListener(context, context.proxy.explicitProxy));
  const routesOf = sidecarRoutes(context, unknownTrafficCluster(context));
  const routes = new Map([...planned.routes].map(([name, wanted]) => [name, () => routesOf(name, wanted)]));
  return { listeners, routes };
}

function outboundListener(context: TranslateContext, name: string, listener: OutboundListener): Listener {
  const chains: FilterChain[] = [];
  let fallback: FilterChain | undefined;
  const own = listener.chains.list();
  for (const each of own) {
    if (matchesAll(each)) fallback = filterChain(each);
    else chains.push(filterChain(each));
  }
  const sniffsHttp = own.some((each) => each.applicationProtocols.length > 0);
  // Only where a chain asks for SNI: the inspector waits for five bytes, and a client may send fewer.
  const sniffsTls = own.some((each) => each.serverNames.length > 0);
  const { protocolDetectionTimeout } = context.mesh.config;
  return create(ListenerSchema, {
    name,
    address: socketAddress(listener.address, listener.port),
    ...(!listener.bindToPort && { bindToPort: false }),
    trafficDirection: TrafficDirection.OUTBOUND,
    // A client that says nothing is let through to where unknown bytes go.
    continueOnListenerFiltersTimeout: true,
    listenerFilters: [...(sniffsTls ? [tlsInspector()] : []), ...(sniffsHttp ? [httpInspector()] : [])],
    listenerFiltersTimeout: toDuration(sniffsHttp ? protocolDetectionTimeout : 0),
    metadata: listener.owner && metadataOf({ origins: [listener.owner.resource] }),
    ...(chains.length === 0 && fallback
      ? { filterChains: [fallback] }
      : { filterChains: chains, defaultFilterChain: fallback ?? unknownTraffic(context, FALLBACK_CHAIN) }),
  });
}

/** Takes what no service claims: on to where it was going, to the mesh's egress proxy, or nowhere. */
function unknownTraffic(context: TranslateContext, name: string): FilterChain {
  const cluster = unknownTrafficCluster(context);
  const filters = [tcpProxy({ statPrefix: cluster, clusters: [{ name: cluster, weight: 1 }], accessLog: accessLogs(context.mesh.config) })];
  return filterChain(chain({ name, filters, metadata: undefined }));
}

function unknownTrafficCluster({ scope }: Pick<TranslateContext, 'scope'>): string {
  const { mode, egressProxy } = scope.outboundTrafficPolicy;
  if (mode === 'REGISTRY_ONLY') return BLACK_HOLE_CLUSTER;
  return egressProxy ? outboundClusterName(egressProxy.host, egressProxy.port, egressProxy.subset) : PASSTHROUGH_CLUSTER;
}

/** Captured connections arrive here and are handed to the listener of their original destination. */
function virtualOutbound(context: TranslateContext): Listener {
  const { config } = context.mesh;
  const port = config.proxyListenPort;
  const filters = [tcpProxy({ statPrefix: BLACK_HOLE_CLUSTER, clusters: [{ name: BLACK_HOLE_CLUSTER, weight: 1 }], accessLog: [] })];
  // Nothing was captured if the port itself was called: passing that on would come back here for ever.
  const loop = chain({ name: 'virtualOutbound-blackhole', destinationPort: port, filters, metadata: undefined });
  return create(ListenerSchema, {
    name: VIRTUAL_OUTBOUND_LISTENER,
    address: socketAddress(context.proxy.bindAddress ?? WILDCARD, port),
    useOriginalDst: true,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [filterChain(loop), unknownTraffic(context, 'virtualOutbound-catchall-tcp')],
    accessLog: listenerAccessLogs(config),
  });
}

/** As `virtualOutbound`, for clients that name their destination themselves (CONNECT, SOCKS5, absolute-form requests). */
function explicitProxyListener(context: TranslateContext, { address, port }: { address: string; port: number }): Listener {
  const init: MessageInitShape<typeof ListenerSchema> = {
    name: 'explicit_proxy',
    address: socketAddress(address, port),
    useOriginalDst: true,
    trafficDirection: TrafficDirection.OUTBOUND,
    // As on virtualOutbound, the listener that takes the connection over inspects it: one that nothing declares must not wait for its client to speak.
    listenerFilters: [explicitProxy()],
    listenerFiltersTimeout: toDuration(0),
    filterChains: [unknownTraffic(context, 'virtualOutbound-catchall-tcp')],
    accessLog: listenerAccessLogs(context.mesh.config),
  };
  return create(ListenerSchema, init);
}
