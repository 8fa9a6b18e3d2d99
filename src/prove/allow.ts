/**
 * What allows a refused call: the first candidate that was applied in memory, lets the call through, by the egress gateway where one is in use, and
 * opens nothing but the call's host and port. What does not survive this is not proposed.
 */
import { stringify } from 'yaml';
import type { Kind, ResourceOf } from '../api/index.ts';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import { type Snapshot, withObjects } from '../config/snapshot.ts';
import { declaredHost } from '../learn/hosts.ts';
import { originText } from '../lib/origin.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { CallTarget } from '../simulate/call.ts';
import { waysOf } from '../simulate/explore.ts';
import type { Outcome, Trace } from '../simulate/trace.ts';
import { callersOf } from './callers.ts';
import { type Candidate, calledHost, candidatesFor, egressInUse, kindOf, type PortAdded, portText } from './candidates.ts';
import { type ComparedChange, compare } from './diff.ts';
import { gatewaysOf } from './inside.ts';
import { type SimulatedFiles, simulateFiles } from './simulated.ts';
import { type Caller, type Way, wayOf } from './way.ts';

/** What is wrong with a configuration, a line each: the same line for what is wrong in the same way. */
export type ErrorsOf = (files: SimulatedFiles) => readonly string[];

export interface Allowance {
  readonly allow: string | undefined;
  /** Empty where something allows the call. */
  readonly whyNot: readonly string[];
}

/** `way` is that of the refused call, which a sidecar makes. */
export function allowing(files: SimulatedFiles, way: Way, target: CallTarget, caller: Caller, errorsOf: ErrorsOf): Allowance {
  const namespace = way.from.slice(0, way.from.indexOf('/'));
  const why: string[] = [];
  for (const candidate of candidatesFor(files, target, { namespace, to: caller.to })) {
    const problem = problemWith(files, candidate, { way, target, caller, errorsOf });
    if (problem === undefined) return { allow: textOf(candidate, files), whyNot: [] };
    why.push(problem);
  }
  return { allow: undefined, whyNot: [`Nothing that could be added allows this call alone: ${why[0]}.`, ...decisionOf(way.trace)] };
}

interface Asked {
  readonly way: Way;
  readonly target: CallTarget;
  readonly caller: Caller;
  readonly errorsOf: ErrorsOf;
}

/** Why a candidate is no answer, as a clause; undefined where it is one. */
function problemWith(files: SimulatedFiles, candidate: Candidate, { way, target, caller, errorsOf }: Asked): string | undefined {
  const added = snapshotFromText(yamlOf(candidate.added), { file: 'the proposal' });
  const [error] = added.findings.filter(({ level }) => level === 'Error');
  if (error) return `the proposal would not be valid (${error.message})`;
  const { snapshot, config } = files.mesh;
  const base = candidate.port ? withPort(snapshot, candidate.port) : snapshot;
  const after = simulateFiles(new Layered(base, added), config, undefined, { running: files.running });
  const then = wayOf(after, target, { ...caller, from: way.from });
  const { outcome } = then.trace;
  const what = `with ${namesOf(candidate)} it would `;
  if (outcome.kind !== 'upstream') return `${what}${refusalText(outcome)}`;
  if (!isFor(then.trace, target, caller.to))
    return `${what}reach ${outcome.host || outcome.endpoint?.ip}:${outcome.port} in place of what is called`;
  if (then.ending) return `${what}fail: ${then.ending.because}`;
  const opens = openingOf(files, after, candidate, target, caller.to);
  if (opens !== undefined) return `${what}be allowed, but ${opens}`;
  const known = new Set(errorsOf(files));
  const wrong = errorsOf(after).find((line) => !known.has(line));
  if (wrong !== undefined) return `${what}be allowed, but analyze would find an error: ${wrong}`;
  return undefined;
}

/**
 * What else a candidate opens, or breaks, as a clause. Of workloads that do not see it calls can change at gateways alone, so these are compared in
 * their place, as any client may use them.
 */
