/** One cluster of a service's port, and the endpoints that it takes over EDS. */
import { create } from '@bufbuild/protobuf';
import type { MeshConfig, ResourceOf, Subset } from '../api/index.ts';
import { privateRanges } from '../api/private-addresses.ts';
import { originOf } from '../api/resource.ts';
import type { Through } from '../api/through.ts';
import { Memo } from '../lib/memo.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { throughFor, throughRefusal } from '../registry/forward-proxy.ts';
import type { Endpoint, Service, ServicePort } from '../registry/model.ts';
import type { PeerModes } from '../registry/peer-modes.ts';
import { isHttp, isHttp2 } from '../registry/protocol.ts';
import {
  type Cluster,
  Cluster_CommonLbConfigSchema,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
  ClusterSchema,
} from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ClusterConfigSchema as DynamicForwardProxyClusterSchema } from '../xds/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js';
import { isIpv4, isIpv6 } from './addresses.ts';
import { bindingFor, declaredPorts } from './binding.ts';
import { type PortPeers, serverNames, takesMeshTls } from './clusters-peers.ts';
import {
  applyConnectionPool,
  applyH2Upgrade,
  applyHttp2Settings,
  applyLoadBalancer,
  applyOutlierDetection,
  applyRetryBudget,
  type ClusterDraft,
  finish,
  isHttp2Draft,
  negotiateProtocol,
  useClientProtocol,
  useHttp2,
} from './clusters-policy.ts';
import { type Refusal, upstreamRefusal } from './clusters-refusal.ts';
import { type PortPolicy, statedMode, withoutEffect } from './destination-rule-policy.ts';
import { dnsCacheConfig } from './dns-cache.ts';
import { usableEndpoints } from './endpoints.ts';
import { type Client, type LocalitySetting, localityGroups, weighLocalities } from './endpoints-locality.ts';
import { isIntercepted } from './injection.ts';
import { meshTransports, upstreamMeshTls } from './mesh-tls.ts';
import { countedService, istioConfigPath, metadataOf } from './metadata.ts';
import { dnsSrvClusterName, outboundClusterName } from './names.ts';
import type { Notes } from './notes.ts';
import { packed, toDuration } from './proto.ts';
import { adsSource } from './secrets.ts';
import { type Lacked, showsSecret } from './shown-certificates.ts';
import { throughAssignment, throughTransport } from './through.ts';
import { applyAutoSni, applyUpstreamTls } from './tls-context.ts';

const DYNAMIC_FORWARD_PROXY = 'envoy.clusters.dynamic_forward_proxy';

/** What counts for every cluster of a proxy; of the proxy itself only what is here. */
export interface ClusterSettings {
  readonly config: MeshConfig;
  readonly proxyType: ProxyIdentity['type'];
  readonly dnsLookupFamily: Cluster_DnsLookupFamily;
  /** Undefined where proxies have no identities. */
  readonly peers: PeerModes | undefined;
  /** Client certificates of EgressPolicies that this proxy does not show. */
  readonly lackedCertificates: ReadonlyMap<string, Lacked>;
}

/** One cluster's inputs. */
export interface Target {
  readonly settings: ClusterSettings;
  readonly client: Client;
  readonly service: Service;
  readonly port: ServicePort;
  /** All of the port. */
  readonly endpoints: readonly Endpoint[];
  readonly subset: Subset | undefined;
  readonly rule: ResourceOf<'DestinationRule'> | undefined;
  readonly policy: PortPolicy;
  /** The clusters of AUTO_PASSTHROUGH gateways bear another name and add no TLS: the bytes are TLS already. */
  readonly sniDnat: boolean;
  /** Connections go where the client dialled: asked for here, or by the rule whose subset this is. */
  readonly passthrough: boolean;
  readonly behind: PortPeers;
}

