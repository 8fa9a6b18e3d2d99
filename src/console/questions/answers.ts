/** Answers of `prove/` in the shapes of the API. */
import { stringify } from 'yaml';
import { analysisErrors } from '../../inputs/analysis-errors.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { isInFile } from '../../lib/finding.ts';
import { originText, type PlacedOrigin } from '../../lib/origin.ts';
import { groupedCounterexamples } from '../../prove/counterexample-groups.ts';
import { describeCall } from '../../prove/describe-call.ts';
import { type Comparison, compare } from '../../prove/diff.ts';
import { causeText, groupedChanges } from '../../prove/diff-groups.ts';
import type { DumpedMesh } from '../../prove/dumped.ts';
import { type Explanation, explain, explainDump } from '../../prove/explain.ts';
import { policiesFor } from '../../prove/netpol.ts';
import type { SimulatedFiles } from '../../prove/simulated.ts';
import type { AdversaryVerdict } from '../../prove/verdict.ts';
import { verifyMesh } from '../../prove/verify.ts';
import { type Call, type CallTarget, parseTarget } from '../../simulate/call.ts';
import { tlsText } from '../../simulate/security.ts';
import type { Outcome, Sent, Trace } from '../../simulate/trace.ts';
import type { Difference, Explained, Origin, Verdict, Verification } from '../model.ts';
import { PASTED } from './applied.ts';
import type { ExplainQuestion } from './question.ts';

/** Cells and groups beyond these are counted, or undecided: an answer has an end. */
const MOST_CELLS = 1_000_000;
const MOST_GROUPS = 200;

export function explained(files: SimulatedFiles, question: ExplainQuestion): Explained {
  const { from, to, now } = question;
  return explanationView(explain(files, targetOf(question), { from, to, now }, analysisErrors(now)));
}

export function explainedDump(mesh: DumpedMesh, question: ExplainQuestion): Explained {
  const { from, to, now } = question;
  return explanationView(explainDump(mesh, targetOf(question), { from, to, now }));
}

function targetOf({ url, method, headers }: ExplainQuestion): CallTarget {
  try {
    return parseTarget(url, { method, headers });
  } catch (error) {
    throw new SallyportError('usage', messageOf(error));
  }
}

function explanationView({ from, destination, resolved, trace, copies, advice, ending }: Explanation): Explained {
  return {
    from,
    destination,
    resolved,
    hops: hopsOf(trace),
    outcome: ending ? 'closed' : trace.outcome.kind,
    text: ending ? `Fails: the application sees ${ending.status ?? 'its connection fail'}: ${ending.because}` : outcomeText(trace.outcome),
    copies: copies.map((copy) => `${copy.hops.map(({ proxy }) => proxy).join(' > ')}: ${outcomeText(copy.outcome)}`),
    nearMisses: advice?.nearMisses ?? [],
    whyNot: advice?.whyNot ?? [],
    ...(advice?.allow !== undefined && { allow: advice.allow }),
  };
}

function hopsOf({ hops }: Trace): Explained['hops'] {
  return hops.map(({ proxy, flag, cluster, steps }) => ({
    proxy,
    flag,
    cluster,
    steps: steps.map(({ kind, name, text, origins }) => ({ kind, name, text, origins: origins.map(originView) })),
  }));
}

function originView({ kind, namespace, name, file, line }: PlacedOrigin): Origin {
  return { kind, namespace, name, ...(file !== undefined && { file }), ...(line !== undefined && { line }) };
}

function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'upstream': {
      const { host, endpoint } = outcome;
      const address = endpoint && `${endpoint.ip}:${endpoint.port}`;
      return `Reaches ${[host, address].filter(Boolean).join(' at ')}, as ${protocolText(outcome)}`;
    }
    case 'reply':
      return `A proxy answers ${outcome.status}${outcome.location ? `, location ${outcome.location}` : ''} (${outcome.details})`;
    case 'closed':
      return `Closed: the application sees its connection accepted and closed (${outcome.details})`;
    case 'undecided':
      return `Undecided: ${outcome.details}`;
  }
}

