/** What a filter chain or a virtual host leads to, as far as that stands in it. Pure. */
import { toBinary } from '@bufbuild/protobuf';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteAction, VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema } from '../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { OBSERVING_FILTERS } from '../xds/observing.ts';
import { typeNameOf } from '../xds/unpack.ts';
import { sameBytes } from '../xds/wire.ts';
import type { SimulatedProxy } from './proxy.ts';

/** Names of clusters; or that the call itself, or something that is not simulated, says more. */
export type LeadsTo = readonly string[] | 'unknown';

/** Where a chain leads; `http`: its route configuration says it. */
export function clustersOfChain(proxy: SimulatedProxy, { filters }: FilterChain): LeadsTo | 'http' {
  for (const { configType, name } of filters) {
    const config = configType.case === 'typedConfig' ? configType.value : undefined;
    const type = typeNameOf(config);
    if (type === RBACSchema.typeName || OBSERVING_FILTERS.has(type)) continue;
    if (type === HttpConnectionManagerSchema.typeName) return 'http';
    if (type !== TcpProxySchema.typeName) return 'unknown';
    const { clusterSpecifier, tunnelingConfig } = proxy.unpack(config, TcpProxySchema, name);
    if (tunnelingConfig) return 'unknown';
    if (clusterSpecifier.case === 'cluster') return [clusterSpecifier.value];
    return clusterSpecifier.case === 'weightedClusters' ? clusterSpecifier.value.clusters.map((each) => each.name) : 'unknown';
  }
  return [];
}

/** Where all of its routes lead, copies of requests too. */
export function clustersOfHost({ routes, requestMirrorPolicies }: VirtualHost): LeadsTo {
  const found = new Set<string>();
  for (const { action } of routes) {
    if (action.case === 'redirect' || action.case === 'directResponse') continue;
    const clusters = action.case === 'route' ? clustersOfAction(action.value) : 'unknown';
    if (clusters === 'unknown' || requestMirrorPolicies.length > 0) return 'unknown';
    for (const name of clusters) found.add(name);
  }
  return [...found];
}

function clustersOfAction({ clusterSpecifier, requestMirrorPolicies }: RouteAction): LeadsTo {
  const copies = requestMirrorPolicies.map(({ cluster }) => cluster);
  if (copies.includes('')) return 'unknown';
  if (clusterSpecifier.case === 'cluster') return [clusterSpecifier.value, ...copies];
  if (clusterSpecifier.case !== 'weightedClusters') return 'unknown';
  const names = clusterSpecifier.value.clusters.map(({ name }) => name);
  return names.includes('') ? 'unknown' : [...names, ...copies];
}

/** Whether requests may go on to another host than they named. */
export function hostsRewritten({ routes, requestHeadersToAdd }: VirtualHost): boolean {
  const setsHost = (list: VirtualHost['requestHeadersToAdd']) =>
    list.some(({ header }) => ['host', ':authority'].includes(header?.key.toLowerCase() ?? ''));
  return (
    setsHost(requestHeadersToAdd) ||
    routes.some(({ action, requestHeadersToAdd: added }) => {
      if (setsHost(added)) return true;
      if (action.case !== 'route') return false;
      const { clusterSpecifier, hostRewriteSpecifier, requestMirrorPolicies } = action.value;
      const weighted = clusterSpecifier.case === 'weightedClusters' ? clusterSpecifier.value.clusters : [];
      return (
        hostRewriteSpecifier.case !== undefined ||
        requestMirrorPolicies.length > 0 ||
        weighted.some((each) => each.hostRewriteSpecifier.case !== undefined || setsHost(each.requestHeadersToAdd))
      );
    })
  );
}

/** Whether two versions are the same but for their filter chains or virtual hosts. */
export function framesAlike(a: Listener | RouteConfiguration, b: Listener | RouteConfiguration): boolean {
  return a === b || sameBytes(frameOf(a), frameOf(b));
}

const frames = new WeakMap<Listener | RouteConfiguration, Uint8Array>();

function frameOf(message: Listener | RouteConfiguration): Uint8Array {
  let frame = frames.get(message);
  if (!frame) {
    frame =
      message.$typeName === ListenerSchema.typeName
        ? toBinary(ListenerSchema, { ...(message as Listener), filterChains: [], defaultFilterChain: undefined } as unknown as Listener)
        : toBinary(RouteConfigurationSchema, { ...(message as RouteConfiguration), virtualHosts: [] });
    frames.set(message, frame);
  }
  return frame;
}
