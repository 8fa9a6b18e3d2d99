/** `sallyport diff`: which calls change their outcome between two configurations. */

import { Command } from 'commander';
import type { Reader, SourceOptions } from '../inputs/reader.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { type Origin, originText } from '../lib/origin.ts';
import type { Cause } from '../prove/causes.ts';
import { describeCall } from '../prove/describe-call.ts';
import { type Comparison, compare } from '../prove/diff.ts';
import { type ChangeGroup, causeText, groupedChanges, rowText } from '../prove/diff-groups.ts';
import { type ChangeKind, isForTheWorse } from '../simulate/diff.ts';
import { REVIEW_OUTPUTS, type Review, type ReviewOutput, writeReview } from './answer.ts';
import type { Paint } from './colours.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { withProgress } from './progress.ts';
import { expectShortRun } from './short-run.ts';
import { addSourceOptions, answerFrom, demandSource } from './source-options.ts';

interface DiffOptions extends SourceOptions {
  readonly failOn: 'widen' | 'any';
  readonly output: ReviewOutput;
}

export function diffCommand(): Command {
  const command = new Command('diff')
    .summary('which calls change between two configurations')
    .description(
      'Compares what workloads can reach under OLD and under NEW. Either is a path, or git:REV[:PATH] for a revision of this repository. ' +
        'With --kube and one of these, what it would change in the cluster if it were applied.',
    )
    .argument('<old>')
    .argument('[new]')
    .option(
      '--fail-on <change>',
      'exit with 1 when access widens or is protected less, or on any change',
      choiceOption('widen', 'any'),
      'widen',
    );
  return addSourceOptions(command)
    .option('-o, --output <format>', REVIEW_OUTPUTS.join(', '), choiceOption(...REVIEW_OUTPUTS), 'text')
    .action(async (before: string, after: string | undefined, options: DiffOptions) => {
      expectShortRun();
      await answerFrom(async (reader) => {
        const sides = await sidesOf(reader, before, after, options);
        const comparison = withProgress((tell) => compare(...sides, { progress: (calls) => tell(() => `${calls} calls compared`) }));
        const fails = (kind: ChangeKind) => options.failOn === 'any' || isForTheWorse(kind);
        writeReview(comparison, options.output, render, (answer) => reviewOf(answer, fails));
        // What could not be decided may have widened.
        return comparison.undecided.length > 0 || comparison.changes.some(({ kind }) => fails(kind)) ? EXIT.findings : EXIT.fine;
      });
    });
}

async function sidesOf(reader: Reader, one: string, other: string | undefined, options: DiffOptions) {
  demandSource([one], options, 'two paths');
  if (options.kube && other === undefined) return reader.sidesOfCluster(one, options);
  if (options.kube || other === undefined)
    throw new SallyportError('usage', 'say two configurations, OLD and NEW; or one, and --kube for the cluster that it would change');
  return [await reader.side(one, options), await reader.side(other, options)] as const;
}

const STYLE = { widens: 'red', weakens: 'red', differs: 'yellow', strengthens: 'green', narrows: 'green' } as const;

function render(comparison: Comparison, paint: Paint): string {
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

const CODES: Readonly<Record<string, string>> = {
  widens: 'A workload reaches more than before, or the same with fewer proxies on the way.',
  weakens: 'A call is protected less on its way than before.',
  differs: 'A call ends otherwise than before, or is protected otherwise.',
  strengthens: 'A call is protected more on its way than before.',
  narrows: 'A workload reaches less than before.',
  undecided: 'What becomes of some calls is not known.',
};

function reviewOf(comparison: Comparison, fails: (kind: ChangeKind) => boolean): Review {
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
  return { findings: [...undecided, ...rows], describe: (code) => ({ name: code, summary: CODES[code] ?? code }) };
}
