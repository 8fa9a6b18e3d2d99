/** `diff`: which calls change their outcome between two configurations. */
import type { AuthorizationPolicy, Kind } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { finished } from '../lib/pace.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { sameContent } from '../lib/same.ts';
import { type CallDiff, type Change, type ComparedWorkload, callDiffSteps } from '../simulate/diff.ts';
import { callersOf } from './callers.ts';
import { type Cause, causesBetween } from './causes.ts';
import { located } from './origins.ts';
import type { SimulatedFiles } from './simulated.ts';
import { unreadIn, unsimulatedIn } from './unknown.ts';
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
  /** Whether to compare clients that come to a gateway directly, too. */
  readonly atGateways?: boolean;
  /** The workloads to compare. By default all. */
  readonly among?: (workload: ProxyIdentity) => boolean;
  /** Workloads to compare beside those that the files have. */
  readonly beside?: readonly ProxyIdentity[];
  /** Told how many calls were compared so far. */
  readonly progress?: (calls: number) => void;
  /** Leaves out what is told to be the same on both sides without making the calls (see `simulate/alike.ts`). */
  readonly quick?: boolean;
}

/** Compares the calls of workloads that both sides have. */
export function compare(before: SimulatedFiles, after: SimulatedFiles, options: CompareOptions = {}): Comparison {
  return finished(comparisonSteps(before, after, options));
}

/** The same in steps, for whoever has something else to do in between. */
export function* comparisonSteps(
  before: SimulatedFiles,
  after: SimulatedFiles,
  { atGateways = false, among = () => true, beside = [], progress, quick = false }: CompareOptions = {},
): Generator<void, Comparison> {
  const nameOf = ({ namespace, name }: { namespace: string; name: string }) => `${namespace}/${name}`;
  const sidecarsOf = ({ proxies }: SimulatedFiles) => proxies.filter(({ type }) => type === 'sidecar');
  const known = new Set(sidecarsOf(before).map(nameOf));
  const young = new Set(sidecarsOf(after).map(nameOf));
  const sidecars = sidecarsOf(after).filter((proxy) => known.has(nameOf(proxy)));
  // Workloads that the files do not name are the same on both sides.
  const unnamed = [...callersOf(after), ...callersOf(before), ...beside].filter(
    (identity) => !known.has(nameOf(identity)) && !young.has(nameOf(identity)),
  );
  const callers = [...sidecars, ...new Map(unnamed.map((identity) => [nameOf(identity), identity])).values()].filter(among);
  const at = (files: SimulatedFiles, identity: ProxyIdentity) =>
    young.has(nameOf(identity)) ? files.proxy(nameOf(identity)) : files.proxyOf(identity);
  // Members of a pair are in one class on both sides, each as it is there.
  const old = new Map(sidecarsOf(before).map((identity) => [nameOf(identity), identity]));
  const pairs: ComparedWorkload[] = callerClasses(after.mesh, callers)
    .flatMap((members) =>
      callerClasses(
        before.mesh,
        members.map((member) => old.get(nameOf(member)) ?? member),
      ),
    )
    .map((members) => ({ workloads: members.map(nameOf), before: at(before, members[0]!), after: at(after, members[0]!) }));
  const routersOf = ({ proxies }: SimulatedFiles) => proxies.filter(({ type }) => type === 'router').map(nameOf);
  const routers = atGateways ? routersOf(before).filter((name) => routersOf(after).includes(name)) : [];
  const entries = routers.map((name) => ({ workloads: [name], before: before.proxy(name), after: after.proxy(name) }));
  const { changes, undecided, cells, ports } = yield* callDiffSteps({ mesh: before.simulated }, { mesh: after.simulated }, pairs, {
    gateways: entries,
    ...(progress && { progress }),
    quick: quick && (['Secret', 'ConfigMap'] as const).every((kind) => before.mesh.snapshot.list(kind) === after.mesh.snapshot.list(kind)),
    allocated: new Set([before, after].flatMap(({ mesh }) => mesh.registry.services.flatMap(({ autoAddresses }) => autoAddresses))),
  });
  const causesOf = causesBetween(before, after);
  return {
    changes: changes.map(({ origins, ...change }) => ({
      ...change,
      causes: causesOf(origins),
      decidedBy: change.decidedBy.map((origin) => located(origin, after.mesh.snapshot)),
    })),
    undecided: [...undecided, ...unreadIn(after), ...unsimulatedChanges(before, after)],
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
  return [...new Set(once), ...changedPolicies(before, after)];
}

/** Objects that decide by more than the calls that are compared differ in: whether something changes by them is not known. */
function changedPolicies({ mesh: { snapshot: old } }: SimulatedFiles, { mesh: { snapshot: young } }: SimulatedFiles): string[] {
  return Object.entries(BEYOND_CALLS).flatMap(([kind, { why, decides }]) => {
    const named = (snapshot: Snapshot) =>
      new Map(snapshot.list(kind as Kind).map((each) => [`${each.metadata.namespace}/${each.metadata.name}`, each]));
    const [before, after] = [named(old), named(young)];
    return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
      const [one, other] = [before.get(name), after.get(name)];
      if (one && other && sameContent(one.spec, other.spec) && sameContent(one.metadata.annotations, other.metadata.annotations)) return [];
      if (![one, other].some((each) => each && decides(each.spec))) return [];
      return [`${kind} ${name} is ${!one ? 'new' : !other ? 'gone' : 'not what it was'}, and ${why}`];
    });
  });
}

interface BeyondCalls {
  readonly why: string;
  /** Whether an object of the kind decides so. */
  decides(spec: unknown): boolean;
}

const always = () => true;
const BEYOND_CALLS: Readonly<Partial<Record<Kind, BeyondCalls>>> = {
  EnvoyFilter: { why: 'may change more than the calls that are compared show', decides: always },
  AuthorizationPolicy: {
    why: 'asks of paths, methods, hosts, fields, tokens or addresses, of which not all are tried',
    decides: (spec) => asksOfRequests(spec as AuthorizationPolicy),
  },
  RequestAuthentication: { why: 'asks for tokens, which calls are not tried with', decides: always },
  PeerAuthentication: { why: 'decides on clients without a sidecar, whose calls are not compared', decides: always },
  NetworkPolicy: { why: 'decides on what goes round sidecars, which is not compared: ask verify --adversary bypassing', decides: always },
};

function asksOfRequests({ action, rules }: AuthorizationPolicy): boolean {
  return (
    action === 'CUSTOM' ||
    rules.some(
      ({ from, to, when }) =>
        when.length > 0 ||
        to.some(({ operation }) => operation && OF_REQUESTS.some((field) => operation[field].length > 0)) ||
        from.some(({ source }) => source && OF_CLIENTS.some((field) => source[field].length > 0)),
    )
  );
}

const OF_REQUESTS = ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'] as const;
const OF_CLIENTS = ['requestPrincipals', 'notRequestPrincipals', 'ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const;