function openingOf(
  files: SimulatedFiles,
  after: SimulatedFiles,
  { seenIn }: Candidate,
  target: CallTarget,
  to: string | undefined,
): string | undefined {
  const options = { atGateways: true, among: ({ namespace }: ProxyIdentity) => !seenIn || seenIn.has(namespace) };
  const { changes, undecided } = compare(files, after, options);
  const isGateway = egressInUse(files) ? gatewaysOf(after) : undefined;
  const callers = callersOf(after);
  const host = calledHost(target);
  const isWanted = ({ example, workloads, reached }: ComparedChange) => {
    if (!reached.after) return !reached.before;
    // The name that a proposal gives to an address is its own: nobody called it before.
    if (reached.before && (declaredHost(host) === host || calledHost({ ...target, ...example, host }) !== declaredHost(host))) return false;
    const caller = callers.find(({ namespace, name }) => workloads.includes(`${namespace}/${name}`));
    const gateway = after.proxies.find(({ namespace, name }) => workloads.some((client) => client.endsWith(` at ${namespace}/${name}`)));
    const call = gateway ? { ...example, destination: { ...example.destination, ip: gateway.addresses[0] ?? '' } } : example;
    return [...waysOf(after.simulated, caller && after.proxyOf(caller), call, { copies: true })].every(
      (trace) => trace.outcome.kind !== 'upstream' || (isFor(trace, target, to) && (!isGateway || isGateway(trace.hops.at(-1)!.proxy))),
    );
  };
  const other = changes.find((change) => !isWanted(change));
  if (other) return `${other.workloads.join(', ')} calling ${other.destination} ${other.after} where it ${other.before}`;
  if (undecided.length === 0) return undefined;
  const known = new Set(compare(files, files, options).undecided);
  const open = undecided.find((sentence) => !known.has(sentence));
  return open === undefined ? undefined : `what else it opens is undecided (${open})`;
}

/** Whether a call ends at the host and port that were called. */
function isFor({ outcome, hops }: Trace, target: CallTarget, to: string | undefined): boolean {
  if (outcome.kind !== 'upstream') return false;
  const host = calledHost(target);
  const [, port, , service = ''] = hops.at(-1)?.cluster.split('|') ?? [];
  const names = [service, outcome.host, outcome.endpoint?.ip];
  const isHost = [host, declaredHost(host), to].some((name) => name !== undefined && names.includes(name));
  return isHost && Number(port || outcome.port) === target.port;
}

/** What decided, and what is to be changed there, a sentence each. */
function decisionOf({ hops, outcome }: Trace): string[] {
  const last = hops.at(-1);
  const step = last?.steps.findLast(({ origins }) => origins.length > 0);
  if (!last || !step) return [];
  const details = outcome.kind === 'upstream' ? '' : outcome.kind === 'reply' ? `${outcome.status}, ${outcome.details}` : outcome.details;
  return [
    `What decides is ${step.origins.map((origin) => originText(origin)).join(' with ')}, at ${last.proxy}: ${step.name ? `${step.name} ` : ''}${step.text}${details ? ` (${details})` : ''}. Change it there.`,
  ];
}

function refusalText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'reply':
      return `still be answered ${outcome.status} (${outcome.details})`;
    case 'closed':
      return `still be closed (${outcome.details})`;
    case 'undecided':
      return `be undecided (${outcome.details})`;
    case 'upstream':
      return 'be allowed';
  }
}

function namesOf({ added, port }: Candidate): string {
  const kinds = added.map(kindOf).map((kind) => (/^[AEIOU]/.test(kind) ? `an ${kind}` : `a ${kind}`));
  const parts = [
    ...(port ? [`port ${port.port.number} in ServiceEntry ${port.entry.metadata.namespace}/${port.entry.metadata.name}`] : []),
    ...kinds,
  ];
  return `${parts.slice(0, -1).join(', ')}${parts.length > 1 ? ' and ' : ''}${parts.at(-1)}${kinds.length > 0 ? ' of its own' : ''}`;
}

function yamlOf(resources: readonly object[]): string {
  return resources.map((resource) => stringify(resource, { lineWidth: 140 })).join('---\n');
}

function textOf({ added, port }: Candidate, files: SimulatedFiles): string {
  return `${port ? portText(port, files) : ''}${yamlOf(added)}`;
}

/** The snapshot with one more port in one ServiceEntry. */
function withPort(base: Snapshot, { entry, port }: PortAdded): Snapshot {
  const changed = { ...entry, spec: { ...entry.spec, ports: [...entry.spec.ports, port] } } as ResourceOf<'ServiceEntry'>;
  const swap = <R extends ResourceOf<Kind>>(resource: R): R =>
    resource.kind === 'ServiceEntry' && resource.metadata === entry.metadata ? (changed as unknown as R) : resource;
  return withObjects(base, {
    list: (kind) => base.list(kind).map((resource) => swap(resource as ResourceOf<Kind>)) as never,
    get: (kind, namespace, name) => {
      const found = base.get(kind, namespace, name);
      return found && (swap(found as ResourceOf<Kind>) as never);
    },
    all: () => base.all().map(swap),
  });
}
