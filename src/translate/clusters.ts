/** The clusters of one proxy and the endpoints of those that take them over EDS. */
import { create } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/index.ts';
import { type Cluster, Cluster_DiscoveryType, Cluster_LbPolicy, ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { HttpProtocolOptionsSchema } from '../xds/gen/envoy/config/core/v3/protocol_pb.js';
import type { ClusterLoadAssignment } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { inboundClusters, inboundSource } from './clusters-inbound.ts';
import { outboundClusters } from './clusters-outbound.ts';
import { applyConnectionPool, type ClusterDraft, finish, httpOptions, useClientProtocol } from './clusters-policy.ts';
import type { TranslateContext } from './context.ts';
import { BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, PASSTHROUGH_CLUSTER } from './names.ts';
import { toDuration } from './proto.ts';

const PASSTHROUGH_IDLE_TIMEOUT_MS = 5 * 60_000;

interface BuiltClusters {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
}

export function buildClusters(context: TranslateContext): BuiltClusters {
  const { clusters, endpoints } = outboundClusters(context)(context.scope.services);
  return { clusters: [...clusters, ...ownClusters(context)], endpoints };
}

/** Those that no service outside stands behind. */
export function ownClusters(context: TranslateContext): readonly Cluster[] {
  const { proxy, mesh } = context;
  // Gateways have no connections with an original destination, and nothing behind them on their own machine.
  if (proxy.type === 'router') return [blackHole(mesh.config)];
  return [blackHole(mesh.config), passthrough(PASSTHROUGH_CLUSTER, mesh.config), ...workloadClusters(context)];
}

/** Towards the workload behind a sidecar. */
export function workloadClusters(context: TranslateContext): readonly Cluster[] {
  const { config } = context.mesh;
  return [{ ...passthrough(INBOUND_PASSTHROUGH_CLUSTER, config), upstreamBindConfig: inboundSource() }, ...inboundClusters(context)];
}

/** Has no endpoints: where traffic ends that nothing declares. */
export function blackHole(mesh: MeshConfig): Cluster {
  return create(ClusterSchema, {
    name: BLACK_HOLE_CLUSTER,
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
