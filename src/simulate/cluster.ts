/** What a cluster does with a call: which hosts it has, and what it wraps the call in. Pure. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { type Authority, splitAuthority } from '../http/authority.ts';
import { cidrContains, isAnyAddress, parseIp, parseRange } from '../lib/ip.ts';
import { isUsable, PANIC_PERCENT } from '../xds/endpoint-health.ts';
import { type Cluster, Cluster_ClusterProtocolSelection, Cluster_DiscoveryType } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { EnvoyInternalAddress } from '../xds/gen/envoy/config/core/v3/address_pb.js';
import type { TransportSocket } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import type { LbEndpoint } from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { InternalUpstreamTransportSchema } from '../xds/gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js';
import { type CommonTlsContext, UpstreamTlsContextSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { HttpProtocolOptionsSchema } from '../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { bindingOf, dialsByName } from '../xds/match/binding.ts';
import { refusalOf } from '../xds/match/metadata.ts';
import { addressRefusal, portRefusal, reachOf } from '../xds/match/reach.ts';
import { WORKLOAD_SECRET } from '../xds/names.ts';
import { TUNNEL_DESTINATION, TUNNEL_METADATA, throughProxyOf } from '../xds/through.ts';
import { typeNameOf } from '../xds/unpack.ts';
import type { Endpoint, HttpRequest, Payload } from './call.ts';
import { originatedTls } from './originated-tls.ts';
import type { SimulatedProxy } from './proxy.ts';
import type { OriginatedTls } from './security.ts';

export interface UpstreamHost {
  /** Undefined where the name has yet to be looked up: then `host` is the name. */
  readonly endpoint: Endpoint | undefined;
  readonly host: string;
  readonly port: number;
  /** What its metadata says of transports (`envoy.transport_socket_match`); absent where it says nothing. */
  readonly transportMatch?: JsonObject;
  /** The host's own name, for `auto_host_rewrite`; absent where it has none. */
  readonly hostname?: string;
  /** The forward proxy that is asked for the host, `host:port`; absent where there is none. */
  readonly through?: string;
}

export type Upstreams =
  /** `dialled`: the address is the one that the call was made to. */
  | { readonly kind: 'hosts'; readonly hosts: readonly UpstreamHost[]; readonly dialled?: true }
  /** No host: 503, or the connection is closed; with the response flag `DF` where a name that the call brought leads nowhere, else `UH`. */
  | { readonly kind: 'none'; readonly why: string; readonly flag?: 'DF' }
  /** Which hosts there are is not known. */
  | { readonly kind: 'unknown'; readonly why: string };

const DYNAMIC_FORWARD_PROXY = 'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';

/** A host and port that the call itself names: those of its authority (port 0 where it has none), or its SNI and the port that the proxy's configuration gives to it. */
export type NamedTarget = Authority;

/** The hosts of a cluster for a call to `destination`. */
export function upstreamsOf(proxy: SimulatedProxy, cluster: Cluster, destination: Endpoint, target: NamedTarget | undefined): Upstreams {
  const refusal = refusalOf(cluster.metadata);
  if (refusal) return { kind: 'none', why: refusal };
  const { clusterDiscoveryType } = cluster;
  if (clusterDiscoveryType.case === 'clusterType') {
    if (typeNameOf(clusterDiscoveryType.value.typedConfig) !== DYNAMIC_FORWARD_PROXY) {
      return { kind: 'none', why: `cluster type ${clusterDiscoveryType.value.name} is not simulated` };
    }
    if (!target || target.host === '') return { kind: 'none', why: 'the call names no host to look up' };
    const { host } = target;
    const port = target.port || (tlsConfig(cluster.transportSocket) ? 443 : 80);
    const reach = reachOf(cluster.metadata);
    const refusal = reach && (portRefusal(reach, port) ?? (isIp(host) ? addressRefusal(reach, parseIp(host)!) : undefined));
    if (refusal !== undefined) return { kind: 'none', why: refusal, flag: 'DF' };
    return { kind: 'hosts', hosts: [isIp(host) ? { endpoint: { ip: host, port }, host, port } : { endpoint: undefined, host, port }] };
  }
  if (clusterDiscoveryType.value === Cluster_DiscoveryType.ORIGINAL_DST) {
    const own = cluster.lbConfig.case === 'originalDstLbConfig' ? cluster.lbConfig.value.upstreamPortOverride : undefined;
    const port = own ?? destination.port;
    if (isAnyAddress(destination.ip)) return { kind: 'none', why: `${destination.ip} is no address to connect to` };
    const reach = reachOf(cluster.metadata);
    const refusal = reach && addressRefusal(reach, parseIp(destination.ip)!);
    if (refusal !== undefined) return { kind: 'none', why: refusal, flag: 'DF' };
    const binding = bindingOf(cluster.metadata);
    if (dialsByName(binding) && !standsForAny(destination.ip))
      return { kind: 'unknown', why: `whether DNS leads from ${binding.hosts.join(', ')} to ${destination.ip} is not known` };
    return { kind: 'hosts', hosts: [{ endpoint: { ip: destination.ip, port }, host: '', port }], dialled: true };
  }
  const assignment = proxy.endpoints(cluster);
  if (!assignment && proxy.endpointsUnknown !== undefined && clusterDiscoveryType.value === Cluster_DiscoveryType.EDS)
    return { kind: 'unknown', why: proxy.endpointsUnknown };
  const resolves =
    clusterDiscoveryType.value === Cluster_DiscoveryType.STRICT_DNS || clusterDiscoveryType.value === Cluster_DiscoveryType.LOGICAL_DNS;
  const all = (assignment?.endpoints ?? []).flatMap(({ lbEndpoints }) => lbEndpoints);
  const hosts = called(all, cluster).flatMap((entry) => hostOf(entry, resolves));
  if (hosts.length > 0) return { kind: 'hosts', hosts };
  return { kind: 'none', why: all.length > 0 ? 'no endpoint of the cluster is healthy' : 'the cluster has no endpoint' };
}

