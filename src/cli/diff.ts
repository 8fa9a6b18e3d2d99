/** `sallyport diff`: which calls change their outcome between two configurations. */

import { Command } from 'commander';
import type { Reader, SourceOptions } from '../inputs/reader.ts';
import { SallyportError } from '../lib/errors.ts';
import { expectShortRun } from '../lib/short-run.ts';
import { compare } from '../prove/diff.ts';
import { comparisonReview, comparisonText } from '../report/comparison.ts';
import { REVIEW_OUTPUTS, type ReviewOutput } from '../report/review.ts';
import { type ChangeKind, isForTheWorse } from '../simulate/diff.ts';
import { writeReview } from './answer.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { withProgress } from './progress.ts';
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
    .argument('<old>', 'path, or git:REV[:PATH]')
    .argument('[new]', 'the same; none with --kube')
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
        writeReview(comparison, options.output, comparisonText, (answer) => comparisonReview(answer, fails));
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
