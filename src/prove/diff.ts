/** `diff`: which calls change their outcome between two configurations. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { type CallDiff, type ComparedWorkload, diffCalls } from '../simulate/diff.ts';
import { callersOf } from './callers.ts';
import { located } from './origins.ts';
import type { SimulatedFiles } from './simulated.ts';
import { callerClasses } from './workload-classes.ts';

export interface Comparison extends CallDiff {
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
}

/** Compares the calls of workloads that both sides have. */
export function compare(
  before: SimulatedFiles,
  after: SimulatedFiles,
  { strict = false, atGateways = strict, among = () => true }: CompareOptions = {},
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
  const { changes, undecided, cells } = diffCalls({ mesh: before.simulated }, { mesh: after.simulated }, pairs, {
    gateways: entries,
    exact: strict,
    allocated: new Set([before, after].flatMap(({ mesh }) => mesh.registry.services.flatMap(({ autoAddresses }) => autoAddresses))),
  });
  return {
    changes: changes.map((change) => ({
      ...change,
      decidedBy: change.decidedBy.map((origin) => located(origin, after.mesh.snapshot)),
    })),
    undecided,
    cells,
    added: [...young].filter((name) => !known.has(name)),
    removed: [...known].filter((name) => !young.has(name)),
  };
}
