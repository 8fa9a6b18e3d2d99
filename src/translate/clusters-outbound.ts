import { create } from '@bufbuild/protobuf';
import type { ResourceOf, Subset } from '../api/index.ts';
import { originOf } from '../api/resource.ts';
import { isWildcard } from '../lib/hostname.ts';
import { matchesLabels } from '../lib/labels.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Endpoint, Service, ServicePort } from '../registry/model.ts';
import { isHttp, isHttp2 } from '../registry/protocol.ts';
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
  ClusterSchema,
} from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ClusterConfigSchema as DynamicForwardProxyClusterSchema } from '../xds/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js';
import {
  applyConnectionPool,
  applyH2Upgrade,
  applyHttp2Settings,
  applyLoadBalancer,
  applyOutlierDetection,
  applyRetryBudget,
  type ClusterDraft,
  commonLbConfig,
  finish,
  useClientProtocol,
  useHttp2,
} from './clusters-policy.ts';
import { upstreamRefusal } from './clusters-refusal.ts';
import type { TranslateContext } from './context.ts';
import { type PortPolicy, portPolicy, subsetPolicy, withoutEffect } from './destination-rule-policy.ts';
import { dnsCacheConfig } from './dns-cache.ts';
import { localityEndpoints, usableEndpoints } from './endpoints.ts';
import { applyLocality } from './endpoints-locality.ts';
import { istioConfigPath, metadataOf } from './metadata.ts';
import { dnsSrvClusterName, outboundClusterName } from './names.ts';
import { packed, toDuration } from './proto.ts';
import { adsSource } from './secrets.ts';
import { applyUpstreamTls } from './tls-context.ts';

const DYNAMIC_FORWARD_PROXY = 'envoy.clusters.dynamic_forward_proxy';

interface Built {
  readonly clusters: Cluster[];
  readonly endpoints: ClusterLoadAssignment[];
}

/** One cluster's inputs. */
interface Target {
  readonly context: TranslateContext;
  readonly service: Service;
  readonly port: ServicePort;
  readonly subset: Subset | undefined;
  readonly rule: ResourceOf<'DestinationRule'> | undefined;
  readonly policy: PortPolicy;
  /** The clusters of AUTO_PASSTHROUGH gateways bear another name and add no TLS: the bytes are TLS already. */
  readonly sniDnat: boolean;
  /** Connections go where the client dialled: asked for here, or by the rule whose subset this is. */
  readonly passthrough: boolean;
}

/** Builds the clusters of services: for each port and subset; for AUTO_PASSTHROUGH gateways those named by SNI as well. */
export function outboundClusters(context: TranslateContext): (services: readonly Service[]) => Built {
  const sniDnat = context.proxy.type === 'router' && hasAutoPassthrough(context);
  return (services) => {
    const built: Built = { clusters: [], endpoints: [] };
    for (const service of services) addService(context, service, sniDnat, built);
    return built;
  };
}

function addService(context: TranslateContext, service: Service, sniDnat: boolean, built: Built): void {
  if (service.resolution === 'Alias') return;
  const rule = context.scope.destinationRuleFor(service.hostname);
  for (const port of service.ports) {
    if (port.protocol === 'UDP') continue;
    const policy = portPolicy(rule?.spec.trafficPolicy, port.number);
    const target: Target = { context, service, port, subset: undefined, rule, policy, sniDnat: false, passthrough: isPassthrough(policy) };
    addWithSubsets(target, built);
    if (sniDnat && !service.meshExternal && !isWildcard(service.hostname)) addWithSubsets({ ...target, sniDnat: true }, built);
  }
}

function addWithSubsets(target: Target, built: Built): void {
  add(target, built);
  for (const subset of target.rule?.spec.subsets ?? []) {
    const policy = subsetPolicy(target.policy, subset, target.port.number);
    add({ ...target, subset, policy, passthrough: target.passthrough || isPassthrough(policy) }, built);
  }
}

function isPassthrough({ loadBalancer }: PortPolicy): boolean {
  return loadBalancer?.simple === 'PASSTHROUGH';
}

function hasAutoPassthrough({ proxy, mesh }: TranslateContext): boolean {
  return mesh.snapshot
    .list('Gateway')
    .some(({ spec }) => spec.servers.some(({ tls }) => tls?.mode === 'AUTO_PASSTHROUGH') && matchesLabels(spec.selector, proxy.labels));
}

