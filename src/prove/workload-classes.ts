/** Workloads whose proxies have the same configuration are translated once: cost follows the number of distinct configurations. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Mesh } from '../translate/model.ts';

/**
 * Groups identities by what can make their outbound configuration differ: the labels with the values that some object asks for, and the namespace
 * where something in the configuration depends on it.
 */
export function workloadClasses(mesh: Mesh, identities: readonly ProxyIdentity[]): ProxyIdentity[][] {
  const asked = [...labelsAskedFor(mesh)].sort(([a], [b]) => (a < b ? -1 : 1));
  const counts = namespacesThatCount(mesh);
  const places = localityCounts(mesh);
  const classes = new Map<string, ProxyIdentity[]>();
  for (const identity of identities) {
    const key = JSON.stringify([
      counts.has(identity.namespace) ? identity.namespace : null,
      places ? identity.locality : null,
      // A value that nobody asks for is as good as none.
      asked.map(([name, values]) => (values.has(identity.labels[name] ?? '') ? identity.labels[name] : null)),
    ]);
    const members = classes.get(key);
    if (members) members.push(identity);
    else classes.set(key, [identity]);
  }
  return [...classes.values()];
}

/** The values that selectors name for each label. */
function labelsAskedFor(mesh: Mesh): Map<string, Set<string>> {
  const asked = new Map<string, Set<string>>();
  for (const labels of selectorsOf(mesh)) {
    for (const key in labels) asked.set(key, (asked.get(key) ?? new Set<string>()).add(labels[key]!));
  }
  return asked;
}

/** The labels by which objects choose the workloads whose calls they concern. */
export function selectorsOf({ snapshot }: Mesh): Readonly<Record<string, string>>[] {
  const all: (Readonly<Record<string, string>> | undefined)[] = [
    ...snapshot.list('Sidecar').map(({ spec }) => spec.workloadSelector?.labels),
    ...snapshot.list('DestinationRule').map(({ spec }) => spec.workloadSelector?.matchLabels),
    ...snapshot.list('EnvoyFilter').map(({ spec }) => spec.workloadSelector?.labels),
  ];
  for (const { spec } of snapshot.list('VirtualService')) {
    for (const rule of [...spec.http, ...spec.tls, ...spec.tcp]) for (const match of rule.match) all.push(match.sourceLabels);
  }
  return all.filter((labels) => labels !== undefined);
}

/** Whether a workload's place may decide which endpoints its sidecar has. */
function localityCounts({ snapshot, config }: Mesh): boolean {
  const distributes = (setting: { readonly distribute?: readonly unknown[] } | undefined) => (setting?.distribute?.length ?? 0) > 0;
  return (
    distributes(config.localityLbSetting) ||
    snapshot
      .list('DestinationRule')
      .some(({ spec }) =>
        [spec.trafficPolicy, ...spec.subsets.map(({ trafficPolicy }) => trafficPolicy)].some((policy) =>
          [policy?.loadBalancer, ...(policy?.portLevelSettings ?? []).map(({ loadBalancer }) => loadBalancer)].some((balancer) =>
            distributes(balancer?.localityLbSetting),
          ),
        ),
      )
  );
}

/** Kinds of which no sidecar's outbound configuration depends on the namespace alone. */
const ELSEWHERE = new Set([
  'Pod',
  'Namespace',
  'Node',
  'Deployment',
  'ServiceAccount',
  'ConfigMap',
  'NetworkPolicy',
  'EndpointSlice',
  'Endpoints',
]);

/** Namespaces that have resources of their own, or that a resource names: workloads of all others see the same. */
export function namespacesThatCount({ snapshot, config }: Mesh): Set<string> {
  const found = new Set<string>();
  const name = (list: readonly string[] | undefined) => {
    for (const entry of list ?? []) found.add(entry);
  };
  for (const { kind, metadata } of snapshot.all()) if (!ELSEWHERE.has(kind)) found.add(metadata.namespace);
  for (const kind of ['ServiceEntry', 'VirtualService', 'DestinationRule'] as const) {
    for (const { spec } of snapshot.list(kind)) name(spec.exportTo);
  }
  for (const { metadata } of snapshot.list('Service'))
    name(metadata.annotations['networking.istio.io/exportTo']?.split(',').map((one) => one.trim()));
  for (const { spec } of snapshot.list('VirtualService')) {
    for (const rule of [...spec.http, ...spec.tls, ...spec.tcp])
      for (const match of rule.match) if (match.sourceNamespace) found.add(match.sourceNamespace);
  }
  name(config.defaultServiceExportTo);
  name(config.defaultVirtualServiceExportTo);
  name(config.defaultDestinationRuleExportTo);
  return found;
}
