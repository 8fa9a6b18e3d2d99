/** The routes of each host and port: a sidecar's, without what gRPC would refuse them for. */
import { create } from '@bufbuild/protobuf';
import { Memo } from '../../lib/memo.ts';
import {
  type RetryPolicy,
  RetryPolicySchema,
  type Route,
  type RouteAction,
  RouteActionSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
  type WeightedCluster,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { BLACK_HOLE_CLUSTER } from '../../xds/names.ts';
import { FAULT_FILTER } from './listeners.ts';
import type { Target } from './targets.ts';

/** Sorted by name. */
export function proxylessRoutes(targets: readonly Target[], sidecar: readonly RouteConfiguration[]): readonly RouteConfiguration[] {
  const byName = new Map(sidecar.map((each) => [each.name, hostsOf(each)]));
  return targets.map((target) => routesOf(target, byName)).sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** By domain. */
type Hosts = ReadonlyMap<string, VirtualHost>;

const hosts = new WeakMap<RouteConfiguration, Hosts>();

function hostsOf(routes: RouteConfiguration): Hosts {
  let found = hosts.get(routes);
  if (!found) {
    found = new Map(routes.virtualHosts.flatMap((host) => host.domains.map((domain) => [domain.toLowerCase(), host] as const)));
    hosts.set(routes, found);
  }
  return found;
}

const kept = new Memo<RouteConfiguration>();

/** A port that is not HTTP has no routes; whoever calls it is told so. */
function routesOf({ name, host, port, cluster }: Target, byName: ReadonlyMap<string, Hosts>): RouteConfiguration {
  const found = [String(port), `${host}:${port}`].map((each) => byName.get(each)).map((each) => each && hostFor(each, host, port));
  const virtualHost = found.find((each) => each !== undefined);
  return kept.get([cluster], [virtualHost], () =>
    create(RouteConfigurationSchema, { name, virtualHosts: virtualHost ? [madeOf(virtualHost)] : [] }),
  );
}

/** As a proxy chooses among domains; of those that take everything none is this host's. */
function hostFor(domains: Hosts, host: string, port: number): VirtualHost | undefined {
  const names = [host, ...host.split('.').flatMap((_, i, labels) => (i > 0 ? [`*.${labels.slice(i).join('.')}`] : []))];
  for (const name of names) {
    const found = domains.get(`${name}:${port}`) ?? domains.get(name);
    if (found) return found;
  }
  return undefined;
}

const made = new WeakMap<VirtualHost, VirtualHost>();

/** Nobody asks for it but by this host's name. */
function madeOf(virtualHost: VirtualHost): VirtualHost {
  let host = made.get(virtualHost);
  if (!host) {
    host = create(VirtualHostSchema, { name: virtualHost.name, domains: ['*'], routes: virtualHost.routes.map(routeOf) });
    made.set(virtualHost, host);
  }
  return host;
}

/** What a proxy would answer itself (redirects, replies, refusals) fails at a client, which forwards nothing then. */
function routeOf({ name, match, metadata, action, typedPerFilterConfig }: Route): Route {
  const fault = typedPerFilterConfig[FAULT_FILTER];
  return create(RouteSchema, {
    name,
    match,
    metadata,
    action: action.case === 'route' ? { case: 'route', value: actionOf(action.value) } : NOWHERE,
    ...(fault ? { typedPerFilterConfig: { [FAULT_FILTER]: fault } } : {}),
  });
}

/** gRPC has an action that forwards nothing, at which its JavaScript ends the application. */
const NOWHERE = {
  case: 'route',
  value: create(RouteActionSchema, { clusterSpecifier: { case: 'cluster', value: BLACK_HOLE_CLUSTER } }),
} as const;

function actionOf({ clusterSpecifier, hashPolicy, retryPolicy, timeout }: RouteAction): RouteAction {
  const limit = durationMs(timeout, 0) > 0 ? { maxStreamDuration: { maxStreamDuration: timeout } } : {};
  return create(RouteActionSchema, {
    clusterSpecifier:
      clusterSpecifier.case === 'weightedClusters'
        ? { case: 'weightedClusters', value: withoutFilters(clusterSpecifier.value) }
        : clusterSpecifier,
    hashPolicy,
    retryPolicy: retryPolicy && retriesOf(retryPolicy),
    ...limit,
  });
}

function withoutFilters(weighted: WeightedCluster): WeightedCluster {
  return { ...weighted, clusters: weighted.clusters.map((each) => ({ ...each, typedPerFilterConfig: {} })) };
}

/** gRPC takes no policy without retries. */
function retriesOf({ retryOn, numRetries, retryBackOff }: RetryPolicy): RetryPolicy | undefined {
  if (numRetries === 0) return undefined;
  return create(RetryPolicySchema, { retryOn, ...(numRetries === undefined ? {} : { numRetries }), retryBackOff });
}
