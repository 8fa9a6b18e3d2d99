/** Statements about all calls of a mesh, proved cell by cell or refuted by a call. Pure. */
import type { Call, Endpoint } from './call.ts';
import type { SimulatedMesh } from './explain.ts';
import { explore } from './explore.ts';
import type { SimulatedProxy } from './proxy.ts';
import type { Trace } from './trace.ts';

/** A set of workloads whose proxies have the same configuration: what holds for one holds for all. */
export interface WorkloadClass {
  readonly proxy: SimulatedProxy;
  /** `namespace/name` each. */
  readonly workloads: readonly string[];
}

/** Where a call that got through ended. */
export interface Arrival {
  /** The name that the last proxy looks up; empty if it has an address. */
  readonly host: string;
  readonly endpoint: Endpoint | undefined;
  /** The last proxy on the way; empty if there is none. */
  readonly through: string;
  readonly trace: Trace;
}

export interface Statement {
  readonly text: string;
  /** The names that the statement mentions, in lower case. Calls to them are judged even if no part of the configuration tells them apart. */
  readonly hosts?: readonly string[];
  /** The workloads that it names, as `namespace/name`. */
  readonly workloads?: readonly string[];
  /** Whether a call that arrives there is one that the statement speaks of; without it, every call is. */
  readonly concerns?: (arrival: Arrival) => boolean;
  /** The namespace whose workloads the statement is about, if it is about one. */
  readonly namespace?: string;
  /** Whether the statement holds whatever becomes of a call that simulation could not decide. The trace's last hop is where simulation gave up. */
  readonly allowsAll?: (trace: Trace) => boolean;
  /** Whether the statement allows a call of these workloads to arrive there, outside the mesh. */
  allows(arrival: Arrival, workloads: readonly string[]): boolean;
}

export interface Counterexample {
  readonly workloads: readonly string[];
  readonly call: Call;
  readonly trace: Trace;
}

export interface Verdict {
  readonly statement: string;
  /** `undecided` if there is no counterexample, but some cells could not be judged. */
  readonly result: 'proved' | 'refuted' | 'undecided';
  readonly counterexamples: readonly Counterexample[];
  readonly undecided: readonly string[];
  /** What does not change the result, and whoever reads it should know: that the statement speaks of nothing that there is. */
  readonly notes: readonly string[];
  /** Cells that were judged. */
  readonly cells: number;
}

export interface VerifyInput {
  readonly mesh: SimulatedMesh;
  readonly classes: readonly WorkloadClass[];
  readonly statements: readonly Statement[];
  /** Whether an address is a workload's or a Service's of the mesh. */
  isInside(ip: string): boolean;
  /** Cells beyond this number are reported as undecided. */
  readonly maxCells: number;
  /** What simulation does not know about the mesh, a sentence each. As long as there is any, nothing is proved. */
  readonly unknown?: readonly string[];
  /** Told how many cells were judged so far. */
  readonly progress?: ((cells: number) => void) | undefined;
}

/** Judges every statement over the cells of every class. */
export function verify({ mesh, classes, statements, isInside, maxCells, unknown = [], progress }: VerifyInput): Verdict[] {
  const found = statements.map(() => ({
    counterexamples: [] as Counterexample[],
    seen: new Set<string>(),
    open: new Set<string>(),
    met: false,
  }));
  const undecided = new Set<string>(unknown);
  let judged = 0;
  const hosts = [...new Set(statements.flatMap((statement) => statement.hosts ?? []))];
  let isFull = false;
  for (const { proxy, workloads } of classes) {
    if (isFull) break;
    const { calls, undecided: open } = explore(mesh, proxy, { ip: proxy.addresses[0] ?? '192.0.2.1', port: 0 }, { hosts });
    for (const { call, traces } of calls) {
      if (judged === maxCells) {
        undecided.add(`more than ${maxCells} cells: the rest was not looked at`);
        isFull = true;
        break;
      }
      judged++;
      progress?.(judged);
      for (const trace of traces) {
        const arrival = arrivalOf(trace);
        if (trace.outcome.kind === 'undecided') {
          for (const [i, statement] of statements.entries())
            if (!statement.allowsAll?.(trace)) found[i]!.open.add(`${proxy.name}: ${trace.outcome.details}`);
        }
        if (!arrival || (arrival.endpoint && isInside(arrival.endpoint.ip))) continue;
        for (const [i, statement] of statements.entries()) {
          if (statement.concerns?.(arrival) ?? true) found[i]!.met = true;
          if (statement.allows(arrival, workloads)) continue;
          const key = `${proxy.name} ${arrival.host} ${call.destination.port} ${arrival.through}`;
          if (found[i]!.seen.has(key)) continue;
          found[i]!.seen.add(key);
          found[i]!.counterexamples.push({ workloads, call, trace });
        }
      }
    }
    for (const sentence of open) undecided.add(`${proxy.name}: ${sentence}`);
  }
  const names = new Set(classes.flatMap(({ workloads }) => workloads));
  return statements.map(({ text, namespace, hosts: about = [], workloads = [] }, i) => {
    const { counterexamples, open: own, met } = found[i]!;
    const isThere = namespace === undefined || classes.some(({ workloads }) => workloads.some((name) => name.startsWith(`${namespace}/`)));
    const known = [...new Set([...own, ...undecided])];
    const open = isThere ? known : [...known, `no workload of namespace ${namespace} is known: the statement is about nothing`];
    const result = counterexamples.length > 0 ? 'refuted' : open.length > 0 ? 'undecided' : 'proved';
    const notes = [
      ...(about.length > 0 && !met ? [`no call reaches ${about.join(', ')}, whoever calls`] : []),
      ...workloads.filter((name) => !names.has(name)).map((name) => `no workload ${name} is known`),
    ];
    return { statement: text, result, counterexamples, undecided: open, notes, cells: judged };
  });
}

function arrivalOf(trace: Trace): Arrival | undefined {
  if (trace.outcome.kind !== 'upstream') return undefined;
  const { host, endpoint } = trace.outcome;
  return { host, endpoint, through: trace.hops.at(-1)?.proxy ?? '', trace };
}