/** Those that get calls: the healthy ones, or all where too few are. */
function called(all: readonly LbEndpoint[], { commonLbConfig }: Cluster): readonly LbEndpoint[] {
  const healthy = all.filter(isUsable);
  const threshold = commonLbConfig?.healthyPanicThreshold?.value ?? PANIC_PERCENT;
  return (healthy.length * 100) / all.length < threshold ? all : healthy;
}

function hostOf({ hostIdentifier, metadata }: LbEndpoint, resolves: boolean): UpstreamHost[] {
  if (hostIdentifier.case !== 'endpoint') return [];
  const address = hostIdentifier.value.address?.address;
  if (address?.case === 'envoyInternalAddress') return throughHost(address.value, metadata?.filterMetadata[TUNNEL_METADATA]);
  if (address?.case !== 'socketAddress') return [];
  const { value } = address;
  const port = value.portSpecifier.case === 'portValue' ? value.portSpecifier.value : 0;
  const isName = resolves && !isIp(value.address);
  const hostname = hostIdentifier.value.hostname || (isName ? value.address : '');
  const transportMatch = metadata?.filterMetadata[TRANSPORT_SOCKET_MATCH];
  const endpoint = isName ? undefined : { ip: value.address, port };
  return [{ endpoint, host: isName ? value.address : '', port, hostname, ...(transportMatch && { transportMatch }) }];
}

/** Behind an internal listener that asks a forward proxy: who the host is, the proxy finds out. Others are not simulated. */
function throughHost({ addressNameSpecifier }: EnvoyInternalAddress, asked: JsonObject | undefined): UpstreamHost[] {
  const through = throughProxyOf(addressNameSpecifier.value ?? '');
  const destination = asked?.[TUNNEL_DESTINATION];
  if (through === undefined || typeof destination !== 'string') return [];
  const { host, port } = splitAuthority(destination, 0);
  return [{ endpoint: undefined, host, port, hostname: isIp(host) ? '' : host, through }];
}

/** Addresses for documentation (RFC 5737): calls have them where any address may be meant, such as the one that DNS gives. */
const DOCUMENTATION = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'].map((range) => parseRange(range)!);

function standsForAny(ip: string): boolean {
  return DOCUMENTATION.some((range) => cidrContains(range, parseIp(ip)!));
}

const TRANSPORT_SOCKET_MATCH = 'envoy.transport_socket_match';

/** The first match that the host's metadata fulfils, else the cluster's own; what is spoken within a tunnel. */
function transportOf(
  proxy: SimulatedProxy,
  { transportSocket, transportSocketMatches, name }: Cluster,
  { transportMatch = {} }: UpstreamHost,
): TransportSocket | undefined {
  const found = transportSocketMatches.find(({ match }) =>
    Object.entries(match ?? {}).every(([key, value]) => JSON.stringify(transportMatch[key]) === JSON.stringify(value)),
  );
  const chosen = found ? found.transportSocket : transportSocket;
  const config = chosen?.configType.case === 'typedConfig' ? chosen.configType.value : undefined;
  if (typeNameOf(config) !== InternalUpstreamTransportSchema.typeName) return chosen;
  return proxy.unpack(config, InternalUpstreamTransportSchema, `cluster "${name}": transport_socket`).transportSocket;
}

