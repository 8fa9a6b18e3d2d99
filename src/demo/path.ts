/** What the proxies' access logs and configuration tell of a call: the way it took, and the resource that decided. */

import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { ProxyState } from '../control/report.ts';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { BLACK_HOLE_CLUSTER, BLOCK_ALL, SALLYPORT_METADATA } from '../xds/names.ts';
import type { XdsResources } from '../xds/resources.ts';

/** The fields that the demonstration has the proxies log. */
export const LOG_FIELDS = {
  at: '%START_TIME(%s.%6f)%',
  local: '%DOWNSTREAM_LOCAL_ADDRESS%',
  authority: '%REQ(:AUTHORITY)%',
  cluster: '%UPSTREAM_CLUSTER_RAW%',
  route: '%ROUTE_NAME%',
  chain: '%FILTER_CHAIN_NAME%',
  code: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  upstream: '%UPSTREAM_HOST%',
  details: '%RESPONSE_CODE_DETAILS%',
} as const;

export type LogRecord = Readonly<Partial<Record<keyof typeof LOG_FIELDS, string | number | null>>>;

export interface Way {
  readonly path: readonly string[];
  readonly because: string;
}

/** @param records of one call */
export function wayOf(records: readonly LogRecord[], proxies: readonly ProxyState[], answered: boolean): Way {
  const hops = [...records].sort((a, b) => Number(a.at) - Number(b.at)).map((record) => ({ record, proxy: proxyOf(record, proxies) }));
  const path = hops.map(({ proxy }) => (proxy.identity.type === 'router' ? proxy.identity.name : 'sidecar'));
  const last = hops.at(-1);
  if (!last) return { path, because: 'no proxy logged it' };
  const host = /^outbound\|\d+\|[^|]*\|(.*)$/.exec(String(last.record.cluster ?? ''))?.[1];
  if (answered && host) path.push(host);
  const because = answered
    ? hops.map(({ record, proxy }) => decider(record, proxy.resources)).find(Boolean)
    : refusal(last.record, last.proxy);
  return { path, because: because ?? '' };
}

function proxyOf({ local }: LogRecord, proxies: readonly ProxyState[]): ProxyState {
  const router = proxies.find(({ identity: { bindAddress, type } }) => type === 'router' && String(local).startsWith(`${bindAddress}:`));
  return router ?? proxies.find(({ identity }) => identity.type === 'sidecar')!;
}

function refusal(record: LogRecord, { identity, resources }: ProxyState): string {
  if (record.cluster === BLACK_HOLE_CLUSTER || record.route === BLOCK_ALL) return 'no resource declares it, and the mesh is REGISTRY_ONLY';
  if (String(record.details).startsWith('rbac_access_denied')) return `${record.details} at ${identity.name}`;
  const decided = decider(record, resources);
  if (String(record.flags).includes('NR') || record.code === 404) {
    const gateways = new Set(
      resources.listeners.flatMap((listener) => listener.filterChains.flatMap((chain) => originsOf(chain.metadata))),
    );
    const names = [...gateways].filter((origin) => origin.startsWith('Gateway'));
    return `no route for ${record.authority} at ${names.join(', ') || identity.name}`;
  }
  return [record.flags, decided].filter((part) => part && part !== '-').join(' ') || 'refused';
}

/** The resource that the route, filter chain or cluster of this record comes from. */
function decider({ route, chain, cluster, authority }: LogRecord, { routes, listeners, clusters }: XdsResources): string | undefined {
  const host = String(authority ?? '').replace(/:\d+$/, '');
  const found = [
    ...routes
      .flatMap((config) => config.virtualHosts)
      .filter(({ domains }) => domains.some((domain) => domain === host || domain === authority))
      .flatMap((virtualHost) => virtualHost.routes)
      .filter(
        ({ name, action }) =>
          (name || null) === (route || null) && (action.case !== 'route' || action.value.clusterSpecifier.value === cluster),
      )
      .map(({ metadata }) => metadata),
    ...listeners
      .flatMap(({ filterChains }) => filterChains)
      .filter((candidate) => (chain ? candidate.name === chain : leadsTo(candidate, cluster)))
      .map(({ metadata }) => metadata),
    ...clusters.filter(({ name }) => name === cluster).map(({ metadata }) => metadata),
  ].flatMap(originsOf);
  return found.find((origin) => origin.startsWith('VirtualService')) ?? found[0];
}

/** Whether the chain's TCP proxy has this cluster. */
function leadsTo({ filters }: FilterChain, cluster: LogRecord['cluster']): boolean {
  return filters.some(({ configType }) => {
    if (configType.case !== 'typedConfig') return false;
    const specifier = anyUnpack(configType.value, TcpProxySchema)?.clusterSpecifier;
    return specifier?.case === 'cluster' && specifier.value === cluster;
  });
}

function originsOf(metadata: { readonly filterMetadata: Readonly<Record<string, unknown>> } | undefined): string[] {
  const own = metadata?.filterMetadata[SALLYPORT_METADATA] as { origins?: { kind: string; namespace: string; name: string }[] } | undefined;
  return (own?.origins ?? []).map(({ kind, namespace, name }) => (namespace ? `${kind} ${namespace}/${name}` : `${kind} ${name}`));
}
