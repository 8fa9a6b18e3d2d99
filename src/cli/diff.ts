/** `sallyport diff`: which calls change their outcome between two configurations. */
import { Command } from 'commander';
import { originText } from '../lib/origin.ts';
import { describeCall } from '../prove/describe-call.ts';
import { type Comparison, compare } from '../prove/diff.ts';
import { isForTheWorse } from '../simulate/diff.ts';
import { writeAnswer } from './answer.ts';
import type { Paint } from './colours.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { addReadOptions, answerFrom, type ReadMeshOptions } from './read-mesh.ts';
import { expectShortRun } from './short-run.ts';

interface DiffOptions extends ReadMeshOptions {
  readonly failOn: 'widen' | 'any';
  readonly output: 'text' | 'json';
}

export function diffCommand(): Command {
  const command = new Command('diff')
    .summary('which calls change between two configurations')
    .description(
      'Compares what workloads can reach under OLD and under NEW. Either is a path, or git:REV[:PATH] for a revision of this repository.',
    )
    .argument('<old>')
    .argument('<new>')
    .option(
      '--fail-on <change>',
      'exit with 1 when access widens or is protected less, or on any change',
      choiceOption('widen', 'any'),
      'widen',
    );
  return addReadOptions(command)
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (before: string, after: string, options: DiffOptions) => {
      expectShortRun();
      await answerFrom(async (reader) => {
        const comparison = compare(await reader.side(before, options), await reader.side(after, options));
        writeAnswer(comparison, options.output, render);
        const { changes, undecided } = comparison;
        // What could not be decided may have widened.
        const fails = undecided.length > 0 || changes.some(({ kind }) => options.failOn === 'any' || isForTheWorse(kind));
        return fails ? EXIT.findings : EXIT.fine;
      });
    });
}

function render({ changes, undecided, added, removed }: Comparison, paint: Paint): string {
  const notes = [
    ...undecided.map((sentence) => `${paint('yellow', 'undecided')}: ${sentence}\n`),
    ...(added.length > 0 ? [`Not compared, since OLD does not have them: ${added.join(', ')}\n`] : []),
    ...(removed.length > 0 ? [`Not compared, since NEW does not have them: ${removed.join(', ')}\n`] : []),
  ].join('');
  if (changes.length === 0) return `${undecided.length > 0 ? '' : 'No call changes its outcome.\n'}${notes}`;
  const style = { widens: 'red', weakens: 'red', differs: 'yellow', strengthens: 'green', narrows: 'green' } as const;
  const lines = changes
    .map(({ kind, workloads, destination, before, after, decidedBy, example }) => {
      const who = workloads.length > 3 ? `${workloads.slice(0, 3).join(', ')} and ${workloads.length - 3} more` : workloads.join(', ');
      return `${paint(style[kind], kind.padEnd(11))} ${paint('bold', who)}: a call to ${destination} ${after}; before, it ${before}${decidedBy.length > 0 ? `  [${decidedBy.map((origin) => originText(origin)).join(', ')}]` : ''}\n            e.g. ${describeCall(example)}\n`;
    })
    .join('');
  return lines + notes;
}
