/** The listeners of a sidecar's outbound side as messages. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { MeshConfig } from '../../api/index.ts';
import { throughDefault } from '../../api/through.ts';
import { type Key, Memo, NO_INPUTS } from '../../lib/memo.ts';
import { TrafficDirection } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { FilterChain } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { bindingOf } from '../../xds/match/binding.ts';
import { BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER } from '../../xds/names.ts';
import { listenerAccessLogs } from '../access-log.ts';
import { isIpv6 } from '../addresses.ts';
import type { TranslateContext } from '../context.ts';
import { explicitProxy, httpInspector, tcpProxy, tlsInspector } from '../filters.ts';
import { metadataOf } from '../metadata.ts';
import { outboundClusterName, VIRTUAL_OUTBOUND_LISTENER } from '../names.ts';
import { Phase } from '../phase.ts';
import { socketAddress, toDuration } from '../proto.ts';
import { sidecarRoutes } from '../routes/sidecar.ts';
import { type Chain, chain, filterChain, matchesAll } from './chains.ts';
import { type OutboundListener, outbound, type RefusedPort, virtualServicesBelowHttp, type WantedRoutes, WILDCARD } from './outbound.ts';
import type { PlannedRoutes } from './planned.ts';
import { refusingChain } from './refusal.ts';

/** The chain of a listener that takes what no service claims. */
const FALLBACK_CHAIN = 'PassthroughFilterChain';

export function sidecarOutbound(context: TranslateContext): { listeners: Listener[]; routes: PlannedRoutes } {
  const planned = plans.get(context, planKeys(context), plan);
  const listeners = [...planned.listeners, virtualOutbound(context)];
  if (context.proxy.explicitProxy) listeners.push(explicitProxyListener(context, context.proxy.explicitProxy));
  const routesOf = sidecarRoutes(context, unknownTrafficCluster(context));
  const routes = new Map([...planned.routes].map(([name, wanted]) => [name, () => routesOf(name, wanted)]));
  return { listeners, routes };
}

/** The listeners of services, and the routes that they ask for. */
interface Plan {
  readonly listeners: readonly Listener[];
  readonly routes: ReadonlyMap<string, WantedRoutes>;
}

const plans = new Phase<Plan>();
/** Stands for the Sidecar where there is none. */
const NO_SIDECAR = {};

function plan(context: TranslateContext): Plan {
  const { listeners, routes, refused } = outbound(context);
  const built = new Map([...listeners].map(([name, listener]) => [name, outboundListener(context, name, listener)]));
  for (const each of refused) {
    const listener = refusedListener(context, each);
    built.set(listener.name, listener);
  }
  return { listeners: [...built.values()], routes };
}

/** In place of whatever else there were on the port: the Sidecar has named it. */
function refusedListener(context: TranslateContext, { address, port, refusal }: RefusedPort): Listener {
  return create(ListenerSchema, {
    name: `${address}_${port}`,
    address: socketAddress(address, port),
    bindToPort: false,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [filterChain(refusingChain(context, { side: 'outbound', http: false }, refusal))],
    metadata: metadataOf({ origins: [refusal.origin], refusal: refusal.reason }),
  });
}

function planKeys({ proxy, mesh, scope }: TranslateContext): readonly [object, ...Key[]] {
  const { config, snapshot, registry } = mesh;
  const entries = scope.egress.flatMap((egress) => [egress.services, virtualServicesBelowHttp(egress, proxy.namespace)]);
  return [scope.services, config, registry.endpoints, snapshot.list('DestinationRule'), scope.sidecar ?? NO_SIDECAR, ...entries];
}

const kept = { listeners: new Memo<Listener>(), unknown: new Memo<FilterChain>() };

/** The same message for the same chains. */
function outboundListener(context: TranslateContext, name: string, listener: OutboundListener): Listener {
  const own = listener.chains.list();
  const { config } = context.mesh;
  const inputs = [name, unknownTrafficCluster(context), listener.bindToPort, listener.owner, ...own];
  // A service with addresses of both families has the same chains at each.
  return kept.listeners.get([config, isIpv6(listener.address), own[0]!], inputs, () => buildOutbound(context, name, listener, own));
}

