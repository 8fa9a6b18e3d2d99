/** `verify`: statements about all calls, each proved, or refuted by a call that breaks it. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { type Statement, verify } from '../simulate/verify.ts';
import { bypassing, EXEMPT, exemption, waysPast } from './bypassing.ts';
import { callersOf } from './callers.ts';
import { allOfThem, nothingElse, policiesOf } from './egress-policies.ts';
import { equivalence } from './equivalence.ts';
import { CLUSTER_RANGES, gatewaysOf, insideAddresses } from './inside.ts';
import { locatedTrace } from './origins.ts';
import type { SimulatedFiles } from './simulated.ts';
import { onlyThroughGateways } from './statements.ts';
import { pastSidecars, unknownTo } from './unknown.ts';
import type { AdversaryVerdict } from './verdict.ts';
import { callerClasses } from './workload-classes.ts';

/** What is to be proved in place of the default statements. */
export interface Stated {
  readonly statements: readonly Statement[];
  /** Configurations under which every call has to end as it does here, with the names that verdicts call them. */
  readonly equivalentTo: readonly { readonly name: string; readonly files: SimulatedFiles }[];
  /** Whether EgressPolicies are held against what leaves; without statements they are, if there are any. */
  readonly egressPolicies?: boolean;
}

export interface VerifyOptions {
  readonly adversary: 'captured' | 'bypassing' | 'both';
  /** By default: no workload reaches a host outside the mesh but through an egress gateway, and none leaves past its sidecar. */
  readonly stated?: Stated;
  /** The cluster's own addresses, as CIDR. By default the private ranges. */
  readonly clusterRanges?: readonly string[];
  /** Namespaces of whose workloads without a sidecar nothing is proved. By default kube-system. */
  readonly exempt?: readonly string[];
  /** Cells to judge before the rest counts as undecided. */
  readonly maxCells: number;
  /** Told how many cells were judged so far. */
  readonly progress?: (cells: number) => void;
}

/** One verdict a statement. Statements of the user's own are about captured applications. */
export function verifyMesh(
  files: SimulatedFiles,
  { adversary, stated, clusterRanges = CLUSTER_RANGES, exempt = EXEMPT, maxCells, progress }: VerifyOptions,
): AdversaryVerdict[] {
  const verdicts: AdversaryVerdict[] = [];
  const wayOf = waysPast(files, clusterRanges);
  if (adversary !== 'bypassing') {
    const { statements, equivalentTo }: Stated = stated ?? { statements: [onlyThroughGateways(gatewaysOf(files))], equivalentTo: [] };
    // What NetworkPolicies keep in the cluster leaves it by gateways alone; what else it may call, and whom it may pass for, is not known.
    const isHeld = (workload: ProxyIdentity) => stated === undefined && wayOf(workload) === undefined;
    if (statements.length > 0) verdicts.push(...verifyFiles(files, statements, maxCells, { clusterRanges, exempt, isHeld, progress }));
    if (stated ? stated.egressPolicies : policiesOf(files).length > 0)
      verdicts.push(...verifyFiles(files, [nothingElse(files)], maxCells, { clusterRanges, exempt, progress }), {
        ...allOfThem(files),
        adversary: 'captured',
        openings: [],
      });
    for (const { name, files: other } of equivalentTo) verdicts.push(equivalence(files, other, name));
  }
  if (adversary !== 'captured' && !stated) verdicts.push(bypassing(files, exempt, wayOf));
  return verdicts;
}

interface VerifyFilesOptions extends Pick<VerifyOptions, 'clusterRanges' | 'exempt' | 'progress'> {
  /** Whether a statement holds for a workload whatever goes past its sidecar. By default for none. */
  readonly isHeld?: (workload: ProxyIdentity) => boolean;
}

/** Judges statements over every call that the files' sidecars take. */
export function verifyFiles(
  files: SimulatedFiles,
  statements: readonly Statement[],
  maxCells: number,
  { clusterRanges = CLUSTER_RANGES, exempt = EXEMPT, isHeld = () => false, progress }: VerifyFilesOptions = {},
): AdversaryVerdict[] {
  const { mesh, simulated } = files;
  const open = pastSidecars(files).filter(({ workload }) => !isHeld(workload));
  const left = open.flatMap(({ workload }) => (exempt.includes(workload.namespace) ? [workload] : []));
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
    unknown: unknownTo(
      files,
      open.filter(({ workload }) => !left.includes(workload)),
    ),
    progress,
  };
  return verify(input).map((verdict) => ({
    ...verdict,
    statement: `${verdict.statement}${exemption(left)}`,
    counterexamples: verdict.counterexamples.map((example) => ({ ...example, trace: locatedTrace(example.trace, mesh.snapshot) })),
    adversary: 'captured',
    openings: [],
  }));
}
