/** Workloads whose proxies have the same configuration are translated once: cost follows the number of distinct configurations. */
import type { Mesh, Proxy as ProxyIdentity } from '../translate/model.ts';

/**
 * Groups identities by what can make their outbound configuration differ: the labels with the values that some object asks for, and the namespace
 * where something in the configuration depends on it.
 */
export function workloadClasses(mesh: Mesh, identities: readonly ProxyIdentity[]): ProxyIdentity[][] {
  const asked = [...labelsAskedFor(mesh)].sort(([a], [b]) => (a < b ? -1 : 1));
  const counts = namespacesThatCount(mesh);
  const classes = new Map<string, ProxyIdentity[]>();
  for (const identity of identities) {
    const key = JSON.stringify([
      counts.has(identity.namespace) ? identity.namespace : null,
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
function labelsAskedFor({ snapshot }: Mesh): Map<string, Set<string>> {
  const asked = new Map<string, Set<string>>();
  const add = (labels: Readonly<Record<string, string>> | undefined) => {
    for (const key in labels) asked.set(key, (asked.get(key) ?? new Set<string>()).add(labels[key]!));
  };
  for (const { spec } of snapshot.list('Sidecar')) add(spec.workloadSelector?.labels);
  for (const { spec } of snapshot.list('DestinationRule')) add(spec.workloadSelector?.matchLabels);
  for (const { spec } of snapshot.list('EnvoyFilter')) add(spec.workloadSelector?.labels);
  for (const { spec } of snapshot.list('VirtualService')) {
    for (const rule of [...spec.http, ...spec.tls, ...spec.tcp]) for (const match of rule.match) add(match.sourceLabels);
  }
  return asked;
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
function namespacesThatCount({ snapshot, config }: Mesh): Set<string> {
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
