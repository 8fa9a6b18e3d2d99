/** What a workload can do that goes round its sidecar: NetworkPolicies alone hold it, and some workloads nothing does. */
import type { ResourceOf } from '../api/index.ts';
import { isInsideCluster, openEgress } from '../kube/network-policy.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { hostPort } from '../lib/socket-address.ts';
import { callersOf } from './callers.ts';
import { clusterServers } from './cluster-servers.ts';
import { CLUSTER_RANGES } from './inside.ts';
import { type SimulatedFiles, workloadName } from './simulated.ts';
import { unreadableIn } from './unknown.ts';
import type { AdversaryVerdict, Opening } from './verdict.ts';

/** The namespaces of which nothing is said unless somebody asks: what is in them is the cluster's own, and many of its pods need the node's network. */
export const EXEMPT: readonly string[] = ['kube-system'];

type Workload = Pick<ProxyIdentity, 'namespace' | 'name' | 'labels'>;

/** How a workload leaves the cluster past its sidecar. */
export interface WayPast {
  /** The rest of a sentence. */
  readonly how: string;
  /** Whether NetworkPolicies can close it. */
  readonly closable: boolean;
}

/** Returns what tells how a workload leaves; undefined where it can't. */
export function waysPast(
  { mesh }: SimulatedFiles,
  clusterRanges: readonly string[] = CLUSTER_RANGES,
): (workload: Workload) => WayPast | undefined {
  const policies = mesh.snapshot.list('NetworkPolicy');
  const servers = new Set(clusterServers(mesh).map(({ ip, port }) => `${ip} ${port}`));
  const onNodes = new Set(podsOnNodes(mesh.snapshot.list('Pod')));
  const machines = new Set(mesh.snapshot.list('WorkloadEntry').map(({ metadata }) => workloadName(metadata)));
  return (workload) => {
    if (machines.has(workloadName(workload))) return unheld('it is a WorkloadEntry and no pod');
    if (onNodes.has(workloadName(workload))) return unheld('it is on the network of its node (hostNetwork)');
    const way = openEgress(policies, workload, clusterRanges, (ip, port) => servers.has(`${ip} ${port}`));
    if (!way || isInsideCluster(way.ip, clusterRanges)) return undefined;
    const why = way.policy
      ? `NetworkPolicy ${way.policy.metadata.namespace}/${way.policy.metadata.name} allows it`
      : 'no NetworkPolicy restricts its egress';
    return { how: `connects to ${way.ip}${way.port ? `:${way.port}` : ', any port,'} past its sidecar: ${why}`, closable: true };
  };
}

function unheld(why: string): WayPast {
  return { how: `connects to anything: ${why}, where no NetworkPolicy holds it`, closable: false };
}

/** `namespace/name` of each. */
export function podsOnNodes(pods: readonly ResourceOf<'Pod'>[]): string[] {
  return pods.filter(({ spec }) => spec.hostNetwork).map(({ metadata }) => workloadName(metadata));
}

/** Judges all workloads but those of the namespaces that are exempt. @param wayOf as `waysPast` */
export function bypassing(files: SimulatedFiles, exempt: readonly string[], wayOf: ReturnType<typeof waysPast>): AdversaryVerdict {
  const { mesh, bare } = files;
  const open = new Map<string, Opening & { readonly workloads: string[] }>();
  const all = [...callersOf(files), ...bare.map(({ identity }) => identity)];
  const workloads = all.filter(({ namespace }) => !exempt.includes(namespace));
  for (const workload of workloads) {
    const way = wayOf(workload);
    if (!way) continue;
    const opening = open.get(way.how) ?? { workloads: [], ...way };
    opening.workloads.push(workloadName(workload));
    open.set(way.how, opening);
  }
  const openings = [...open.values()];
  const undecided = unreadableIn(files, (kind) => DECIDING.has(kind));
  const left = all.filter(({ namespace }) => exempt.includes(namespace));
  const servers = clusterServers(mesh);
  return {
    adversary: 'bypassing',
    statement: `no workload that goes round its sidecar leaves the cluster${exemption(left)}`,
    result: openings.length > 0 ? 'refuted' : undecided.length > 0 ? 'undecided' : 'proved',
    counterexamples: [],
    undecided,
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

/** The kinds that say who could go round a sidecar, and what holds him. What one NetworkPolicy allows no other takes back. */
const DECIDING: ReadonlySet<string> = new Set(['NetworkPolicy', 'Pod', 'Deployment', 'WorkloadEntry']);

function serverText({ what, ip, port, protocol }: ReturnType<typeof clusterServers>[number]): string {
  return `${what} at ${hostPort(ip, port)} (${protocol})`;
}

/** The end of a statement that does not hold for some workloads; empty where there is none of them. */
export function exemption(left: readonly Workload[]): string {
  return left.length === 0 ? '' : `, those of ${namespacesOf(left)} exempt`;
}

function namespacesOf(workloads: readonly Workload[]): string {
  return [...new Set(workloads.map(({ namespace }) => namespace))].sort().join(', ');
}
