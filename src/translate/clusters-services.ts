/** The clusters of services and their endpoints, each kept for as long as what it is made of. */
import type { MeshConfig, ResourceOf, TrafficPolicy } from '../api/index.ts';
import { isWildcard } from '../lib/hostname.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { Endpoint, Service } from '../registry/model.ts';
import { peerModes } from '../registry/peer-modes.ts';
import { type Cluster, Cluster_DiscoveryType } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { ClusterLoadAssignment } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import {
  type ClusterSettings,
  discoveryType,
  dnsLookupFamily,
  outboundCluster,
  outboundEndpoints,
  type Target,
} from './clusters-outbound.ts';
import { type PortPeers, peersKey, portPeers } from './clusters-peers.ts';
import type { TranslateContext } from './context.ts';
import { type PortPolicy, portPolicy, subsetPolicy } from './destination-rule-policy.ts';
import type { Client } from './endpoints-locality.ts';
import { type Made, made, take } from './notes.ts';
import { lackedCertificates } from './shown-certificates.ts';

type Rule = ResourceOf<'DestinationRule'>;

/** What one service's clusters and endpoints follow from. */
export interface ServiceInputs {
  readonly service: Service;
  readonly rule: Rule | undefined;
  readonly client: Client;
  /** Lists of endpoints, by the service's ports. */
  readonly endpoints: readonly (readonly Endpoint[])[];
  /** Those of them that count for the clusters; the others come over EDS. */
  readonly inClusters: readonly (readonly Endpoint[])[];
  /** By the service's ports; the same list for as long as nothing of it changes. */
  readonly behind: readonly PortPeers[];
}

export interface ServiceClusters {
  inputsOf(service: Service): ServiceInputs;
  clusters(inputs: ServiceInputs): readonly Cluster[];
  endpoints(inputs: ServiceInputs): readonly ClusterLoadAssignment[];
  /** Tells apart the proxies that differ in more than the inputs say. */
  readonly key: string;
}

const kept = {
  clusters: new Memo<Made<readonly Cluster[]>>(),
  endpoints: new Memo<readonly ClusterLoadAssignment[]>(),
  needs: new Memo<Needs>(),
  clients: new Memo<Client>(),
};

/** Stands for the rule of a service that has none. */
const NO_RULE = {};
/** The client where neither locality nor labels count. */
const ANYBODY: Client = { locality: '', labels: {} };

export function serviceClusters(context: TranslateContext): ServiceClusters {
  const { mesh, scope, proxy } = context;
  const { config, registry } = mesh;
  const peers = mesh.withoutIdentities ? undefined : peerModes(mesh);
  const peersOf = peersKey(mesh);
  const lacked = lackedCertificates(context);
  const settings: ClusterSettings = {
    config,
    proxyType: proxy.type,
    dnsLookupFamily: dnsLookupFamily(proxy),
    peers,
    lackedCertificates: lacked,
  };
  const sniDnat = proxy.type === 'router' && hasAutoPassthrough(context);
  const key = `${proxy.type} ${settings.dnsLookupFamily} ${sniDnat} ${JSON.stringify([...lacked])}`;
  const targets = (inputs: ServiceInputs) => targetsOf(inputs, settings, sniDnat);
  return {
    key,
    inputsOf(service) {
      const rule = scope.destinationRuleFor(service.hostname);
      const needs = kept.needs.get([config, rule ?? NO_RULE], NO_INPUTS, () => needsOf(rule, config));
      const endpoints = service.ports.map((port) => registry.endpoints(service, port));
      const inClusters = needs.weights || discoveryType(service, proxy.type) !== Cluster_DiscoveryType.EDS ? endpoints : NO_ENDPOINTS;
      const behind = service.ports.map((_, at) => portPeers(endpoints[at]!, peers, config.trustDomain));
      return { service, rule, client: clientOf(context, needs), endpoints, inClusters, behind };
    },
    clusters(inputs) {
      const { client, rule, service, inClusters, behind } = inputs;
      const build = () => made((notes) => targets(inputs).flatMap((target) => outboundCluster(target, notes) ?? []));
      return take(kept.clusters.get([config, client, rule ?? NO_RULE, key, peersOf, service], [...inClusters, ...behind], build), context);
    },
    endpoints(inputs) {
      const { client, rule, service, endpoints, behind } = inputs;
      if (discoveryType(service, proxy.type) !== Cluster_DiscoveryType.EDS) return NO_ASSIGNMENTS;
      const build = () => targets(inputs).flatMap((target) => outboundEndpoints(target) ?? []);
      return kept.endpoints.get([config, client, rule ?? NO_RULE, key, peersOf, service], [...endpoints, ...behind], build);
    },
  };
}