/** Undefined if there is nothing to make a cluster of. */
export function outboundCluster(target: Target, notes: Notes): Cluster | undefined {
  const { settings, service, port, policy, sniDnat } = target;
  const { config, proxyType } = settings;
  const cluster = create(ClusterSchema, { name: nameOf(target) });
  const refusal = refusalOf(target);
  if (refusal) {
    const { level, reason, origin } = refusal;
    if (level) notes.report({ code: 'SP1024', level, message: reason, origin: originOf(origin), position: origin.source.position() });
    return refusing(cluster, target, reason);
  }
  const through = throughOfTarget(target);
  const misled = throughRefusal(service, through, target.passthrough);
  if (misled !== undefined) {
    const { resource } = service;
    const message = `${service.hostname}:${port.number}: ${misled}; until then calls are refused (503 UH).`;
    notes.report({ code: 'SP1024', level: 'Error', message, origin: originOf(resource), position: resource.source.position() });
    return refusing(cluster, target, misled);
  }
  reportWithoutEffect(target, notes);
  const endpoints = discover(cluster, target);
  if (!endpoints) return undefined;
  const draft: ClusterDraft = { cluster, http: undefined };
  if (isHttp2(port.protocol)) useHttp2(draft);
  // The client has negotiated with the proxy, and may speak what the server does not.
  else if (isIntercepted(service, port.number)) negotiateProtocol(draft);
  // A gateway's client may have chosen h2 by ALPN though the upstream cannot speak it.
  else if (port.protocol === 'Unsupported' && proxyType === 'sidecar') useClientProtocol(draft);
  applyConnectionPool(draft, policy.connectionPool, config);
  applyRetryBudget(cluster, policy.retryBudget);
  applyH2Upgrade(draft, policy.connectionPool, port.protocol, config);
  applyHttp2Settings(draft, policy.connectionPool);
  applyOutlierDetection(cluster, policy.outlierDetection);
  if (cluster.lbPolicy !== Cluster_LbPolicy.CLUSTER_PROVIDED) applyLoadBalancer(cluster, policy.loadBalancer);
  cluster.metadata = clusterMetadata(target);
  const { tls } = policy;
  if (!sniDnat) applyMeshTls(draft, target, notes);
  if (!sniDnat && target.rule && (tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL') && originates(target)) {
    applyUpstreamTls(draft, tls, service, namesBehind(target), notes.secrets, target.rule);
  }
  weighLocalities(cluster, endpoints, localitySetting(target));
  if (cluster.clusterDiscoveryType.value !== Cluster_DiscoveryType.EDS && endpoints.length > 0) {
    cluster.loadAssignment =
      typeof through === 'object' ? throughAssignment(cluster.name, through, endpoints) : assignment(target, endpoints);
  }
  if (typeof through === 'object') cluster.transportSocket = throughTransport(cluster.transportSocket);
  cluster.commonLbConfig ??= DEFAULT_LB_CONFIG;
  return finish(draft);
}

/** Shared by all clusters that set nothing in it. */
const DEFAULT_LB_CONFIG = create(Cluster_CommonLbConfigSchema);

/** What comes over EDS for the cluster; undefined if it has its endpoints in another way, or is none. */
export function outboundEndpoints(target: Target): ClusterLoadAssignment | undefined {
  const type = discoveryType(target.service, target.settings.proxyType);
  if (type !== Cluster_DiscoveryType.EDS || target.passthrough || refusalOf(target) || throughOfTarget(target) !== 'direct')
    return undefined;
  return assignment(target, edsEndpoints(target));
}

function throughOfTarget({ service, settings, sniDnat }: Target): Through {
  return sniDnat ? 'direct' : throughFor(service, settings.config);
}

function nameOf({ service, port, subset, sniDnat }: Target): string {
  return (sniDnat ? dnsSrvClusterName : outboundClusterName)(service.hostname, port.number, subset?.name);
}

function refusalOf({ settings, service, port, rule, policy, sniDnat }: Target): Refusal | undefined {
  const lacked = rule && showsSecret(rule, policy.tls) ? settings.lackedCertificates.get(policy.tls!.credentialName!) : undefined;
  if (lacked) return { ...lacked, reason: `${service.hostname}:${port.number}: ${lacked.reason}`, origin: rule! };
  const bound = bindingFor(service, settings.config)?.mode === 'enforce';
  return sniDnat ? undefined : upstreamRefusal(settings.proxyType, service, port, rule, policy, settings.peers === undefined, bound);
}

/** Of the mesh's own mutual TLS: what the rule asks for, or what is done by itself towards endpoints that take it. */
function applyMeshTls(draft: ClusterDraft, target: Target, { secrets }: Notes): void {
  const { service, port, subset, policy } = target;
  const { cluster } = draft;
  const kind = meshTls(target);
  if (kind === 'none') return;
  const names = policy.tls?.subjectAltNames ?? [];
  const dynamic = service.resolution === 'DynamicDNS';
  // There the name that is called is the SNI, save for subsets.
  const sni = policy.tls?.sni || (dynamic && !subset ? '' : dnsSrvClusterName(service.hostname, port.number, subset?.name));
  const transport = upstreamMeshTls(secrets, sni, names.length > 0 ? names : namesBehind(target), isHttp2Draft(draft));
  if (kind === 'all' && policy.tls && dynamic) applyAutoSni(draft, { ...policy.tls, sni }, service);
  if (kind === 'all') cluster.transportSocket = transport;
  else cluster.transportSocketMatches = meshTransports(transport);
}

function namesBehind({ service, behind, settings }: Target): readonly string[] {
  return serverNames(service, behind, settings.config.trustDomainAliases);
}

/** `those that take it`: endpoints tell by their metadata. */
function meshTls({ settings, service, policy, behind, passthrough, rule }: Target): 'none' | 'all' | 'those that take it' {
  const { peers, config } = settings;
  if (!peers) return 'none';
  if (policy.tls) return policy.tls.mode === 'ISTIO_MUTUAL' && rule ? 'all' : 'none';
  if (service.meshExternal || !config.enableAutoMtls) return 'none';
  const dialled = service.resolution === 'Passthrough' || passthrough;
  // Where the client dials endpoints by their address, nothing tells the proxy which of them it is.
  if (dialled && !behind.all) return 'none';
  if (peers.ofNamespace(service.namespace) === 'DISABLE') return 'none';
  // A gateway's cluster has its endpoints over EDS, unless the rule asks for passthrough.
  return passthrough || (dialled && settings.proxyType === 'sidecar') ? 'all' : 'those that take it';
}

function localitySetting({ policy, settings }: Target): LocalitySetting | undefined {
  return policy.loadBalancer?.localityLbSetting ?? settings.config.localityLbSetting;
}

function assignment(target: Target, found: readonly Endpoint[]): ClusterLoadAssignment {
  const { client, policy, subset, settings } = target;
  const name = nameOf(target);
  const setting = localitySetting(target);
  const failsOver = policy.outlierDetection !== undefined;
  const peers = meshTls(target) === 'those that take it' ? settings.peers! : undefined;
  const stated = statedMode(target.rule?.spec.trafficPolicy, subset?.trafficPolicy, target.port.number);
  // Where the proxy does not count, all have the same.
  return assignments.get([client, target.endpoints], [name, subset, setting, failsOver, peers, stated, ...found], () => {
    // Endpoints say that they take the mesh's TLS only where that makes a difference.
    const takes = (each: Endpoint) => peers !== undefined && (stated ? stated === 'ISTIO_MUTUAL' : takesMeshTls(each, peers));
    const endpoints = found.map((each) => {
      const tlsMode = takes(each) ? ('istio' as const) : ('disabled' as const);
      return each.tlsMode === tlsMode ? each : { ...each, tlsMode };
    });
    return create(ClusterLoadAssignmentSchema, { clusterName: name, endpoints: localityGroups(endpoints, client, setting, failsOver) });
  });
}

const assignments = new Memo<ClusterLoadAssignment>();

function reportWithoutEffect({ rule, policy }: Target, { report }: Notes): void {
  if (!rule) return;
  for (const path of withoutEffect(policy)) {
    const message = `trafficPolicy.${path} is accepted but has no effect yet. Remove it, or do not rely on it.`;
    report({ code: 'SP1010', level: 'Warning', message, origin: originOf(rule), position: rule.source.position(['spec']) });
  }
}

/**
 * A secret by name at a sidecar needs a rule with a workloadSelector. Without one Istio leaves the cluster as it is: fine for a port whose bytes
 * are TLS already; the others are refused before (clusters-refusal.ts).
 */
function originates({ settings, policy, rule }: Target): boolean {
  return !(policy.tls?.credentialName && settings.proxyType === 'sidecar' && !rule?.spec.workloadSelector);
}

/** Sets how the cluster finds its endpoints and returns those that it finds now; undefined if there is nothing to make a cluster of. */
function discover(cluster: Cluster, target: Target): readonly Endpoint[] | undefined {
  const { settings, service, port, passthrough } = target;
  const { config } = settings;
  const type = discoveryType(service, settings.proxyType);
  if (typeof throughOfTarget(target) === 'object') {
    cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.STATIC };
    const named = wanted(target, false);
    return named.length > 0 ? named : undefined;
  }
  if (type === 'dynamic') {
    if (!isHttp(port.protocol) && port.protocol !== 'TLS') return undefined;
    return dynamicForwardProxy(cluster, target);
  }
  if (type === Cluster_DiscoveryType.ORIGINAL_DST || passthrough) {
    cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST };
    cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
    // Where a rule asks for passthrough, the port that was called stays.
    if (service.registry === 'External' && service.resolution === 'Passthrough' && port.targetPort !== port.number) {
      cluster.lbConfig = {
        case: 'originalDstLbConfig',
        value: {
          $typeName: 'envoy.config.cluster.v3.Cluster.OriginalDstLbConfig',
          useHttpHeader: false,
          httpHeaderName: '',
          upstreamPortOverride: port.targetPort,
        },
      };
    }
    return [];
  }
  cluster.clusterDiscoveryType = { case: 'type', value: type };
  if (type === Cluster_DiscoveryType.EDS) {
    cluster.edsClusterConfig = {
      $typeName: 'envoy.config.cluster.v3.Cluster.EdsClusterConfig',
      serviceName: cluster.name,
      edsConfig: adsSource(),
    };
    return edsEndpoints(target);
  }
  cluster.dnsLookupFamily = settings.dnsLookupFamily;
  cluster.dnsRefreshRate = toDuration(config.dnsRefreshRate);
  cluster.respectDnsTtl = true;
  const usable = wanted(target, false);
  const named = type === Cluster_DiscoveryType.LOGICAL_DNS ? usable.slice(0, 1) : usable;
  // As in Istio: a DNS cluster without a name to resolve is none, and requests to it end in 503 NC.
  return named.length > 0 ? named : undefined;
}