function buildOutbound(context: TranslateContext, name: string, listener: OutboundListener, own: readonly Chain[]): Listener {
  const chains: FilterChain[] = [];
  let fallback: FilterChain | undefined;
  for (const each of own) {
    if (matchesAll(each)) fallback = filterChain(each);
    else chains.push(filterChain(each));
  }
  const sniffsHttp = own.some((each) => each.applicationProtocols.length > 0);
  // Only where a chain asks for SNI, or is bound to it: the inspector waits for five bytes, and a client may send fewer.
  const sniffsTls = own.some(({ serverNames, metadata }) => serverNames.length > 0 || bindingOf(metadata)?.needsServerName);
  const { protocolDetectionTimeout } = context.mesh.config;
  const message = create(ListenerSchema, {
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
  // V8 keeps a message that was filled field by field as a hash table, twice the size of a copy.
  return { ...message };
}

/** Takes what no service claims: on to where it was going, to the mesh's egress proxy, or nowhere. */
function unknownTraffic(context: TranslateContext, name: string): FilterChain {
  const cluster = unknownTrafficCluster(context);
  const { config } = context.mesh;
  return kept.unknown.get([config, `${cluster} ${name}`], NO_INPUTS, () => {
    const filters = [tcpProxy({ statPrefix: cluster, clusters: [{ name: cluster, weight: 1 }], logged: { config, mode: 'CLIENT' } })];
    return filterChain(chain({ name, filters, metadata: undefined }));
  });
}

function unknownTrafficCluster({ scope, mesh }: Pick<TranslateContext, 'scope' | 'mesh'>): string {
  const { mode, egressProxy } = scope.outboundTrafficPolicy;
  // Where a forward proxy is the way out, nothing goes round it.
  if (mode === 'REGISTRY_ONLY' || (!egressProxy && throughDefault(mesh.config) !== undefined)) return BLACK_HOLE_CLUSTER;
  return egressProxy ? outboundClusterName(egressProxy.host, egressProxy.port, egressProxy.subset) : PASSTHROUGH_CLUSTER;
}

/** Captured connections arrive here and are handed to the listener of their original destination. */
function virtualOutbound(context: TranslateContext): Listener {
  const { config } = context.mesh;
  const port = config.proxyListenPort;
  const address = context.proxy.bindAddress ?? WILDCARD;
  const unknown = unknownTraffic(context, 'virtualOutbound-catchall-tcp');
  return kept.listeners.get([unknown, VIRTUAL_OUTBOUND_LISTENER, address], [config], () =>
    virtualOutboundAt(address, port, unknown, config),
  );
}

function virtualOutboundAt(address: string, port: number, unknown: FilterChain, config: MeshConfig): Listener {
  const filters = [tcpProxy({ statPrefix: BLACK_HOLE_CLUSTER, clusters: [{ name: BLACK_HOLE_CLUSTER, weight: 1 }] })];
  // Nothing was captured if the port itself was called: passing that on would come back here for ever.
  const loop = chain({ name: 'virtualOutbound-blackhole', destinationPort: port, filters, metadata: undefined });
  return create(ListenerSchema, {
    name: VIRTUAL_OUTBOUND_LISTENER,
    address: socketAddress(address, port),
    useOriginalDst: true,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [filterChain(loop), unknown],
    accessLog: listenerAccessLogs(config, 'CLIENT'),
  });
}

/** As `virtualOutbound`, for clients that name their destination themselves (CONNECT, SOCKS5, absolute-form requests). */
function explicitProxyListener(context: TranslateContext, { address, port }: { address: string; port: number }): Listener {
  const { config } = context.mesh;
  const unknown = unknownTraffic(context, 'virtualOutbound-catchall-tcp');
  const init: MessageInitShape<typeof ListenerSchema> = {
    name: 'explicit_proxy',
    address: socketAddress(address, port),
    useOriginalDst: true,
    trafficDirection: TrafficDirection.OUTBOUND,
    // As on virtualOutbound, the listener that takes the connection over inspects it: one that nothing declares must not wait for its client to speak.
    listenerFilters: [explicitProxy()],
    listenerFiltersTimeout: toDuration(0),
    filterChains: [unknown],
    accessLog: listenerAccessLogs(config, 'CLIENT'),
  };
  return kept.listeners.get([unknown, 'explicit_proxy', `${address} ${port}`], [config], () => create(ListenerSchema, init));
}