const NO_ENDPOINTS: readonly (readonly Endpoint[])[] = [];
const NO_ASSIGNMENTS: readonly ClusterLoadAssignment[] = [];

/** For each port and subset one; for AUTO_PASSTHROUGH gateways those named by SNI as well. */
function targetsOf({ service, rule, client, endpoints, behind }: ServiceInputs, settings: ClusterSettings, sniDnat: boolean): Target[] {
  if (service.resolution === 'Alias') return [];
  return service.ports.flatMap((port, at) => {
    if (port.protocol === 'UDP') return [];
    const policy = portPolicy(rule?.spec.trafficPolicy, port.number);
    const passthrough = isPassthrough(policy);
    const own = {
      settings,
      client,
      service,
      port,
      endpoints: endpoints[at]!,
      subset: undefined,
      rule,
      policy,
      sniDnat: false,
      passthrough,
      behind: behind[at]!,
    };
    const named = sniDnat && !service.meshExternal && !isWildcard(service.hostname) ? withSubsets({ ...own, sniDnat: true }) : [];
    return [...withSubsets(own), ...named];
  });
}

function withSubsets(target: Target): Target[] {
  const subsets = (target.rule?.spec.subsets ?? []).map((subset) => {
    const policy = subsetPolicy(target.policy, subset, target.port.number);
    return { ...target, subset, policy, passthrough: target.passthrough || isPassthrough(policy) };
  });
  return [target, ...subsets];
}

function isPassthrough({ loadBalancer }: PortPolicy): boolean {
  return loadBalancer?.simple === 'PASSTHROUGH';
}

function hasAutoPassthrough({ proxy, mesh }: TranslateContext): boolean {
  return mesh.snapshot
    .list('Gateway')
    .some(
      ({ spec }) =>
        spec.servers.some(({ tls }) => tls?.mode === 'AUTO_PASSTHROUGH') &&
        Object.entries(spec.selector).every(([key, value]) => proxy.labels[key] === value),
    );
}

/** What locality load balancing has to know of the proxy for one rule. */
interface Needs {
  readonly locality: boolean;
  readonly labels: readonly string[];
  /** Whether a cluster may say that localities have weights, which it does where it has endpoints. */
  readonly weights: boolean;
}

function needsOf(rule: Rule | undefined, config: MeshConfig): Needs {
  const ofPolicy = (policy: TrafficPolicy | undefined) => (policy ? [policy, ...policy.portLevelSettings] : []);
  const policies = rule ? [rule.spec, ...rule.spec.subsets].flatMap(({ trafficPolicy }) => ofPolicy(trafficPolicy)) : [];
  const settings = [config.localityLbSetting, ...policies.map(({ loadBalancer }) => loadBalancer?.localityLbSetting)].filter(
    (each) => each !== undefined,
  );
  const failsOver = policies.some(({ outlierDetection }) => outlierDetection);
  const distributes = settings.some(({ distribute }) => distribute.length > 0);
  const priorities = failsOver ? settings.flatMap(({ failoverPriority }) => failoverPriority) : [];
  return {
    locality: failsOver || distributes,
    labels: [...new Set(priorities.filter((label) => !label.includes('=')))],
    weights:
      distributes || (failsOver && settings.some(({ failover, failoverPriority }) => failover.length > 0 || failoverPriority.length > 0)),
  };
}

function clientOf({ proxy, mesh }: TranslateContext, needs: Needs): Client {
  if (!needs.locality) return ANYBODY;
  const labels = needs.labels.flatMap((label) => {
    const value = proxy.labels[label];
    return value === undefined ? [] : [[label, value] as const];
  });
  const client: Client = { locality: proxy.locality, labels: Object.fromEntries(labels) };
  return kept.clients.get([mesh.config, JSON.stringify(client)], NO_INPUTS, () => client);
}
