/** What differs between two meshes at the proxies that calls come to on their way: which names, if that can be told. Pure. */
import { hostsOverlap } from '../lib/hostname.ts';
import { sameContent } from '../lib/same.ts';
import { type Cluster, Cluster_DiscoveryType } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { ClusterLoadAssignment } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typeNameOf } from '../xds/unpack.ts';
import type { Endpoint } from './call.ts';
import { isIp } from './cluster.ts';
import { clustersOfChain, clustersOfHost, framesAlike, type LeadsTo } from './decided-by.ts';
import type { SimulatedMesh } from './explain.ts';
import type { SimulatedProxy } from './proxy.ts';

/** Calls that may end otherwise: all, or those with these names. */
export type Region = 'all' | { readonly hosts: readonly string[]; readonly serverNames: readonly string[] };

/** The calls that are asked about. `names` may be wildcards. */
export type Asked = { readonly kind: 'bytes' | 'any request' } | { readonly kind: 'tls' | 'http'; readonly names: readonly string[] };

const NOTHING: Region = { hosts: [], serverNames: [] };

/** Whether one of the calls may be in the region. */
export function touches(region: Region, asked: Asked): boolean {
  if (region === 'all') return true;
  const { hosts, serverNames } = region;
  if (hosts.length + serverNames.length === 0) return false;
  if (!('names' in asked)) return true;
  // Requests may be inside of the TLS; and TLS that proxies originate has names of its own.
  const [decisive, others] = asked.kind === 'tls' ? [serverNames, hosts] : [hosts, serverNames];
  return others.length > 0 || asked.names.some((name) => decisive.some((one) => mayMeet(one, name)));
}

function mayMeet(a: string, b: string): boolean {
  const [one, other] = [a, b].map((name) => name.replace(/:(?:\d+|\*)$/, '').toLowerCase()) as [string, string];
  return one.endsWith('*') || other.endsWith('*') || hostsOverlap(one, other);
}

export class Regions {
  readonly #before: SimulatedMesh;
  readonly #after: SimulatedMesh;
  readonly #known = new Map<SimulatedProxy, Region>();
  readonly #clusters = new WeakMap<Cluster, Map<ClusterLoadAssignment | undefined, Region>>();

  constructor(before: SimulatedMesh, after: SimulatedMesh) {
    this.#before = before;
    this.#after = after;
  }

  /** Which calls to a cluster of a proxy may end otherwise on the other side; all, where the clusters themselves differ. The order of the sides does not matter. */
  behind(a: SimulatedProxy, b: SimulatedProxy, name: string): Region {
    const cluster = a.cluster(name);
    if (cluster !== b.cluster(name)) return 'all';
    if (!cluster) return NOTHING;
    const assignment = a.endpoints(cluster);
    if (assignment !== b.endpoints(cluster)) return 'all';
    const known = this.#clusters.get(cluster) ?? new Map<ClusterLoadAssignment | undefined, Region>();
    this.#clusters.set(cluster, known);
    const region = known.get(assignment) ?? this.#led(a, cluster, assignment);
    known.set(assignment, region);
    return region;
  }

  #led(proxy: SimulatedProxy, { clusterDiscoveryType }: Cluster, assignment: ClusterLoadAssignment | undefined): Region {
    // The call itself says where to.
    if (clusterDiscoveryType.case === 'clusterType' || clusterDiscoveryType.value === Cluster_DiscoveryType.ORIGINAL_DST) return 'all';
    const regions: Region[] = [];
    for (const { lbEndpoints } of assignment?.endpoints ?? []) {
      for (const { hostIdentifier } of lbEndpoints) {
        const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined;
        if (address?.case !== 'socketAddress') return 'all';
        const { value } = address;
        const port = value.portSpecifier.case === 'portValue' ? value.portSpecifier.value : 0;
        regions.push(this.#at(proxy, value.address, port));
      }
    }
    return union(regions);
  }