function protocolText({ originates, payload: { tls, http } }: Sent): string {
  if (originates) return `TLS, ${tlsText(originates)}`;
  if (tls) return `TLS, SNI ${tls.serverName || 'none'}`;
  return http ? `HTTP, Host ${http.authority}` : 'TCP';
}

export function verified(files: SimulatedFiles, progress: (cells: number) => void): Verification {
  const verdicts = verifyMesh(files, { adversary: 'both', maxCells: MOST_CELLS, progress });
  const closable = verdicts.some(({ openings }) => openings.some((opening) => opening.closable));
  return {
    verdicts: verdicts.map(verdictView),
    policies: closable
      ? policiesFor(files)
          .policies.map((policy) => stringify(policy))
          .join('---\n')
      : '',
  };
}

function verdictView({ adversary, statement, result, cells, counterexamples, openings, undecided, notes }: AdversaryVerdict): Verdict {
  return {
    adversary,
    statement,
    result,
    cells,
    counterexamples: groupedCounterexamples(counterexamples)
      .slice(0, MOST_GROUPS)
      .map(({ workloads, destinations, way, origins, example, count }) => ({
        workloads,
        destinations,
        way,
        origins: origins.map(originView),
        example: describeCall(example),
        call: { from: workloads[0] ?? '', ...urlOf(example) },
        count,
      })),
    openings: openings.map(({ workloads, how, closable }) => ({ workloads, how, closable })),
    undecided,
    notes,
  };
}

/** A call as `explain` takes it. */
function urlOf({
  destination: { ip, port },
  payload: { tls, http },
}: Call): Verdict['counterexamples'][number]['call'] extends infer C ? Omit<C, 'from'> : never {
  const bracketed = ip.includes(':') ? `[${ip}]` : ip;
  if (http) {
    const host = http.authority.replace(/:\d+$/, '') || bracketed;
    return { url: `${tls ? 'https' : 'http'}://${host}:${port}${http.path}`, method: http.method, to: ip };
  }
  if (tls) return { url: `tls://${tls.serverName || bracketed}:${port}`, method: '', to: ip };
  return { url: `tcp://${bracketed}:${port}`, method: '', to: ip };
}

export interface NamedFiles {
  readonly name: string;
  readonly files: SimulatedFiles;
}

export interface ComparedOptions {
  /** Told how many calls were compared so far. */
  readonly progress: (calls: number) => void;
  /** Only of workloads there; undefined: all. */
  readonly namespaces?: readonly string[] | undefined;
}

export function compared(before: NamedFiles, after: NamedFiles, { progress, namespaces }: ComparedOptions): Difference {
  const isSeen = (namespace: string) => namespaces === undefined || namespaces.includes(namespace);
  const comparison: Comparison = compare(before.files, after.files, { progress, among: ({ namespace }) => isSeen(namespace) });
  return {
    before: before.name,
    after: after.name,
    groups: groupedChanges(comparison)
      .slice(0, MOST_GROUPS)
      .map(({ causes, rows }) => ({
        causes: causes.map(causeText),
        rows: rows.map(({ example, ...row }) => ({ ...row, example: describeCall(example) })),
      })),
    undecided: comparison.undecided,
    added: comparison.added,
    removed: comparison.removed,
    invalid: [before, after].flatMap((side) => invalidIn(side, isSeen)),
  };
}

/** What is not valid is not in force, and an answer leaves it out. */
function invalidIn({ name, files }: NamedFiles, isSeen: (namespace: string) => boolean): string[] {
  return files.mesh.snapshot.findings
    .filter(({ level, origin, position }) => level === 'Error' && (isSeen(origin.namespace) || position?.file === PASTED))
    .slice(0, MOST_GROUPS)
    .map(({ origin, message, position }) => {
      const place = position && isInFile(position) ? ` (${position.file}:${position.line})` : '';
      return `${name}: ${originText(origin)}${place}: ${message}`;
    });
}
