/** Changes of calls by what they come from: one changed line of the configuration, and beneath it who reaches what otherwise. Pure. */
import { few } from '../lib/few.ts';
import { formatPosition } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import type { Call } from '../simulate/call.ts';
import { type ChangeKind, GRAVITY } from '../simulate/diff.ts';
import type { Cause } from './causes.ts';
import { aboutHost, destinationText, hostText } from './destinations.ts';
import type { ComparedChange, Comparison } from './diff.ts';

export interface ChangeGroup {
  /** What changed in the configuration; where it can't be told which of several it was, all of them. */
  readonly causes: readonly Cause[];
  /** The gravest first. */
  readonly rows: readonly ChangeRow[];
}

/** Calls that change alike. */
export interface ChangeRow {
  readonly kind: ChangeKind;
  readonly workloads: readonly string[];
  /** Hosts with their ports in words: `any other host, any port but 15001`, `*.example.com:443`. */
  readonly destinations: readonly string[];
  /** What is called is `the host` here and in `after`. */
  readonly before: readonly string[];
  readonly after: string;
  readonly example: Call;
}

export function groupedChanges({ changes, ports }: Comparison): ChangeGroup[] {
  const groups = Map.groupBy(changes, ({ causes }) => causes.map(causeText).join('\n'));
  return [...groups.values()]
    .map((members) => ({ causes: members[0]!.causes, rows: rowsOf(members, ports) }))
    .sort((a, b) => GRAVITY[a.rows[0]!.kind] - GRAVITY[b.rows[0]!.kind]);
}

/** `Kind namespace/name field: old -> new [file:line:column]`. */
export function causeText({ origin, text, position }: Cause): string {
  return `${originText(origin)} ${text}${position ? ` [${formatPosition(position)}]` : ''}`;
}

/** `WORKLOADS: a call to DESTINATIONS ends so; before, it ended so`. */
export function rowText({ workloads, destinations, before, after }: ChangeRow): string {
  return `${few(workloads)}: a call to ${few(destinations, '; ')} ${after}; before, it ${before.join(' or ')}`;
}

interface Draft {
  readonly change: ComparedChange;
  readonly workloads: readonly string[];
  readonly host: string;
  readonly ports: ReadonlySet<number>;
  readonly before: readonly string[];
  readonly after: string;
}

function rowsOf(changes: readonly ComparedChange[], called: readonly number[]): ChangeRow[] {
  let drafts: readonly Draft[] = changes.map((change) => ({
    change,
    workloads: change.workloads,
    host: hostText(change.example),
    ports: new Set([change.example.destination.port]),
    before: [aboutHost(change.before, change.example)],
    after: aboutHost(change.after, change.example),
  }));
  // First what several workloads share, then the ports of a host, then what was before.
  drafts = joined(drafts, ({ host, ports, before, after }) => [host, [...ports], before, after]);
  drafts = joined(drafts, ({ workloads, host, before, after }) => [workloads, host, before, after]);
  drafts = joined(drafts, ({ workloads, host, after }) => [workloads, host, after]);
  const rows = Map.groupBy(drafts, ({ change, workloads, ports, before, after }) =>
    JSON.stringify([change.kind, workloads, [...ports].sort(), before, after]),
  );
  return [...rows.values()]
    .map((members) => {
      const [{ change, workloads, before, after }] = members as [Draft];
      const destinations = members.map(({ host, ports }) => destinationText(host, ports, called));
      return { kind: change.kind, workloads, destinations, before, after, example: change.example };
    })
    .sort((a, b) => GRAVITY[a.kind] - GRAVITY[b.kind]);
}

/** Drafts of one kind that agree in `key` become one. */
function joined(drafts: readonly Draft[], key: (draft: Draft) => unknown): Draft[] {
  const groups = Map.groupBy(drafts, (draft) => JSON.stringify([draft.change.kind, key(draft)]));
  return [...groups.values()].map((members) => ({
    ...members[0]!,
    workloads: [...new Set(members.flatMap(({ workloads }) => workloads))],
    ports: new Set(members.flatMap(({ ports }) => [...ports])),
    before: [...new Set(members.flatMap(({ before }) => before))],
  }));
}
