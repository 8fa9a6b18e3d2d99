/** `verify`: statements about all calls, each proved, or refuted by a call that breaks it. */
import { isInsideCluster, openEgress } from '../kube/network-policy.ts';
import { type Statement, verify } from '../simulate/verify.ts';
import { callersOf } from './callers.ts';
import { equivalence } from './equivalence.ts';
import { CLUSTER_RANGES, gatewaysOf, insideAddresses } from './inside.ts';
import { locatedTrace } from './origins.ts';
import type { SimulatedFiles } from './simulated.ts';
import { onlyThroughGateways } from './statements.ts';
import { unknownTo } from './unknown.ts';
import type { AdversaryVerdict } from './verdict.ts';
import { callerClasses } from './workload-classes.ts';

/** What is to be proved in place of the default statements. */
export interface Stated {
  readonly statements: readonly Statement[];
  /** Configurations under which every call has to end as it does here, with the names that verdicts call them. */
  readonly equivalentTo: readonly { readonly name: string; readonly files: SimulatedFiles }[];
}

export interface VerifyOptions {
  readonly adversary: 'captured' | 'bypassing' | 'both';
  /** By default: no workload reaches a host outside the mesh but through an egress gateway, and none leaves past its sidecar. */
  readonly stated?: Stated;
  /** The cluster's own addresses, as CIDR. By default the private ranges. */
  readonly clusterRanges?: readonly string[];
  /** Cells to judge before the rest counts as undecided. */
  readonly maxCells: number;
  /** Told how many cells were judged so far. */
  readonly progress?: (cells: number) => void;
}

/** One verdict a statement. Statements of the user's own are about captured applications. */
export function verifyMesh(
  files: SimulatedFiles,
  { adversary, stated, clusterRanges = CLUSTER_RANGES, maxCells, progress }: VerifyOptions,
): AdversaryVerdict[] {
  const verdicts: AdversaryVerdict[] = [];
  if (adversary !== 'bypassing') {
    const { statements, equivalentTo }: Stated = stated ?? { statements: [onlyThroughGateways(gatewaysOf(files))], equivalentTo: [] };
    verdicts.push(...verifyFiles(files, statements, maxCells, clusterRanges, progress));
    for (const { name, files: other } of equivalentTo) verdicts.push(equivalence(files, other, name));
  }
  if (adversary !== 'captured' && !stated) verdicts.push(bypassing(files, clusterRanges));
  return verdicts;
}

/** Judges statements over every call that the files' sidecars take. */
export function verifyFiles(
  files: SimulatedFiles,
  statements: readonly Statement[],
  maxCells: number,
  clusterRanges: readonly string[] = CLUSTER_RANGES,
  progress?: VerifyOptions['progress'],
): AdversaryVerdict[] {
  const { mesh, simulated } = files;
  const classes = callerClasses(mesh, callersOf(files)).map((members) => {
    const workloads = members.map(({ namespace, name }) => `${namespace}/${name}`);
    return { proxy: files.proxyOf(members[0]!), workloads };
  });
  const inside = insideAddresses(files, clusterRanges);
  const input = {
    mesh: simulated,
    classes,
    statements,
    isInside: (ip: string) => inside.has(ip),
    maxCells,
    unknown: unknownTo(files),
    progress,
  };
  return verify(input).map((verdict) => ({
    ...verdict,
    counterexamples: verdict.counterexamples.map((example) => ({ ...example, trace: locatedTrace(example.trace, mesh.snapshot) })),
    adversary: 'captured',
    openings: [],
  }));
}

/** A workload that does not use its sidecar is held by NetworkPolicies alone. */
function bypassing({ mesh, proxies, bare }: SimulatedFiles, clusterRanges: readonly string[]): AdversaryVerdict {
  const policies = mesh.snapshot.list('NetworkPolicy');
  const open = new Map<string, string[]>();
  const workloads = [...proxies.filter(({ type }) => type === 'sidecar'), ...bare.map(({ identity }) => identity)];
  for (const { namespace, name, labels } of workloads) {
    const way = openEgress(policies, { namespace, labels }, clusterRanges);
    if (!way || isInsideCluster(way.ip, clusterRanges)) continue;
    const why = way.policy
      ? `NetworkPolicy ${way.policy.metadata.namespace}/${way.policy.metadata.name} allows it`
      : 'no NetworkPolicy restricts its egress';
    const how = `connects to ${way.ip}${way.port ? `:${way.port}` : ', any port,'} past its sidecar: ${why}`;
    open.set(how, [...(open.get(how) ?? []), `${namespace}/${name}`]);
  }
  const openings = [...open].map(([how, names]) => ({ workloads: names, how }));
  return {
    adversary: 'bypassing',
    statement: 'no workload that goes round its sidecar leaves the cluster',
    result: openings.length > 0 ? 'refuted' : 'proved',
    counterexamples: [],
    undecided: [],
    notes: [],
    cells: workloads.length,
    openings,
  };
}