function add(target: Target, built: Built): void {
  const { context, service, port, subset, policy, sniDnat } = target;
  const name = (sniDnat ? dnsSrvClusterName : outboundClusterName)(service.hostname, port.number, subset?.name);
  const cluster = create(ClusterSchema, { name });
  commonLbConfig(cluster);
  const refusal = sniDnat ? undefined : upstreamRefusal(context.proxy, service, port, target.rule, policy);
  if (refusal) {
    context.report({
      code: 'SP1024',
      level: refusal.level,
      message: refusal.reason,
      origin: originOf(refusal.origin),
      position: refusal.origin.source.position(),
    });
    built.clusters.push(refusing(cluster, target, refusal.reason));
    return;
  }
  reportWithoutEffect(target);
  const endpoints = discover(cluster, target);
  if (!endpoints) return;
  const draft: ClusterDraft = { cluster, http: undefined };
  if (isHttp2(port.protocol)) useHttp2(draft);
  // A gateway's client may have chosen h2 by ALPN though the upstream cannot speak it.
  else if (port.protocol === 'Unsupported' && context.proxy.type === 'sidecar') useClientProtocol(draft);
  const { config } = context.mesh;
  applyConnectionPool(draft, policy.connectionPool, config);
  applyRetryBudget(cluster, policy.retryBudget);
  applyH2Upgrade(draft, policy.connectionPool, port.protocol, config);
  applyHttp2Settings(draft, policy.connectionPool);
  applyOutlierDetection(cluster, policy.outlierDetection);
  if (cluster.lbPolicy !== Cluster_LbPolicy.CLUSTER_PROVIDED) applyLoadBalancer(cluster, policy.loadBalancer);
  cluster.metadata = clusterMetadata(target);
  const { tls } = policy;
  if (!sniDnat && target.rule && (tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL') && originates(target)) {
    applyUpstreamTls(draft, tls, service, context.secrets, target.rule);
  }
  const assignment = create(ClusterLoadAssignmentSchema, {
    clusterName: name,
    endpoints: applyLocality(
      localityEndpoints(endpoints),
      endpoints,
      cluster,
      context.proxy,
      policy.loadBalancer?.localityLbSetting,
      config.localityLbSetting,
    ),
  });
  const type = cluster.clusterDiscoveryType.value;
  if (type === Cluster_DiscoveryType.EDS) built.endpoints.push(assignment);
  else if (endpoints.length > 0) cluster.loadAssignment = assignment;
  built.clusters.push(finish(draft));
}

function reportWithoutEffect({ rule, policy, context }: Target): void {
  if (!rule) return;
  for (const path of withoutEffect(policy)) {
    const message = `trafficPolicy.${path} is accepted but has no effect yet. Remove it, or do not rely on it.`;
    context.report({ code: 'SP1010', level: 'Warning', message, origin: originOf(rule), position: rule.source.position(['spec']) });
  }
}

/**
 * A secret by name at a sidecar needs a rule with a workloadSelector. Without one Istio leaves the cluster as it is: fine for a port whose bytes
 * are TLS already; the others are refused before (clusters-refusal.ts).
 */
function originates({ context, policy, rule }: Target): boolean {
  return !(policy.tls?.credentialName && context.proxy.type === 'sidecar' && !rule?.spec.workloadSelector);
}

/** Sets how the cluster finds its endpoints and returns those that stand in the configuration; undefined if there is nothing to make a cluster of. */
function discover(
  cluster: Cluster,
  { context, service, port, subset, policy, sniDnat, passthrough }: Target,
): readonly Endpoint[] | undefined {
  const { proxy, mesh } = context;
  const labels = subset?.labels ?? {};
  const type = discoveryType(service, proxy.type);
  const endpoints = () =>
    usableEndpoints(mesh.registry.endpoints(service, port), labels, type === Cluster_DiscoveryType.EDS)
      // Who calls a cluster by its SNI speaks the mesh's TLS to what is behind.
      .filter(({ tlsMode }) => !sniDnat || tlsMode === 'istio');
  if (type === 'dynamic') {
    if (!isHttp(port.protocol) && port.protocol !== 'TLS') return undefined;
    return dynamicForwardProxy(cluster, service, context, policy);
  }
  if (type === Cluster_DiscoveryType.ORIGINAL_DST || passthrough) {
    cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST };
    cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
    if (service.registry === 'External' && port.targetPort !== port.number) {
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
    const known = endpoints();
    return known.length === 0 && service.resolution === 'Passthrough' ? virtualAddresses(service, port) : known;
  }
  cluster.dnsLookupFamily = dnsLookupFamily(proxy);
  cluster.dnsRefreshRate = toDuration(mesh.config.dnsRefreshRate);
  cluster.respectDnsTtl = true;
  const named = type === Cluster_DiscoveryType.LOGICAL_DNS ? endpoints().slice(0, 1) : endpoints();
  // As in Istio: a DNS cluster without a name to resolve is none, and requests to it end in 503 NC.
  return named.length > 0 ? named : undefined;
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
function dnsLookupFamily({ addresses }: ProxyIdentity): Cluster_DnsLookupFamily {
  if (addresses.length === 0) return Cluster_DnsLookupFamily.V4_PREFERRED;
  return addresses.every((address) => address.includes(':')) ? Cluster_DnsLookupFamily.V6_ONLY : Cluster_DnsLookupFamily.V4_ONLY;
}

function discoveryType({ resolution }: Service, proxyType: 'sidecar' | 'router'): Cluster_DiscoveryType | 'dynamic' {
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

function dynamicForwardProxy(cluster: Cluster, service: Service, { mesh }: TranslateContext, { tls }: PortPolicy): readonly Endpoint[] {
  const typedConfig = packed(DynamicForwardProxyClusterSchema, {
    clusterImplementationSpecifier: { case: 'dnsCacheConfig', value: dnsCacheConfig(service.hostname, mesh.config) },
    // Envoy insists on names that are verified unless told otherwise: without verification, or with an SNI that is not the name called.
    allowInsecureClusterOptions: tls?.insecureSkipVerify === true || Boolean(tls?.sni) || (tls?.subjectAltNames.length ?? 0) > 0,
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
  cluster.connectTimeout = toDuration(target.context.mesh.config.connectTimeout);
  cluster.metadata = clusterMetadata(target, refusal);
  return cluster;
}

function clusterMetadata({ service, subset, rule, port }: Target, refusal?: string): Cluster['metadata'] {
  const { name, namespace } = service.resource.metadata;
  return metadataOf({
    origins: rule ? [service.resource, rule] : [service.resource],
    ...(refusal ? { refusal } : {}),
    istio: {
      services: [{ host: service.hostname, name: service.registry === 'Kubernetes' ? name : service.hostname, namespace }],
      default_original_port: port.number,
      ...(service.meshExternal ? { external: true } : {}),
      ...(rule ? { config: istioConfigPath(rule) } : {}),
      ...(subset ? { subset: subset.name } : {}),
    },
  });
}