function edsEndpoints(target: Target): readonly Endpoint[] {
  const { service, port } = target;
  const known = wanted(target, true);
  return known.length === 0 && service.resolution === 'Passthrough' ? virtualAddresses(service, port) : known;
}

/** Who calls a cluster by its SNI speaks the mesh's TLS to what is behind. */
function wanted({ endpoints, subset, sniDnat }: Target, onlyAddresses: boolean): readonly Endpoint[] {
  const usable = usableEndpoints(endpoints, subset?.labels ?? {}, onlyAddresses);
  return sniDnat ? usable.filter(({ tlsMode }) => tlsMode === 'istio') : usable;
}

/**
 * At a gateway, a service without endpoints is at the addresses that it declares: a sidecar sends there what its client dialled, and a gateway,
 * which does not know that, would have nowhere to send it (docs/decisions). Ranges and wildcards stay without an endpoint, as in Istio.
 */
function virtualAddresses({ addresses, namespace, registry }: Service, port: ServicePort): readonly Endpoint[] {
  if (registry !== 'External') return [];
  return addresses
    .filter((address) => !address.includes('/'))
    .map((address) => ({
      address,
      port: port.targetPort,
      servicePortName: port.name,
      labels: {},
      weight: 0,
      locality: '',
      network: '',
      serviceAccount: '',
      namespace,
      workload: '',
      healthy: true,
      tlsMode: 'disabled',
    }));
}

