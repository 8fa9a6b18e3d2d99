/** Clusters towards the workload behind a sidecar. */
import { create } from '@bufbuild/protobuf';
import type { ConnectionPoolSettings, IstioIngressListener, MeshConfig } from '../api/index.ts';
import type { Resource } from '../api/resource.ts';
import { Memo } from '../lib/memo.ts';
import type { Protocol, Service, ServicePort } from '../registry/model.ts';
import { isHttp2, parseProtocol } from '../registry/protocol.ts';
import { type Cluster, Cluster_DiscoveryType, Cluster_LbPolicy, ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type BindConfig, BindConfigSchema } from '../xds/gen/envoy/config/core/v3/address_pb.js';
import { ClusterLoadAssignmentSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { applyConnectionPool, applyHttp2Settings, type ClusterDraft, finish, useClientProtocol, useHttp2 } from './clusters-policy.ts';
import type { TranslateContext } from './context.ts';
import { portPolicy } from './destination-rule-policy.ts';
import { addressOf } from './endpoints.ts';
import { countedService, metadataOf } from './metadata.ts';
import { INBOUND_SOURCE_ADDRESS, inboundClusterName } from './names.ts';

interface Inbound {
  readonly port: number;
  readonly protocol: Protocol;
  /** Where to send; undefined for the address that the client called. */
  readonly target: { readonly address: string; readonly port: number } | undefined;
  readonly services: readonly { readonly service: Service; readonly port: ServicePort }[];
  readonly connectionPool: ConnectionPoolSettings | undefined;
  readonly origins: readonly Resource[];
}

/** One for each port that the workload serves, or for each `ingress` of its Sidecar where that states any. */
export function inboundClusters(context: TranslateContext): Cluster[] {
  const ingress = context.scope.sidecar?.spec.ingress ?? [];
  const inbound = ingress.length > 0 ? ingress.flatMap((listener) => ofIngress(listener, context)) : ofServices(context);
  return inbound.map((each) => inboundCluster(each, context));
}

function ofServices(context: TranslateContext): Inbound[] {
  const { proxy, mesh, scope } = context;
  const byPort = new Map<number, { service: Service; port: ServicePort }[]>();
  for (const { service, port, endpointPort } of mesh.registry.servicesOf(proxy)) {
    if (endpointPort === 0) continue;
    const group = byPort.get(endpointPort);
    if (group) group.push({ service, port });
    else byPort.set(endpointPort, [{ service, port }]);
  }
  const local = mesh.config.inboundTrafficPolicy?.mode === 'LOCALHOST';
  return [...byPort].map(([number, services]) => {
    const { service, port } = services[0]!;
    const rule = scope.destinationRuleFor(service.hostname);
    return {
      port: number,
      protocol: port.protocol,
      target: local ? { address: '127.0.0.1', port: number } : undefined,
      services,
      // The server's side must let in what clients may send.
      connectionPool: scope.sidecar?.spec.inboundConnectionPool ?? portPolicy(rule?.spec.trafficPolicy, port.number).connectionPool,
      origins: services.map((each) => each.service.resource),
    };
  });
}

function ofIngress(listener: IstioIngressListener, { scope, proxy, mesh }: TranslateContext): Inbound[] {
  const { sidecar } = scope;
  if (!sidecar) return [];
  const { number, protocol } = listener.port;
  const services = mesh.registry.servicesOf(proxy).filter(({ endpointPort }) => endpointPort === number);
  return [
    {
      port: number,
      protocol: parseProtocol(protocol),
      target: defaultEndpoint(listener.defaultEndpoint ?? '', proxy.addresses),
      services,
      connectionPool: listener.connectionPool ?? sidecar.spec.inboundConnectionPool,
      origins: [sidecar],
    },
  ];
}

/** `127.0.0.1:PORT` and `[::1]:PORT` are loopback, `0.0.0.0:PORT` and `[::]:PORT` the workload's own address; `unix:///path` as it is. */
function defaultEndpoint(text: string, addresses: readonly string[]): Inbound['target'] {
  if (!text) return undefined;
  if (text.startsWith('unix://')) return { address: text, port: 0 };
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(text.slice(colon + 1));
  if (host === '0.0.0.0') return { address: addresses.find((address) => !address.includes(':')) ?? '127.0.0.1', port };
  if (host === '::') return { address: addresses.find((address) => address.includes(':')) ?? '::1', port };
  return { address: host, port };
}

function inboundCluster(inbound: Inbound, { mesh: { config } }: TranslateContext): Cluster {
  const { port, protocol, target, services, connectionPool, origins } = inbound;
  const inputs = [port, protocol, target?.address, target?.port, connectionPool, ...origins, ...services.map(({ service }) => service)];
  return kept.get([config, origins[0]!, port], inputs, () => buildCluster(inbound, config));
}

const kept = new Memo<Cluster>();

function buildCluster({ port, protocol, target, services, connectionPool, origins }: Inbound, config: MeshConfig): Cluster {
  const name = inboundClusterName(port);
  const cluster = create(ClusterSchema, { name, commonLbConfig: {} });
  const draft: ClusterDraft = { cluster, http: undefined };
  if (isHttp2(protocol)) useHttp2(draft);
  else if (protocol === 'Unsupported') useClientProtocol(draft);
  applyConnectionPool(draft, connectionPool, config);
  applyHttp2Settings(draft, connectionPool);
  if (target) {
    cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.STATIC };
    cluster.loadAssignment = create(ClusterLoadAssignmentSchema, {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: addressOf(target.address, target.port) } } }] }],
    });
  } else {
    cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST };
    cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  }
  // Loopback is never redirected; anything else needs the source address that the redirect rules leave alone.
  if (target?.address !== '127.0.0.1' && target?.address !== '::1' && !target?.address.startsWith('unix://'))
    cluster.upstreamBindConfig = inboundSource();
  const first = services[0]?.service;
  cluster.metadata = metadataOf({
    origins,
    service: first && countedService(config, first.hostname, first.resource.metadata.name, first.namespace),
    istio: {
      services: services.map(({ service }) => ({
        host: service.hostname,
        name: service.resource.metadata.name,
        namespace: service.namespace,
      })),
    },
  });
  return finish(draft);
}

export function inboundSource(): BindConfig {
  return create(BindConfigSchema, { sourceAddress: { address: INBOUND_SOURCE_ADDRESS, portSpecifier: { case: 'portValue', value: 0 } } });
}
