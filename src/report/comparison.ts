/** What `diff` answers, as text and as findings. */
import type { Finding } from '../lib/finding.ts';
import { type Origin, originText } from '../lib/origin.ts';
import type { Cause } from '../prove/causes.ts';
import { describeCall } from '../prove/describe-call.ts';
import type { Comparison } from '../prove/diff.ts';
import { type ChangeGroup, causeText, groupedChanges, rowText } from '../prove/diff-groups.ts';
import type { ChangeKind } from '../simulate/diff.ts';
import type { Paint } from './paint.ts';
import { describeBy, type Review } from './review.ts';

const STYLE = { widens: 'red', weakens: 'red', differs: 'yellow', strengthens: 'green', narrows: 'green' } as const;

export function comparisonText(comparison: Comparison, paint: Paint): string {
  const { changes, undecided, added, removed } = comparison;
  const notes = [
    ...undecided.map((sentence) => `${paint('yellow', 'undecided')}: ${sentence}\n`),
    ...(added.length > 0 ? [`Not compared, since OLD does not have them: ${added.join(', ')}\n`] : []),
    ...(removed.length > 0 ? [`Not compared, since NEW does not have them: ${removed.join(', ')}\n`] : []),
  ].join('');
  if (changes.length === 0) return `${undecided.length > 0 ? '' : 'No call changes its outcome.\n'}${notes}`;
  return (
    groupedChanges(comparison)
      .map((group) => groupText(group, paint))
      .join('\n') + notes
  );
}

function groupText({ causes, rows }: ChangeGroup, paint: Paint): string {
  const head = causes.map((cause) => paint('bold', causeText(cause)));
  const unsure = causes.length > 1 && new Set(causes.map(({ origin }) => originText(origin))).size > 1 ? ['All or some of these:'] : [];
  const lines = rows.flatMap((row) => [
    `  ${paint(STYLE[row.kind], row.kind)}  ${rowText(row)}`,
    `      e.g. ${describeCall(row.example)}`,
  ]);
  return [...unsure, ...head, ...lines].map((line) => `${line}\n`).join('');
}

/** Without the place, which the finding has; but for what is gone, as that is not in the files that are reviewed. */
function nameOf(cause: Cause): string {
  return cause.gone ? causeText(cause) : `${originText(cause.origin)} ${cause.text}`;
}

const CODES = {
  widens: 'A workload reaches more than before, or the same with fewer proxies on the way.',
  weakens: 'A call is protected less on its way than before.',
  differs: 'A call ends otherwise than before, or is protected otherwise.',
  strengthens: 'A call is protected more on its way than before.',
  narrows: 'A workload reaches less than before.',
  undecided: 'What becomes of some calls is not known.',
};

/** The same as findings; those that fail the comparison have level Error. */
export function comparisonReview(comparison: Comparison, fails: (kind: ChangeKind) => boolean): Review {
  const nothing: Origin = { kind: '', namespace: '', name: 'diff' };
  const rows = groupedChanges(comparison).flatMap(({ causes, rows }) =>
    rows.map((row): Finding => {
      const [cause] = causes;
      const level = fails(row.kind) ? 'Error' : row.kind === 'differs' ? 'Warning' : 'Info';
      const message = `${causes.map(nameOf).join(', ')}: ${rowText(row)}. For example: ${describeCall(row.example)}`;
      return {
        code: row.kind,
        level,
        message,
        origin: cause?.origin ?? nothing,
        ...(cause?.position && !cause.gone && { position: cause.position }),
      };
    }),
  );
  const undecided = comparison.undecided.map((message): Finding => ({ code: 'undecided', level: 'Error', message, origin: nothing }));
  return { findings: [...undecided, ...rows], describe: describeBy(CODES) };
}
