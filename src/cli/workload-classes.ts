/** Workloads whose proxies have the same configuration are translated once: cost follows the number of distinct configurations. */
import type { Mesh, Proxy as ProxyIdentity } from '../translate/model.ts';

/** Groups identities by what can make their outbound configuration differ: namespace, and the labels that some object asks for. */
export function workloadClasses(mesh: Mesh, identities: readonly ProxyIdentity[]): ProxyIdentity[][] {
  const keys = [...labelKeys(mesh)].sort();
  const classes = new Map<string, ProxyIdentity[]>();
  for (const identity of identities) {
    const key = JSON.stringify([identity.namespace, keys.map((name) => identity.labels[name] ?? null)]);
    const members = classes.get(key);
    if (members) members.push(identity);
    else classes.set(key, [identity]);
  }
  return [...classes.values()];
}

function labelKeys({ snapshot }: Mesh): Set<string> {
  const keys = new Set<string>();
  const add = (labels: Readonly<Record<string, string>> | undefined) => {
    for (const key in labels) keys.add(key);
  };
  for (const { spec } of snapshot.list('Sidecar')) add(spec.workloadSelector?.labels);
  for (const { spec } of snapshot.list('DestinationRule')) add(spec.workloadSelector?.matchLabels);
  for (const { spec } of snapshot.list('EnvoyFilter')) add(spec.workloadSelector?.labels);
  for (const { spec } of snapshot.list('VirtualService')) {
    for (const rule of [...spec.http, ...spec.tls, ...spec.tcp]) for (const match of rule.match) add(match.sourceLabels);
  }
  return keys;
}
