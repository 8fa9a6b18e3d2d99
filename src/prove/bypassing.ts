/** What a workload can do that goes round its sidecar: NetworkPolicies alone hold it, and some workloads nothing does. */
import type { ResourceOf } from '../api/index.ts';
import { isInsideCluster, openEgress } from '../kube/network-policy.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { clusterServers } from './cluster-servers.ts';
import { CLUSTER_RANGES } from './inside.ts';
import { type SimulatedFiles, workloadName } from './simulated.ts';
import type { AdversaryVerdict } from './verdict.ts';

/** The namespaces of which nothing is said unless somebody asks: what is in them is the cluster's own, and many of its pods need the node's network. */
export const EXEMPT: readonly string[] = ['kube-system'];

/** How the ways end that no policy closes. */
const UNHELD = 'where no NetworkPolicy holds it';

type Workload = Pick<ProxyIdentity, 'namespace' | 'name' | 'labels'>;

/** Returns how a workload leaves the cluster past its sidecar, the rest of a sentence; undefined where it can't. */
export function waysPast(
  { mesh }: SimulatedFiles,
  clusterRanges: readonly string[] = CLUSTER_RANGES,
): (workload: Workload) => string | undefined {
  const policies = mesh.snapshot.list('NetworkPolicy');
  const servers = new Set(clusterServers(mesh).map(({ ip, port }) => `${ip} ${port}`));
  const onNodes = new Set(podsOnNodes(mesh.snapshot.list('Pod')));
  const machines = new Set(mesh.snapshot.list('WorkloadEntry').map(({ metadata }) => workloadName(metadata)));
  return (workload) => {
    if (machines.has(workloadName(workload))) return `connects to anything: it is a WorkloadEntry and no pod, ${UNHELD}`;
    if (onNodes.has(workloadName(workload))) return `connects to anything: it is on the network of its node (hostNetwork), ${UNHELD}`;
    const way = openEgress(policies, workload, clusterRanges, (ip, port) => servers.has(`${ip} ${port}`));
    if (!way || isInsideCluster(way.ip, clusterRanges)) return undefined;
    const why = way.policy
      ? `NetworkPolicy ${way.policy.metadata.namespace}/${way.policy.metadata.name} allows it`
      : 'no NetworkPolicy restricts its egress';
    return `connects to ${way.ip}${way.port ? `:${way.port}` : ', any port,'} past its sidecar: ${why}`;
  };
}

/** `namespace/name` of each. */
export function podsOnNodes(pods: readonly ResourceOf<'Pod'>[]): string[] {
  return pods.filter(({ spec }) => spec.hostNetwork).map(({ metadata }) => workloadName(metadata));
}

/** Judges all workloads but those of the namespaces that are exempt. */
export function bypassing(files: SimulatedFiles, exempt: readonly string[], clusterRanges: readonly string[]): AdversaryVerdict {
  const { mesh, proxies, bare } = files;
  const wayOf = waysPast(files, clusterRanges);
  const open = new Map<string, string[]>();
  const all = [...proxies.filter(({ type }) => type === 'sidecar'), ...bare.map(({ identity }) => identity)];
  const workloads = all.filter(({ namespace }) => !exempt.includes(namespace));
  for (const workload of workloads) {
    const how = wayOf(workload);
    if (how !== undefined) open.set(how, [...(open.get(how) ?? []), workloadName(workload)]);
  }
  const openings = [...open].map(([how, names]) => ({ workloads: names, how, closable: !how.endsWith(UNHELD) }));
  const left = all.filter(({ namespace }) => exempt.includes(namespace));
  const servers = clusterServers(mesh);
  return {
    adversary: 'bypassing',
    statement: `no workload that goes round its sidecar leaves the cluster${exemption(left)}`,
    result: openings.length > 0 ? 'refuted' : 'proved',
    counterexamples: [],
    undecided: [],
    notes: [
      ...(left.length > 0
        ? [`${namespacesOf(left)}: exempt; its workloads (${left.length}) may leave, and may pass on what others send to them`]
        : []),
      ...(servers.length > 0 ? [`every workload reaches ${servers.map(serverText).join(', ')}, and what that passes on leaves`] : []),
    ],
    cells: workloads.length,
    openings,
  };
}

function serverText({ what, ip, port, protocol }: ReturnType<typeof clusterServers>[number]): string {
  return `${what} at ${ip.includes(':') ? `[${ip}]` : ip}:${port} (${protocol})`;
}

/** The end of a statement that does not hold for some workloads; empty where there is none of them. */
export function exemption(left: readonly Workload[]): string {
  return left.length === 0 ? '' : `, those of ${namespacesOf(left)} exempt`;
}

function namespacesOf(workloads: readonly Workload[]): string {
  return [...new Set(workloads.map(({ namespace }) => namespace))].sort().join(', ');
}
