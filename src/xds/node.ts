/** The xDS node of a proxy, as Istio's agent names itself. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';

/** The JSON form of an envoy.config.core.v3.Node. */
export interface NodeJson extends JsonObject {
  id: string;
  cluster: string;
  metadata: JsonObject;
  locality: JsonObject;
}

export type NodeIdentity = Pick<
  ProxyIdentity,
  'type' | 'name' | 'namespace' | 'addresses' | 'labels' | 'locality' | 'serviceAccount' | 'countsBy'
> & {
  /** It answers its workload's DNS: Istio's control plane sends the names to no other. */
  readonly answersDns?: boolean;
};

/** Of the metadata: `ProxyIdentity.countsBy`. */
export const COUNTS_BY = 'SALLYPORT_COUNTS_BY';
/** Of the metadata: `true` where it may be given virtual hosts as resources of their own. */
export const TAKES_VIRTUAL_HOSTS = 'SALLYPORT_VHDS';

export function nodeJson(identity: NodeIdentity): NodeJson {
  const { type, name, namespace, addresses, labels, locality, serviceAccount, countsBy, answersDns } = identity;
  const [region = '', zone = '', subZone = ''] = locality.split('/');
  const app = labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels.app ?? name;
  return {
    id: `${type}~${addresses[0] ?? '127.0.0.1'}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `${app}.${namespace}`,
    metadata: {
      NAME: name,
      NAMESPACE: namespace,
      WORKLOAD_NAME: app,
      SERVICE_ACCOUNT: serviceAccount,
      INSTANCE_IPS: addresses.join(','),
      CLUSTER_ID: 'Kubernetes',
      MESH_ID: 'cluster.local',
      LABELS: { ...labels },
      ...(countsBy ? { [COUNTS_BY]: countsBy } : {}),
      ...(answersDns ? { DNS_CAPTURE: 'true', DNS_AUTO_ALLOCATE: 'true' } : {}),
    },
    locality: { region, zone, subZone },
  };
}