/** A workload's names resolve to addresses of the families that it has itself; a proxy without addresses of its own takes either. */
export function dnsLookupFamily({ addresses }: Pick<ProxyIdentity, 'addresses'>): Cluster_DnsLookupFamily {
  if (addresses.some(isIpv4)) return Cluster_DnsLookupFamily.V4_ONLY;
  return addresses.some(isIpv6) ? Cluster_DnsLookupFamily.V6_ONLY : Cluster_DnsLookupFamily.V4_PREFERRED;
}

export function discoveryType({ resolution }: Service, proxyType: 'sidecar' | 'router'): Cluster_DiscoveryType | 'dynamic' {
  switch (resolution) {
    case 'DNSLB':
      return Cluster_DiscoveryType.STRICT_DNS;
    case 'DNSRoundRobinLB':
      return Cluster_DiscoveryType.LOGICAL_DNS;
    case 'DynamicDNS':
      return 'dynamic';
    case 'Passthrough':
      // A gateway's connections come to its own address: there is no original destination to go on to.
      return proxyType === 'router' ? Cluster_DiscoveryType.EDS : Cluster_DiscoveryType.ORIGINAL_DST;
    default:
      return Cluster_DiscoveryType.EDS;
  }
}

function dynamicForwardProxy(cluster: Cluster, { service, settings: { config }, policy: { tls }, subset }: Target): readonly Endpoint[] {
  const typedConfig = packed(DynamicForwardProxyClusterSchema, {
    clusterImplementationSpecifier: { case: 'dnsCacheConfig', value: dnsCacheConfig(service.hostname, config) },
    // Envoy insists on names that are verified unless told otherwise: without verification, or with an SNI that is not the name called.
    allowInsecureClusterOptions:
      tls?.insecureSkipVerify === true || Boolean(tls?.sni) || (tls?.mode === 'ISTIO_MUTUAL' && subset !== undefined),
  });
  cluster.clusterDiscoveryType = {
    case: 'clusterType',
    value: { $typeName: 'envoy.config.cluster.v3.Cluster.CustomClusterType', name: DYNAMIC_FORWARD_PROXY, typedConfig },
  };
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  return [];
}

