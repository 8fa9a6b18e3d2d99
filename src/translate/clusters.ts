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

export interface BuiltClusters {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
}

export function buildClusters(context: TranslateContext): BuiltClusters {
  const { proxy, mesh } = context;
  const { clusters, endpoints } = outboundClusters(context);
  clusters.push(blackHole(mesh.config));
  if (proxy.type === 'router') return { clusters, endpoints };
  // Gateways have no connections with an original destination, and nothing behind them on their own machine.
  clusters.push(passthrough(PASSTHROUGH_CLUSTER, mesh.config));
  clusters.push({ ...passthrough(INBOUND_PASSTHROUGH_CLUSTER, mesh.config), upstreamBindConfig: inboundSource() });
  clusters.push(...inboundClusters(context));
  return { clusters, endpoints };
}

/** Has no endpoints: where traffic ends that nothing declares. */
function blackHole(mesh: MeshConfig): Cluster {
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