export interface Transported {
  readonly payload: Payload;
  readonly missingSecret: string | undefined;
  /** Why it is not known which identity is shown; undefined where it is, or where none is. */
  readonly identityUnknown: string | undefined;
  /** Undefined where the cluster originates no TLS. */
  readonly originates: OriginatedTls | undefined;
}

/** The settings of the TLS that a cluster's transport originates, or undefined. */
function tlsConfig(transportSocket: TransportSocket | undefined): Any | undefined {
  const config = transportSocket?.configType;
  return config?.case === 'typedConfig' && typeNameOf(config.value) === UpstreamTlsContextSchema.typeName ? config.value : undefined;
}

/** What goes out: the payload, under TLS where the cluster originates it. `authority` of the request; undefined where no HTTP is spoken. */
export function throughTransport(
  proxy: SimulatedProxy,
  cluster: Cluster,
  upstream: UpstreamHost,
  payload: Payload,
  authority: string | undefined,
): Transported {
  const tls = tlsConfig(transportOf(proxy, cluster, upstream));
  if (!tls) return { payload, missingSecret: undefined, identityUnknown: undefined, originates: undefined };
  const context = proxy.unpack(tls, UpstreamTlsContextSchema, `cluster "${cluster.name}": transport_socket`);
  const common = context.commonTlsContext;
  const validation = common?.validationContextType;
  const names = [
    ...(common?.tlsCertificateSdsSecretConfigs ?? []).map((secret) => secret.name),
    ...(validation?.case === 'validationContextSdsSecretConfig' ? [validation.value.name] : []),
    ...(validation?.case === 'combinedValidationContext' ? [validation.value.validationContextSdsSecretConfig?.name ?? ''] : []),
  ];
  const missingSecret = names.find((name) => name.startsWith('kubernetes://') && !proxy.secret(name));
  const options = cluster.typedExtensionProtocolOptions[HttpProtocolOptionsSchema.typeName];
  const automatic = options && proxy.unpack(options, HttpProtocolOptionsSchema, `cluster "${cluster.name}"`).upstreamHttpProtocolOptions;
  const host = authority === undefined ? '' : splitAuthority(authority, 0).host.toLowerCase();
  // An IP address is not allowed as SNI (RFC 6066 §3).
  const serverName = [automatic?.autoSni ? host : '', context.sni].find((name) => name !== '' && !isIp(name)) ?? '';
  const identified = showsIdentity(common);
  return {
    // TLS of the application's own, wrapped once more, is bytes that say nothing.
    payload: {
      tls: {
        serverName,
        alpn: common?.alpnProtocols ?? [],
        certificate: showsCertificate(common),
        identity: identified ? proxy.identity : undefined,
      },
      http: payload.tls ? undefined : payload.http,
      ...(payload.tls && { inner: payload }),
    },
    missingSecret,
    identityUnknown: identified ? proxy.identityUnknown : undefined,
    originates: originatedTls(proxy, common, serverName, automatic?.autoSanValidation === true && host !== '' ? host : undefined),
  };
}

/** The version in which a cluster is spoken to, for a request that came in `version`. */
export function upstreamVersion(proxy: SimulatedProxy, cluster: Cluster, version: HttpRequest['version']): HttpRequest['version'] {
  const options = cluster.typedExtensionProtocolOptions[HttpProtocolOptionsSchema.typeName];
  if (!options) {
    const asDownstream = cluster.protocolSelection === Cluster_ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL;
    return asDownstream ? (version === '2' ? '2' : '1.1') : cluster.http2ProtocolOptions ? '2' : '1.1';
  }
  const chosen = proxy.unpack(options, HttpProtocolOptionsSchema, `cluster "${cluster.name}"`).upstreamProtocolOptions;
  if (chosen?.case === 'explicitHttpConfig') return chosen.value.protocolConfig.case === 'http2ProtocolOptions' ? '2' : '1.1';
  return chosen?.case && version === '2' ? '2' : '1.1';
}

function showsCertificate(common: CommonTlsContext | undefined): boolean {
  return (common?.tlsCertificates.length ?? 0) > 0 || (common?.tlsCertificateSdsSecretConfigs.length ?? 0) > 0;
}

/** Whether the certificate is the one that the mesh's CA gave. */
function showsIdentity(common: CommonTlsContext | undefined): boolean {
  return common?.tlsCertificateSdsSecretConfigs.some(({ name }) => name === WORKLOAD_SECRET) ?? false;
}

export function isIp(text: string): boolean {
  return text.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(text);
}