  #at(proxy: SimulatedProxy, host: string, port: number): Region {
    const [before, after] = [this.#before, this.#after].map((mesh) => {
      const ips = isIp(host) ? [host] : (mesh.lookUp?.(host, proxy.name.slice(0, proxy.name.indexOf('/'))) ?? []);
      return ips.flatMap((ip): readonly Endpoint[] => mesh.behindService?.({ ip, port }) ?? [{ ip, port }]);
    });
    if (!sameContent(before, after)) return 'all';
    return union(before!.map(({ ip, port: at }) => this.#takes(this.#before.proxyAt(ip, at), this.#after.proxyAt(ip, at))));
  }

  #takes(before: SimulatedProxy | undefined, after: SimulatedProxy | undefined): Region {
    if (!before && !after) return NOTHING;
    if (!before || !after) return 'all';
    let region = this.#known.get(before);
    if (!region) {
      // Those that lead back here meanwhile find everything different.
      this.#known.set(before, 'all');
      region = this.#between(before, after);
      this.#known.set(before, region);
    }
    return region;
  }

  #between(before: SimulatedProxy, after: SimulatedProxy): Region {
    const about = ({ name, type, identity, addresses }: SimulatedProxy) => ({ name, type, identity, addresses });
    if (!sameContent(about(before), about(after))) return 'all';
    return before.type === 'sidecar' ? this.#inbound(before, after) : this.#router(before, after);
  }

  /** Of what comes in: to the application beside it. */
  #inbound(before: SimulatedProxy, after: SimulatedProxy): Region {
    const listener = before.listenerNamed('virtualInbound');
    if (!listener || listener !== after.listenerNamed('virtualInbound')) return 'all';
    const chains = [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])];
    const isSame = (name: string) => {
      const cluster = before.cluster(name);
      return cluster === after.cluster(name) && (!cluster || before.endpoints(cluster) === after.endpoints(cluster));
    };
    const leads = chains.flatMap((chain): LeadsTo[] => {
      const clusters = clustersOfChain(before, chain);
      if (clusters !== 'http') return [clusters];
      const tables = routesOf(before, chain);
      return tables.every(({ rds }) => rds === undefined) ? tables.flatMap(({ hosts }) => hosts.map(clustersOfHost)) : ['unknown'];
    });
    return leads.every((each) => each !== 'unknown' && each.every(isSame)) ? NOTHING : 'all';
  }

  #router(before: SimulatedProxy, after: SimulatedProxy): Region {
    const regions: Region[] = [];
    const others = new Map(after.all.map((listener) => [listener.name, listener]));
    if (others.size !== before.all.length || after.all.length !== others.size) return 'all';
    for (const listener of before.all) {
      const other = others.get(listener.name);
      if (!other || !framesAlike(listener, other) || listener.defaultFilterChain !== other.defaultFilterChain) return 'all';
      const [here, there] = [new Set(listener.filterChains), new Set(other.filterChains)];
      for (const chain of new Set([...here, ...there])) {
        if (!here.has(chain) || !there.has(chain)) regions.push(byServerName(chain));
        else regions.push(this.#chain(before, after, chain));
      }
      if (listener.defaultFilterChain) regions.push(this.#chain(before, after, listener.defaultFilterChain));
    }
    return union(regions);
  }

  /** Of a chain that both have. */
  #chain(before: SimulatedProxy, after: SimulatedProxy, chain: FilterChain): Region {
    const clusters = clustersOfChain(before, chain);
    if (clusters !== 'http') return this.#areSame(before, after, clusters) ? NOTHING : byServerName(chain);
    return union(
      routesOf(before, chain).map(({ rds, hosts }): Region => {
        if (rds === undefined) return union(hosts.map((host) => this.#host(before, after, host)));
        const [a, b] = [before.routeConfig(rds), after.routeConfig(rds)];
        if (!a || !b) return a === b ? NOTHING : 'all';
        if (!framesAlike(a, b)) return 'all';
        const [here, there] = [new Set(a.virtualHosts), new Set(b.virtualHosts)];
        return union(
          [...new Set([...here, ...there])].map((host) =>
            here.has(host) && there.has(host) ? this.#host(before, after, host) : { hosts: host.domains, serverNames: [] },
          ),
        );
      }),
    );
  }

  /** Of a virtual host that both have. */
  #host(before: SimulatedProxy, after: SimulatedProxy, host: VirtualHost): Region {
    return this.#areSame(before, after, clustersOfHost(host)) ? NOTHING : { hosts: host.domains, serverNames: [] };
  }

  #areSame(before: SimulatedProxy, after: SimulatedProxy, clusters: LeadsTo): boolean {
    return clusters !== 'unknown' && clusters.every((name) => isNothing(this.behind(before, after, name)));
  }
}

interface Routes {
  readonly rds: string | undefined;
  readonly hosts: readonly VirtualHost[];
}

/** The route configurations of a chain: by name, or with the virtual hosts that stand in it. */
function routesOf(proxy: SimulatedProxy, { filters }: FilterChain): Routes[] {
  return filters.flatMap(({ configType, name }): Routes[] => {
    if (configType.case !== 'typedConfig' || typeNameOf(configType.value) !== HttpConnectionManagerSchema.typeName) return [];
    const { routeSpecifier } = proxy.unpack(configType.value, HttpConnectionManagerSchema, name);
    if (routeSpecifier.case === 'rds') return [{ rds: routeSpecifier.value.routeConfigName, hosts: [] }];
    return routeSpecifier.case === 'routeConfig' ? [{ rds: undefined, hosts: routeSpecifier.value.virtualHosts }] : [];
  });
}

/** The calls that a chain which only one side has can take from other chains. */
function byServerName({ filterChainMatch: match }: FilterChain): Region {
  // What comes before the server name in the match takes calls with other names, too.
  if (!match || match.serverNames.length === 0 || match.prefixRanges.length > 0 || match.destinationPort !== undefined) return 'all';
  return { hosts: [], serverNames: match.serverNames };
}

function isNothing(region: Region): boolean {
  return region !== 'all' && region.hosts.length + region.serverNames.length === 0;
}

function union(regions: readonly Region[]): Region {
  const named: Exclude<Region, 'all'>[] = [];
  for (const region of regions) {
    if (region === 'all') return 'all';
    if (!isNothing(region)) named.push(region);
  }
  if (named.length === 0) return NOTHING;
  return { hosts: named.flatMap(({ hosts }) => hosts), serverNames: named.flatMap(({ serverNames }) => serverNames) };
}
