/** `sallyport describe`: what applies to a workload or a host. */

import { Command } from 'commander';
import type { SourceOptions } from '../inputs/reader.ts';
import { SallyportError } from '../lib/errors.ts';
import { describe } from '../prove/describe.ts';
import { descriptionText } from '../report/description.ts';
import { writeAnswer } from './answer.ts';
import { EXIT } from './exit.ts';
import { choiceOption, repeatable } from './options.ts';
import { addSourceOptions, answerFrom, demandSource } from './source-options.ts';

interface DescribeOptions extends SourceOptions {
  readonly file: readonly string[];
  readonly output: 'text' | 'json';
}

export function describeCommand(): Command {
  const command = new Command('describe')
    .summary('what applies to a workload or a host')
    .description('SUBJECT is workload NAMESPACE/NAME, or host HOST (a Service by its full name).')
    .argument('<subject>', 'workload or host')
    .argument('<name>', 'NAMESPACE/NAME of the workload, or the host')
    .option('-f, --file <path>', 'files and folders with the configuration (repeatable)', repeatable, []);
  return addSourceOptions(command)
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (kind: string, name: string, options: DescribeOptions) => {
      if (kind !== 'workload' && kind !== 'host') throw new SallyportError('usage', `"${kind}" can't be described: it is workload or host`);
      demandSource(options.file, options, 'files or folders with -f PATH');
      await answerFrom(async (reader) => {
        writeAnswer(describe(await reader.simulated(options.file, options), { kind, name }), options.output, descriptionText);
        return EXIT.fine;
      });
    });
}
