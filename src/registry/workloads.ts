import type { ResourceOf } from '../api/index.ts';
import type { Resource } from '../api/resource.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { type Labels, matchesLabels } from '../lib/labels.ts';
import { once } from '../lib/once.ts';
import { keepList } from '../lib/same.ts';
import type { Workload } from './model.ts';

/** The label that injection sets on workloads whose proxy takes the mesh's mTLS. */
const TLS_MODE_LABEL = 'security.istio.io/tlsMode';
const LOCALITY_LABEL = 'istio-locality';

/** Pods and WorkloadEntries, with the ways to find them that endpoints need. */
export interface Workloads {
  readonly list: readonly Workload[];
  /** The workloads of a namespace that the selector matches; none for an empty selector, as for a Service. */
  select(namespace: string, selector: Labels): readonly Workload[];
  pod(namespace: string, name: string): Workload | undefined;
  podAt(address: string): Workload | undefined;
  /** By namespace and name. */
  entriesAt(address: string): readonly Workload[];
  /** `region/zone/subzone` of a node. */
  nodeLocality(nodeName: string | undefined): string;
  readonly sources: WorkloadSources;
  /** For the next ones. */
  readonly memory: WeakMap<Resource, Workload>;
}

/** What workloads are made of. */
interface WorkloadSources {
  readonly pods: readonly ResourceOf<'Pod'>[];
  readonly entries: readonly ResourceOf<'WorkloadEntry'>[];
  readonly nodes: readonly ResourceOf<'Node'>[];
}

/** @param before stays if its sources are the same; of other sources, each workload stays of which nothing changed. */
export function buildWorkloads(snapshot: Snapshot, before?: Workloads): Workloads {
  const sources: WorkloadSources = { pods: snapshot.list('Pod'), entries: snapshot.list('WorkloadEntry'), nodes: snapshot.list('Node') };
  if (before && isSame(before.sources, sources)) return before;
  const localities = new Map(sources.nodes.map((node) => [node.metadata.name, topologyOf(node.metadata.labels)]));
  const nodeLocality = (name: string | undefined) => (name ? (localities.get(name) ?? '') : '');
  const memory = before?.memory ?? new WeakMap<Resource, Workload>();
  const kept = (workload: Workload): Workload => {
    const known = memory.get(workload.resource);
    // Of one resource only a Node can make another locality.
    if (known && known.locality === workload.locality) return known;
    memory.set(workload.resource, workload);
    return workload;
  };
  const list: Workload[] = [];
  const podsByName = new Map<string, Workload>();
  const podsByAddress = new Map<string, Workload>();
  for (const pod of sources.pods) {
    const made = podWorkload(pod, nodeLocality);
    if (!made) continue;
    const workload = kept(made);
    list.push(workload);
    podsByName.set(`${workload.namespace}/${workload.name}`, workload);
    // Pods on the host's network share its address, which therefore identifies none of them.
    if (!pod.spec.hostNetwork) for (const address of workload.addresses) podsByAddress.set(address, workload);
  }
  for (const entry of sources.entries) list.push(kept(entryWorkload(entry)));
  const byNamespace = Map.groupBy(list, ({ namespace }) => namespace);
  const entriesByAddress = once(() =>
    Map.groupBy(list.filter(({ kind }) => kind === 'WorkloadEntry').sort(byName), ({ addresses: [address] }) => address),
  );
  return {
    list: keepList(before?.list, list),
    select(namespace, selector) {
      if (Object.keys(selector).length === 0) return [];
      return (byNamespace.get(namespace) ?? []).filter((workload) => matchesLabels(selector, workload.labels));
    },
    pod: (namespace, name) => podsByName.get(`${namespace}/${name}`),
    podAt: (address) => podsByAddress.get(address),
    entriesAt: (address) => entriesByAddress().get(address) ?? [],
    nodeLocality,
    sources,
    memory,
  };
}

function byName(a: Workload, b: Workload): number {
  return `${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1;
}

function isSame(a: WorkloadSources, b: WorkloadSources): boolean {
  return a.pods === b.pods && a.entries === b.entries && a.nodes === b.nodes;
}

function podWorkload(pod: ResourceOf<'Pod'>, nodeLocality: (name: string | undefined) => string): Workload | undefined {
  const status = (pod.status ?? {}) as { phase?: string; podIP?: string; podIPs?: { ip?: string }[] };
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return undefined;
  const { labels, name, namespace } = pod.metadata;
  const addresses = (status.podIPs ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
  if (status.podIP && !addresses.includes(status.podIP)) addresses.unshift(status.podIP);
  return {
    kind: 'Pod',
    name,
    namespace,
    addresses,
    labels,
    serviceAccount: pod.spec.serviceAccountName || 'default',
    // A label's value cannot hold a slash.
    locality: labels[LOCALITY_LABEL]?.replaceAll('.', '/') ?? nodeLocality(pod.spec.nodeName),
    resource: pod,
  };
}

function entryWorkload(entry: ResourceOf<'WorkloadEntry'>): Workload {
  const { name, namespace } = entry.metadata;
  const { address, serviceAccount, locality } = entry.spec;
  return {
    kind: 'WorkloadEntry',
    name,
    namespace,
    addresses: address ? [address] : [],
    labels: { ...entry.spec.labels, ...entry.metadata.labels },
    serviceAccount: serviceAccount || 'default',
    locality: locality ?? '',
    resource: entry,
  };
}

/** Whether a Pod is to get traffic: Kubernetes' condition `Ready`; a Pod without conditions (a file by hand) counts as ready. */
export function isReady({ resource }: Workload): boolean {
  const conditions = ((resource.status ?? {}) as { conditions?: { type?: string; status?: string }[] }).conditions;
  const ready = conditions?.find(({ type }) => type === 'Ready');
  return ready === undefined || ready.status === 'True';
}

/** Of what an entry states (`serviceAccount`) Istio takes it that a proxy with that identity is there, unless the label says otherwise. */
export function tlsModeOf(labels: Labels, serviceAccount = ''): 'istio' | 'disabled' {
  const stated = labels[TLS_MODE_LABEL] ?? (serviceAccount ? 'istio' : 'disabled');
  return stated === 'istio' ? 'istio' : 'disabled';
}

function topologyOf(labels: Labels): string {
  const parts = [labels['topology.kubernetes.io/region'], labels['topology.kubernetes.io/zone'], labels['topology.istio.io/subzone']];
  while (parts.length > 0 && !parts.at(-1)) parts.pop();
  return parts.map((part) => part ?? '').join('/');
}
