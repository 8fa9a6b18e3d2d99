/** `diff`: which calls change their outcome between two configurations. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { sameContent } from '../lib/same.ts';
import { type CallDiff, type Change, type ComparedWorkload, diffCalls } from '../simulate/diff.ts';
import { callersOf } from './callers.ts';
import { type Cause, causesBetween } from './causes.ts';
import { located } from './origins.ts';
import type { SimulatedFiles } from './simulated.ts';
import { unsimulatedIn } from './unknown.ts';
import { callerClasses } from './workload-classes.ts';

/** A change of calls, and what of the configuration it comes from. */
export interface ComparedChange extends Omit<Change, 'origins'> {
  readonly causes: readonly Cause[];
}

export interface Comparison extends Omit<CallDiff, 'changes'> {
  readonly changes: readonly ComparedChange[];
  /** Workloads that are on one side only, whose calls are not compared. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export interface CompareOptions {
  /** Whether to compare clients that come to a gateway directly, and what servers see of a call, too. */
  readonly strict?: boolean;
  /** Whether to compare the clients at gateways alone. */
  readonly atGateways?: boolean;
  /** The workloads to compare. By default all. */
  readonly among?: (workload: ProxyIdentity) => boolean;
  /** Told how many calls were compared so far. */
  readonly progress?: (calls: number) => void;
}

/** Compares the calls of workloads that both sides have. */
export function compare(
  before: SimulatedFiles,
  after: SimulatedFiles,
  { strict = false, atGateways = strict, among = () => true, progress }: CompareOptions = {},
): Comparison {
  const nameOf = ({ namespace, name }: { namespace: string; name: string }) => `${namespace}/${name}`;
  const sidecarsOf = ({ proxies }: SimulatedFiles) => proxies.filter(({ type }) => type === 'sidecar');
  const known = new Set(sidecarsOf(before).map(nameOf));
  const young = new Set(sidecarsOf(after).map(nameOf));
  const sidecars = sidecarsOf(after).filter((proxy) => known.has(nameOf(proxy)));
  // Workloads that the files do not name are the same on both sides.
  const unnamed = [...callersOf(after), ...callersOf(before)].filter(
    (identity) => !known.has(nameOf(identity)) && !young.has(nameOf(identity)),
  );
  const callers = [...sidecars, ...new Map(unnamed.map((identity) => [nameOf(identity), identity])).values()].filter(among);
  const at = (files: SimulatedFiles, identity: ProxyIdentity) =>
    young.has(nameOf(identity)) ? files.proxy(nameOf(identity)) : files.proxyOf(identity);
  // Members of a pair are in one class on both sides.
  const pairs: ComparedWorkload[] = callerClasses(after.mesh, callers)
    .flatMap((members) => callerClasses(before.mesh, members))
    .map((members) => ({ workloads: members.map(nameOf), before: at(before, members[0]!), after: at(after, members[0]!) }));
  const routersOf = ({ proxies }: SimulatedFiles) => proxies.filter(({ type }) => type === 'router').map(nameOf);
  const routers = atGateways ? routersOf(before).filter((name) => routersOf(after).includes(name)) : [];
  const entries = routers.map((name) => ({ workloads: [name], before: before.proxy(name), after: after.proxy(name) }));
  const { changes, undecided, cells, ports } = diffCalls({ mesh: before.simulated }, { mesh: after.simulated }, pairs, {
    gateways: entries,
    exact: strict,
    ...(progress && { progress }),
    allocated: new Set([before, after].flatMap(({ mesh }) => mesh.registry.services.flatMap(({ autoAddresses }) => autoAddresses))),
  });
  const causesOf = causesBetween(before, after);
  return {
    changes: changes.map(({ origins, ...change }) => ({
      ...change,
      causes: causesOf(origins),
      decidedBy: change.decidedBy.map((origin) => located(origin, after.mesh.snapshot)),
    })),
    undecided: [...undecided, ...unsimulatedChanges(before, after)],
    cells,
    ports,
    added: [...young].filter((name) => !known.has(name)),
    removed: [...known].filter((name) => !young.has(name)),
  };
}

/** What is not simulated and not the same on both sides. What is the same may be taken to do the same. */
function unsimulatedChanges(before: SimulatedFiles, after: SimulatedFiles): string[] {
  const [old, young] = [unsimulatedIn(before), unsimulatedIn(after)];
  const once = [...young.filter((one) => !old.includes(one)), ...old.filter((one) => !young.includes(one))];
  return [...new Set(once), ...changedPatches(before, after)];
}

function changedPatches({ mesh: { snapshot: old } }: SimulatedFiles, { mesh: { snapshot: young } }: SimulatedFiles): string[] {
  return young.list('EnvoyFilter').flatMap(({ metadata: { namespace, name }, spec }) => {
    const known = old.get('EnvoyFilter', namespace, name);
    return known && !sameContent(known.spec, spec) ? [`EnvoyFilter ${namespace}/${name} is not what it was, and is not simulated`] : [];
  });
}
