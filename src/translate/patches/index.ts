/** The patches of EnvoyFilters: the last step of a translation. What they do not concern stays the same object. */
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import type { Cluster } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type Metadata, TrafficDirection } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import type { TranslateContext } from '../context.ts';
import { INBOUND_PASSTHROUGH_CLUSTER } from '../names.ts';
import { credited, firstOfName } from './apply.ts';
import { patchedCluster } from './clusters.ts';
import { patchedListener } from './listeners.ts';
import { type Patch, type PatchSet, patchSet, type Side } from './patch.ts';
import { patchedRoutes } from './routes.ts';

export interface Patches {
  listeners(built: readonly Listener[]): readonly Listener[];
  routes(built: RouteConfiguration): RouteConfiguration;
  clusters(built: readonly Cluster[]): readonly Cluster[];
  /** One of those that were built; undefined where it is removed. */
  cluster(built: Cluster): Cluster | undefined;
  /** Those that were not built but are to be there. */
  readonly addedClusters: readonly Cluster[];
}

/** Of proxies for which no EnvoyFilter holds. */
export const NO_PATCHES: Patches = {
  listeners: (built) => built,
  routes: (built) => built,
  clusters: (built) => built,
  cluster: (built) => built,
  addedClusters: [],
};

export function patchesFor(context: TranslateContext): Patches {
  const set = patchSet(context);
  return set ? patchesOf(context, set) : NO_PATCHES;
}

function patchesOf({ proxy, mesh }: TranslateContext, set: PatchSet): Patches {
  const isRouter = proxy.type === 'router';
  const outbound: Side = isRouter ? 'GATEWAY' : 'SIDECAR_OUTBOUND';
  const sides: readonly Side[] = isRouter ? ['GATEWAY'] : ['SIDECAR_OUTBOUND', 'SIDECAR_INBOUND'];
  const served = () => mesh.registry.servicesOf(proxy);
  const hasServicePort = (bound: number, wanted: number) => {
    const ports = served().filter(({ endpointPort }) => endpointPort === bound);
    return ports.length === 0 ? bound === wanted : ports.some(({ port }) => port.number === wanted);
  };
  const routesOf = (side: Side) => (built: RouteConfiguration) => patchedRoutes(set, side, built, hasServicePort);
  const sideOfListener = ({ trafficDirection }: Listener): Side =>
    !isRouter && trafficDirection === TrafficDirection.INBOUND ? 'SIDECAR_INBOUND' : outbound;
  const isInbound = ({ name }: Cluster) => name === INBOUND_PASSTHROUGH_CLUSTER || name.startsWith('inbound|');
  const addedListeners = added<Listener>(set, 'LISTENER', sides).filter(({ name }) => name !== '');
  const addedClusters = added<Cluster>(set, 'CLUSTER', sides);
  const cluster = (built: Cluster) => {
    if (!isInbound(built)) return patchedCluster(set, outbound, built, []);
    const port = Number(built.name.split('|')[1]);
    const hosts = served().flatMap(({ service, endpointPort }) => (endpointPort === port ? service.hostname : []));
    return patchedCluster(set, 'SIDECAR_INBOUND', built, hosts);
  };
  return {
    listeners: (built) =>
      firstOfName([
        ...built.flatMap((each) => {
          const side = sideOfListener(each);
          return patchedListener(set, side, each, routesOf(side)) ?? [];
        }),
        ...addedListeners,
      ]),
    routes: routesOf(outbound),
    clusters: (built) => sameList(set, built, firstOfName([...built.flatMap((each) => cluster(each) ?? []), ...addedClusters])),
    cluster,
    addedClusters,
  };
}

const kept = { lists: new Memo<readonly Cluster[]>(), added: new Memo<readonly unknown[]>() };

/** The same list for the same members. */
function sameList(set: PatchSet, built: readonly Cluster[], patched: readonly Cluster[]): readonly Cluster[] {
  return kept.lists.get([set, built], patched, () => patched);
}

function added<T extends { readonly metadata?: Metadata | undefined }>(
  set: PatchSet,
  applyTo: 'CLUSTER' | 'LISTENER',
  sides: readonly Side[],
): readonly T[] {
  const isWanted = ({ operation, match }: Patch) => operation === 'ADD' && ['ANY', ...sides].includes(match?.context ?? 'ANY');
  const build = () =>
    (set.get(applyTo) ?? []).filter(isWanted).map(({ value, source }) => credited(value as unknown as T, new Set([source])));
  return kept.added.get([set, `${applyTo} ${sides.join()}`], NO_INPUTS, build) as readonly T[];
}
