/**
 * Hosts that are reached through a forward proxy. Their clusters lead to an internal listener, which asks the proxy for a tunnel; so does Istio's own ambient
 * mesh, and so stock Envoy can do it. Requests are routed, judged and secured before, as if there were no proxy.
 */
import { create } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/index.ts';
import { originOf } from '../api/resource.ts';
import { authorizationVariable, type ForwardProxy } from '../api/through.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { hostPort } from '../lib/socket-address.ts';
import { proxyProblem, throughFor } from '../registry/forward-proxy.ts';
import type { Endpoint, Service } from '../registry/model.ts';
import { AddressSchema } from '../xds/gen/envoy/config/core/v3/address_pb.js';
import { MetadataSchema, type TransportSocket, TransportSocketSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { LbEndpointSchema, LocalityLbEndpointsSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { FilterChainSchema, FilterSchema } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { InternalUpstreamTransportSchema } from '../xds/gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js';
import { RawBufferSchema } from '../xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
import { BLACK_HOLE_CLUSTER } from '../xds/names.ts';
import { TUNNEL_DESTINATION, TUNNEL_METADATA, throughListenerName } from '../xds/through.ts';
import type { TranslateContext } from './context.ts';
import { TCP_PROXY } from './filters.ts';
import { metadataOf } from './metadata.ts';
import { outboundClusterName } from './names.ts';
import { typedConfig } from './proto.ts';

/** A proxy that refuses, or is not there, may lead on to another of its addresses: nothing has been sent by then. */
const MOST_ATTEMPTS = 3;

/** The endpoints of a cluster behind a proxy: each is asked of it by its name. */
export function throughAssignment(clusterName: string, proxy: ForwardProxy, endpoints: readonly Endpoint[]): ClusterLoadAssignment {
  const serverListenerName = throughListenerName(proxy.host, proxy.port);
  const lbEndpoints = endpoints.map(({ address, port, weight }) => {
    const destination = hostPort(address, port);
    return create(LbEndpointSchema, {
      hostIdentifier: {
        case: 'endpoint',
        value: {
          address: create(AddressSchema, {
            address: {
              case: 'envoyInternalAddress',
              value: { addressNameSpecifier: { case: 'serverListenerName', value: serverListenerName }, endpointId: destination },
            },
          }),
        },
      },
      loadBalancingWeight: Math.max(1, weight),
      metadata: create(MetadataSchema, { filterMetadata: { [TUNNEL_METADATA]: { [TUNNEL_DESTINATION]: destination } } }),
    });
  });
  return create(ClusterLoadAssignmentSchema, { clusterName, endpoints: [create(LocalityLbEndpointsSchema, { lbEndpoints })] });
}

/** Tells the internal listener what the endpoint says; `inner` is what goes on within the tunnel. */
export function throughTransport(inner: TransportSocket | undefined): TransportSocket {
  const transportSocket =
    inner ?? create(TransportSocketSchema, { name: 'envoy.transport_sockets.raw_buffer', configType: typedConfig(RawBufferSchema, {}) });
  return create(TransportSocketSchema, {
    name: 'envoy.transport_sockets.internal_upstream',
    configType: typedConfig(InternalUpstreamTransportSchema, {
      passthroughMetadata: [{ kind: { kind: { case: 'host', value: {} } }, name: TUNNEL_METADATA }],
      transportSocket,
    }),
  });
}

interface Asked {
  readonly proxy: ForwardProxy;
  /** The first service that it stands in front of. */
  readonly asker: Service;
}

const kept = { proxies: new Memo<readonly Asked[]>(), listeners: new Memo<Listener>() };

/** The internal listeners of a proxy: one for each forward proxy that stands in front of a service it sees. */
export function throughListeners(context: TranslateContext): readonly Listener[] {
  const { mesh, scope, report } = context;
  const { config } = mesh;
  return proxiesIn(scope.services, config).map(({ proxy, asker }) => {
    const [service] = scope.servicesNamed(proxy.host);
    const variable = service && authorizationVariable(service.resource.metadata, config.rootNamespace);
    const wrong = proxyProblem(proxy, service, config);
    if (wrong !== undefined) {
      const { resource } = service ?? asker;
      const message = `${proxy.host}:${proxy.port}, a forward proxy, ${wrong}: what is to be reached through it is refused.`;
      report({ code: 'SP1024', level: 'Error', message, origin: originOf(resource), position: resource.source.position() });
    }
    const key = `${proxy.host} ${proxy.port} ${variable ?? ''} ${wrong ?? ''}`;
    return kept.listeners.get([config, key], [service?.resource], () => internalListener(proxy, service, variable, wrong));
  });
}

function proxiesIn(services: readonly Service[], config: MeshConfig): readonly Asked[] {
  return kept.proxies.get([services, config], NO_INPUTS, () => {
    const found = new Map<string, Asked>();
    for (const service of services) {
      const through = throughFor(service, config);
      if (typeof through !== 'object') continue;
      const name = throughListenerName(through.host, through.port);
      if (!found.has(name)) found.set(name, { proxy: through, asker: service });
    }
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, asked]) => asked);
  });
}

function internalListener(
  proxy: ForwardProxy,
  service: Service | undefined,
  variable: string | undefined,
  wrong: string | undefined,
): Listener {
  const name = throughListenerName(proxy.host, proxy.port);
  const cluster = wrong === undefined ? outboundClusterName(proxy.host, proxy.port) : BLACK_HOLE_CLUSTER;
  const config = create(TcpProxySchema, {
    statPrefix: name,
    clusterSpecifier: { case: 'cluster', value: cluster },
    maxConnectAttempts: MOST_ATTEMPTS,
    tunnelingConfig: {
      hostname: `%DYNAMIC_METADATA(${TUNNEL_METADATA}:${TUNNEL_DESTINATION})%`,
      headersToAdd: variable === undefined ? [] : [{ header: { key: 'proxy-authorization', value: `%ENVIRONMENT(${variable})%` } }],
    },
  });
  const filter = create(FilterSchema, { name: TCP_PROXY, configType: typedConfig(TcpProxySchema, config) });
  return create(ListenerSchema, {
    name,
    listenerSpecifier: { case: 'internalListener', value: {} },
    filterChains: [create(FilterChainSchema, { filters: [filter] })],
    metadata: metadataOf({ origins: service ? [service.resource] : [], ...(wrong !== undefined && { refusal: wrong }) }),
  });
}