/** No endpoints: requests end in 503 UH, connections are closed, and the metadata says why. */
function refusing(cluster: Cluster, target: Target, refusal: string): Cluster {
  cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.STATIC };
  cluster.connectTimeout = toDuration(target.settings.config.connectTimeout);
  cluster.commonLbConfig = DEFAULT_LB_CONFIG;
  cluster.metadata = clusterMetadata(target, refusal);
  return cluster;
}

/**
 * Of a cluster that connects where a name or its client leads it: the ports that the ServiceEntry declares, and of private and other special addresses those
 * that it declares, as its own or in its annotation. Without DYNAMIC_DNS only for calls that are bound.
 */
function reachOf({ service, port, settings, sniDnat }: Target): { ports: number[]; ranges: string[] } | undefined {
  const { resolution, resource, addresses } = service;
  const dynamic = resolution === 'DynamicDNS';
  if (!dynamic && (sniDnat || resolution === 'ClientSideLB' || bindingFor(service, settings.config, port)?.mode !== 'enforce'))
    return undefined;
  return { ports: declaredPorts(service), ranges: [...privateRanges(resource.metadata), ...(dynamic ? [] : addresses)] };
}

function clusterMetadata(target: Target, refusal?: string): Cluster['metadata'] {
  const { settings, service, subset, rule, port, sniDnat } = target;
  const { namespace } = service.resource.metadata;
  const name = service.registry === 'Kubernetes' ? service.resource.metadata.name : service.hostname;
  return metadataOf({
    origins: rule ? [service.resource, rule] : [service.resource],
    ...(refusal ? { refusal } : {}),
    reach: reachOf(target),
    // The SNI of these is the mesh's own.
    bind: sniDnat ? undefined : bindingFor(service, settings.config, port),
    policy: isOfPolicies(target),
    service: countedService(settings.config, service.hostname, name, namespace),
    istio: {
      services: [{ host: service.hostname, name, namespace }],
      default_original_port: port.number,
      ...(service.meshExternal ? { external: true } : {}),
      ...(rule ? { config: istioConfigPath(rule) } : {}),
      ...(subset ? { subset: subset.name } : {}),
    },
  });
}

/** Whether credentials of EgressPolicies may go there: nothing else says where the host is, and by what its server is known. */
function isOfPolicies({ service, rule, policy }: Target): boolean {
  const mode = policy.tls?.mode;
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL') return false;
  return [service.resource, rule].every((resource) => resource?.derivedFrom?.kind === 'EgressPolicy');
}
