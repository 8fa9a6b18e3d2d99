/** Patches of clusters; the order is Istio's. */
import type { EnvoyConfigObjectMatch } from '../../api/index.ts';
import { Memo } from '../../lib/memo.ts';
import { type Cluster, ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { refusalOf } from '../../xds/match/metadata.ts';
import { merged } from '../../xds/patches/merge.ts';
import { applied, type Credits, credited } from './apply.ts';
import { mergedSocket } from './listeners.ts';
import { isFor, isMerge, listsOf, type Patch, type PatchSet, type Side } from './patch.ts';

const kept = new Memo<Cluster | undefined>();

/** Undefined where a patch removes it. What refuses stays as it is. `hosts`: what services the workload behind an inbound cluster serves. */
export function patchedCluster(set: PatchSet, side: Side, cluster: Cluster, hosts: readonly string[]): Cluster | undefined {
  if (refusalOf(cluster.metadata) !== undefined) return cluster;
  const patches = (set.get('CLUSTER') ?? []).filter((patch) => isFor(patch, side) && clusterMatches(cluster.name, patch.match, hosts));
  return patches.length === 0 ? cluster : kept.get([set, cluster], patches, () => buildCluster(cluster, patches));
}

function buildCluster(cluster: Cluster, patches: readonly Patch[]): Cluster | undefined {
  const credits: Credits = new Set();
  const result = applied(cluster, patches, credits, (value, patch) => {
    if (patch.operation === 'REMOVE') return undefined;
    return isMerge(patch.operation) ? mergedCluster(value, patch) : value;
  });
  return result && credited(result, credits);
}

/** The name stays, by which routes and refusals know the cluster. A patch with a transport socket does nothing else: it is merged with that of its name, or takes the place of another. */
function mergedCluster(cluster: Cluster, patch: Patch): Cluster {
  const value = patch.value as Cluster;
  const { transportSocket } = value;
  if (!transportSocket) return { ...merged(ClusterSchema, cluster, value, listsOf(patch)), name: cluster.name };
  const { transportSocketMatches } = cluster;
  if (transportSocketMatches.length === 0)
    return { ...cluster, transportSocket: mergedSocket(cluster.transportSocket, transportSocket) ?? transportSocket };
  const at = transportSocketMatches.findIndex((each) => each.transportSocket?.name === transportSocket.name);
  const found = transportSocketMatches[at];
  if (!found) return cluster;
  const socket = mergedSocket(found.transportSocket, transportSocket);
  return { ...cluster, transportSocketMatches: transportSocketMatches.with(at, { ...found, transportSocket: socket }) };
}

/** `outbound|80|v1|host`, `outbound_.80_.v1_.host`, `inbound|8080||`. */
function clusterMatches(name: string, match: EnvoyConfigObjectMatch | undefined, hosts: readonly string[]): boolean {
  const wanted = match?.cluster;
  if (!wanted) return true;
  if (wanted.name) return wanted.name === name;
  const [direction, port, subset, hostname = ''] = name.split(name.includes('_.') ? '_.' : '|');
  if (wanted.subset && wanted.subset !== subset) return false;
  const named = direction === 'inbound' && hosts.length > 0 ? hosts : [hostname];
  if (wanted.service && !named.includes(wanted.service)) return false;
  return !wanted.portNumber || wanted.portNumber === Number(port);
}
