/** Locality load balancing: where failover or distribution is asked for, localities get priorities or weights by the proxy's own. */
import { create } from '@bufbuild/protobuf';
import type { LoadBalancerSettings } from '../api/index.ts';
import { localityMatches } from '../lib/locality.ts';
import type { Endpoint } from '../registry/model.ts';
import { type Cluster, Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type LocalityLbEndpoints, LocalityLbEndpointsSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { commonLbConfig } from './clusters-policy.ts';
import { localityEndpoints } from './endpoints.ts';

export type LocalitySetting = NonNullable<LoadBalancerSettings['localityLbSetting']>;
type Setting = LocalitySetting;

/** Of the proxy what localities are weighed by. */
export interface Client {
  readonly locality: string;
  /** Those that some `failoverPriority` names. */
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * The endpoints in groups with priorities (failover; only with outlier detection, else nothing would ever fail over) or weights (distribute).
 * `setting` is the rule's, or in its place the mesh's.
 */
export function localityGroups(
  endpoints: readonly Endpoint[],
  { locality, labels }: Client,
  setting: Setting | undefined,
  failsOver: boolean,
): LocalityLbEndpoints[] {
  const groups = localityEndpoints(endpoints);
  if (setting?.enabled === false || groups.length === 0) return groups;
  if (setting?.distribute.length) {
    const distribute = setting.distribute.find(({ from }) => localityMatches(from, locality));
    return distribute ? distributed(groups, distribute.to) : groups;
  }
  if (!failsOver) return groups;
  if (setting?.failoverPriority.length) return byLabels(endpoints, setting.failoverPriority, labels);
  if (!locality) return groups;
  return contiguous(groups, (group) => distance(textOf(group), locality, setting));
}

/** Makes the cluster heed the weights of localities where the setting has any say in them. */
export function weighLocalities(cluster: Cluster, endpoints: readonly Endpoint[], setting: Setting | undefined): void {
  if (!setting || setting.enabled === false || endpoints.length === 0) return;
  const failsOver = cluster.outlierDetection !== undefined && (setting.failover.length > 0 || setting.failoverPriority.length > 0);
  if (setting.distribute.length === 0 && !failsOver) return;
  commonLbConfig(cluster).localityConfigSpecifier = {
    case: 'localityWeightedLbConfig',
    value: create(Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema),
  };
}

/** 0 for the same subzone, then zone, region, the region to fail over to, and the rest. */
function distance(locality: string, own: string, setting: Setting | undefined): number {
  const [region, zone, subzone] = own.split('/');
  const [otherRegion, otherZone, otherSubzone] = locality.split('/');
  if (region === otherRegion) {
    if (zone !== otherZone) return 2;
    return subzone === otherSubzone ? 0 : 1;
  }
  const rules = setting?.failover.filter(({ from }) => from === region) ?? [];
  if (rules.length === 0) return 3;
  return rules.some(({ to }) => to === otherRegion) ? 3 : 4;
}

/** Endpoints that share more of the labels, from the first on, come earlier; `key=value` asks for that value instead of the proxy's. */
function byLabels(endpoints: readonly Endpoint[], labels: readonly string[], own: Readonly<Record<string, string>>): LocalityLbEndpoints[] {
  const levels = new Map<number, Endpoint[]>();
  for (const endpoint of endpoints) {
    const level = labels.findIndex((label) => {
      const [key = '', value] = label.split('=', 2);
      return endpoint.labels[key] !== (value ?? own[key]);
    });
    const priority = level < 0 ? 0 : labels.length - level;
    const siblings = levels.get(priority);
    if (siblings) siblings.push(endpoint);
    else levels.set(priority, [endpoint]);
  }
  return [...levels]
    .sort(([a], [b]) => a - b)
    .flatMap(([, members], priority) =>
      localityEndpoints(members).map((group) => create(LocalityLbEndpointsSchema, { ...group, priority })),
    );
}

/** Envoy refuses priorities with a gap. */
function contiguous(groups: readonly LocalityLbEndpoints[], distanceOf: (group: LocalityLbEndpoints) => number): LocalityLbEndpoints[] {
  const levels = [...new Set(groups.map(distanceOf))].sort((a, b) => a - b);
  const ranked = groups.map((group) => ({ ...group, priority: levels.indexOf(distanceOf(group)) }));
  return ranked.sort((a, b) => a.priority - b.priority);
}

/** Each target's percentage is shared by the localities that it covers, in proportion to their own weights; the others get none. */
function distributed(groups: readonly LocalityLbEndpoints[], to: Readonly<Record<string, number>>): LocalityLbEndpoints[] {
  const left = new Set(groups);
  const kept: LocalityLbEndpoints[] = [];
  // The narrower pattern first: `region/zone/*` before `region/*`.
  for (const [pattern, percentage] of Object.entries(to).sort(([a], [b]) => b.length - a.length)) {
    const covered = [...left].filter((group) => localityMatches(pattern, textOf(group)));
    const total = covered.reduce((sum, group) => sum + (group.loadBalancingWeight ?? 1), 0);
    for (const group of covered) {
      left.delete(group);
      const weight = Math.ceil((percentage * (group.loadBalancingWeight ?? 1)) / total);
      if (weight > 0) kept.push({ ...group, loadBalancingWeight: weight });
    }
  }
  return kept.sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
}

function textOf({ locality }: LocalityLbEndpoints): string {
  const parts = [locality?.region ?? '', locality?.zone ?? '', locality?.subZone ?? ''];
  while (parts.length > 0 && !parts.at(-1)) parts.pop();
  return parts.join('/');
}
