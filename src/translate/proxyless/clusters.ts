/** Clusters as gRPC knows them, and their endpoints. */
import { create } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  type Cluster,
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_LbPolicy as LbPolicy,
} from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { LocalitySchema, type TransportSocket, TransportSocketSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { type UpstreamTlsContext, UpstreamTlsContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { BLACK_HOLE_CLUSTER, WORKLOAD_SECRET } from '../../xds/names.ts';
import type { XdsResources } from '../../xds/resources.ts';
import { secretsOf } from '../../xds/secret-references.ts';
import { typedConfig } from '../proto.ts';
import { adsSource } from '../secrets.ts';
import { TLS_TRANSPORT_SOCKET } from '../tls-context.ts';

const OUTBOUND = 'outbound|';

/** Each list sorted by name. */
export function proxylessClusters({ clusters, endpoints }: XdsResources): Pick<XdsResources, 'clusters' | 'endpoints'> {
  const byName = new Map(endpoints.map((each) => [each.clusterName, each]));
  const others = clusters.filter(({ name }) => name.startsWith(OUTBOUND)).map((cluster) => clusterOf(cluster, byName.get(cluster.name)));
  const all = [BLACK_HOLE, ...others];
  return { clusters: all.map(({ cluster }) => cluster), endpoints: all.flatMap(({ endpoints: own }) => own ?? []) };
}

interface Proxyless {
  readonly cluster: Cluster;
  /** Undefined where the cluster looks a name up. */
  readonly endpoints: ClusterLoadAssignment | undefined;
}

const made = new WeakMap<Cluster, Proxyless & { readonly from: ClusterLoadAssignment | undefined }>();

function clusterOf(sidecar: Cluster, endpoints: ClusterLoadAssignment | undefined): Proxyless {
  const known = made.get(sidecar);
  if (known && known.from === endpoints) return known;
  const one = makeCluster(sidecar, endpoints);
  made.set(sidecar, { ...one, from: endpoints });
  return one;
}

/** gRPC connects to endpoints by address, or to one name; in plain, or by certificates that its bootstrap names. What else is asked for is not to happen otherwise. */
function makeCluster(sidecar: Cluster, endpoints: ClusterLoadAssignment | undefined): Proxyless {
  const { name, metadata, transportSocket, clusterDiscoveryType, loadAssignment } = sidecar;
  const common = { name, metadata, ...loadBalancing(sidecar), ...limits(sidecar) };
  const tls = transportSocket && meshTls(transportSocket);
  const closed = () => closedCluster(common);
  if (transportSocket && !tls) return closed();
  const secured = { ...common, ...(tls ? { transportSocket: tls } : {}) };
  switch (clusterDiscoveryType.value) {
    case Discovery.EDS:
      return {
        cluster: create(ClusterSchema, { ...secured, ...OVER_EDS }),
        endpoints: endpoints ? weighted(endpoints) : closed().endpoints,
      };
    case Discovery.STRICT_DNS:
    case Discovery.LOGICAL_DNS: {
      const of = loadAssignment?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints) ?? [];
      const type = { case: 'type', value: Discovery.LOGICAL_DNS } as const;
      const assignment = create(ClusterLoadAssignmentSchema, { clusterName: name, endpoints: [{ lbEndpoints: of }] });
      if (of.length !== 1) return closed();
      return {
        cluster: create(ClusterSchema, { ...secured, clusterDiscoveryType: type, loadAssignment: assignment }),
        endpoints: undefined,
      };
    }
    default:
      return closed();
  }
}

/** One that nobody is reached by. */
function closedCluster(init: Pick<Cluster, 'name'> & Partial<Pick<Cluster, 'metadata'>>): Proxyless {
  return {
    cluster: create(ClusterSchema, { ...init, ...OVER_EDS }),
    endpoints: create(ClusterLoadAssignmentSchema, { clusterName: init.name }),
  };
}

/** gRPC passes over localities without a name or a weight. */
function weighted({ clusterName, endpoints }: ClusterLoadAssignment): ClusterLoadAssignment {
  const weightOf = (each: (typeof endpoints)[number]) =>
    each.loadBalancingWeight ?? each.lbEndpoints.reduce((sum, { loadBalancingWeight = 1 }) => sum + loadBalancingWeight, 0);
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: endpoints.map((each) => ({
      ...each,
      locality: each.locality ?? create(LocalitySchema),
      loadBalancingWeight: weightOf(each),
    })),
  });
}

const OVER_EDS = {
  clusterDiscoveryType: { case: 'type', value: Discovery.EDS },
  edsClusterConfig: { edsConfig: adsSource() },
} as const;

const BLACK_HOLE = closedCluster({ name: BLACK_HOLE_CLUSTER });

/** In turn, as Istio has it for gRPC where no rule says anything; which is all that every gRPC knows beside hash rings. */
function loadBalancing({ lbPolicy, lbConfig }: Cluster): Pick<Cluster, 'lbPolicy' | 'lbConfig'> {
  return lbPolicy === LbPolicy.RING_HASH ? { lbPolicy, lbConfig } : { lbPolicy: LbPolicy.ROUND_ROBIN, lbConfig: { case: undefined } };
}

/** gRFC A32: requests alone are limited. */
function limits({ circuitBreakers }: Cluster) {
  const maxRequests = circuitBreakers?.thresholds[0]?.maxRequests;
  return maxRequests === undefined ? {} : { circuitBreakers: { thresholds: [{ maxRequests }] } };
}

/** The mesh's mutual TLS, by the certificate provider of the client's bootstrap; undefined for TLS of another kind. */
function meshTls(socket: TransportSocket): TransportSocket | undefined {
  if (socket.configType.case !== 'typedConfig' || !secretsOf(socket).some(({ name }) => name === WORKLOAD_SECRET)) return undefined;
  const context = anyUnpack(socket.configType.value, UpstreamTlsContextSchema);
  return create(TransportSocketSchema, {
    name: TLS_TRANSPORT_SOCKET,
    configType: typedConfig(UpstreamTlsContextSchema, { commonTlsContext: fromBootstrap(context) }),
  });
}

/** As Istio names them. */
const PROVIDER = 'default';

function fromBootstrap(context: UpstreamTlsContext | undefined) {
  const validation = context?.commonTlsContext?.validationContextType;
  const names =
    validation?.case === 'combinedValidationContext' ? validation.value.defaultValidationContext?.matchTypedSubjectAltNames : [];
  const caCertificateProviderInstance = { instanceName: PROVIDER, certificateName: 'ROOTCA' };
  return {
    tlsCertificateProviderInstance: { instanceName: PROVIDER, certificateName: 'default' },
    validationContextType: {
      case: 'combinedValidationContext',
      value: {
        defaultValidationContext: {
          caCertificateProviderInstance,
          // gRPC reads the older field.
          matchSubjectAltNames: (names ?? []).flatMap(({ matcher }) => (matcher ? [matcher] : [])),
        },
      },
    },
  } as const;
}
