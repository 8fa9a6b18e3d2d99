/** The clusters of one proxy and the endpoints of those that take them over EDS. */
import { create } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/index.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { type Cluster, Cluster_DiscoveryType, Cluster_LbPolicy, ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { HttpProtocolOptionsSchema } from '../xds/gen/envoy/config/core/v3/protocol_pb.js';
import type { ClusterLoadAssignment } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER } from '../xds/names.ts';
import { inboundClusters, inboundSource } from './clusters-inbound.ts';
import { peersKey } from './clusters-peers.ts';
import { applyConnectionPool, type ClusterDraft, finish, httpOptions, useClientProtocol } from './clusters-policy.ts';
import { serviceClusters } from './clusters-services.ts';
import type { TranslateContext } from './context.ts';
import { INBOUND_PASSTHROUGH_CLUSTER } from './names.ts';
import { type Made, made, take } from './notes.ts';
import { patchesFor } from './patches/index.ts';
import { Phase } from './phase.ts';
import { toDuration } from './proto.ts';
import { lackedCertificates } from './shown-certificates.ts';
import { sortedByName } from './sorted.ts';

const PASSTHROUGH_IDLE_TIMEOUT_MS = 5 * 60_000;

interface BuiltClusters {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
}

const kept = {
  all: new Memo<readonly Cluster[]>(),
  clusters: new Memo<Made<readonly Cluster[]>>(),
  endpoints: new Memo<readonly ClusterLoadAssignment[]>(),
  own: new Memo<Cluster>(),
};

/** Clusters of services in the order of these, their endpoints by name. */
const ofServices = new Phase<BuiltClusters>();

/** Both lists sorted by name; the same lists for as long as nothing that they are made of changes. */
export function buildClusters(context: TranslateContext): BuiltClusters {
  const { mesh, scope } = context;
  const { config, snapshot, registry } = mesh;
  const lists = [snapshot.list('DestinationRule'), snapshot.list('Gateway'), peersKey(mesh)];
  // Follows from workloads and Secrets, which change too often to be keys.
  const lacked = JSON.stringify([...lackedCertificates(context)]);
  const { clusters, endpoints } = ofServices.get(context, [scope.services, config, registry.endpoints, ...lists, lacked], buildOfServices);
  const own = ownClusters(context);
  const all = kept.all.get([clusters], own, () => sortedByName([...clusters, ...own], ({ name }) => name));
  return { clusters: patchesFor(context).clusters(all), endpoints };
}

/** The lists stay the same where endpoints change that they don't depend on. */
function buildOfServices(context: TranslateContext): BuiltClusters {
  const { mesh, scope } = context;
  const { services } = scope;
  const of = serviceClusters(context);
  const inputs = services.map((service) => of.inputsOf(service));
  const build = () =>
    made((notes) => {
      const { clusters } = serviceClusters({ ...context, ...notes });
      return inputs.flatMap(clusters);
    });
  const clusterInputs: unknown[] = [];
  for (const { rule, client, inClusters, behind } of inputs) clusterInputs.push(rule, client, ...inClusters, ...behind);
  const endpointInputs: unknown[] = [];
  for (const { rule, client, endpoints, behind } of inputs) endpointInputs.push(rule, client, ...endpoints, ...behind);
  const peers = peersKey(mesh);
  return {
    clusters: take(kept.clusters.get([mesh.config, services, of.key, peers], clusterInputs, build), context),
    endpoints: kept.endpoints.get([mesh.config, services, of.key, peers], endpointInputs, () =>
      sortedByName(inputs.flatMap(of.endpoints), ({ clusterName }) => clusterName),
    ),
  };
}

/** Those that no service outside stands behind. */
export function ownClusters(context: TranslateContext): readonly Cluster[] {
  const { proxy, mesh } = context;
  // Gateways have no connections with an original destination, and nothing behind them on their own machine.
  if (proxy.type === 'router') return [blackHole(mesh.config)];
  return [blackHole(mesh.config), ownCluster(PASSTHROUGH_CLUSTER, mesh.config, passthrough), ...workloadClusters(context)];
}

function ownCluster(name: string, config: MeshConfig, make: (name: string, config: MeshConfig) => Cluster): Cluster {
  return kept.own.get([config, name], NO_INPUTS, () => make(name, config));
}

/** Towards the workload behind a sidecar. */
export function workloadClusters(context: TranslateContext): readonly Cluster[] {
  const { config } = context.mesh;
  const unknown = ownCluster(INBOUND_PASSTHROUGH_CLUSTER, config, (name) => ({
    ...passthrough(name, config),
    upstreamBindConfig: inboundSource(),
  }));
  return [unknown, ...inboundClusters(context)];
}

/** Has no endpoints: where traffic ends that nothing declares. */
export function blackHole(config: MeshConfig): Cluster {
  return ownCluster(BLACK_HOLE_CLUSTER, config, noEndpoints);
}

function noEndpoints(name: string, mesh: MeshConfig): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    connectTimeout: toDuration(mesh.connectTimeout),
    lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
  });
}

function passthrough(name: string, mesh: MeshConfig): Cluster {
  const cluster = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
  });
  const draft: ClusterDraft = { cluster, http: undefined };
  applyConnectionPool(draft, undefined, mesh);
  useClientProtocol(draft);
  httpOptions(draft).commonHttpProtocolOptions = create(HttpProtocolOptionsSchema, {
    idleTimeout: toDuration(PASSTHROUGH_IDLE_TIMEOUT_MS),
  });
  return finish(draft);
}
