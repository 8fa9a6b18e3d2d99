/** What a change of the configuration would let out beyond what is declared: for whoever may refuse it. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { isForTheWorse } from '../simulate/diff.ts';
import { possibleCallers } from './callers.ts';
import { type ComparedChange, comparisonSteps } from './diff.ts';
import { groupedChanges, rowText } from './diff-groups.ts';
import type { SimulatedFiles } from './simulated.ts';
import { unreadIn } from './unknown.ts';

export interface Widening {
  /** Calls that reach more than before, or another server, or are protected less: a sentence each, the gravest first. */
  readonly widens: readonly string[];
  /** What is not known, a sentence each: it may widen, too. */
  readonly undecided: readonly string[];
}

/**
 * In steps, for whoever has something else to do in between: compares the calls of the workloads of some namespaces, of those that there are and of those that there could be.
 * @param namespaces whose workloads are meant
 */
export function* wideningSteps(before: SimulatedFiles, after: SimulatedFiles, namespaces: ReadonlySet<string>): Generator<void, Widening> {
  const isMeant = ({ namespace }: ProxyIdentity) => namespaces.has(namespace);
  const could = (files: SimulatedFiles) => {
    const { possible, accounts } = possibleCallers(files, namespaces);
    return [...possible, ...accounts];
  };
  const beside = [...could(after), ...could(before)];
  const comparison = yield* comparisonSteps(before, after, { among: isMeant, beside, quick: true });
  const changes = comparison.changes.filter(isWider);
  const widens = groupedChanges({ ...comparison, changes }).flatMap(({ rows }) => rows.map(rowText));
  // What is not read on either side is in force on neither.
  const unread = new Set(unreadIn(before));
  return { widens, undecided: [...new Set(comparison.undecided)].filter((sentence) => !unread.has(sentence)) };
}

function isWider({ kind, elsewhere }: ComparedChange): boolean {
  return isForTheWorse(kind) || elsewhere;
}
