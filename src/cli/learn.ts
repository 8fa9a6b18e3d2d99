/** `sallyport learn`: from access logs to the resources that allow exactly what was seen, through the egress gateway. */

import { Command, InvalidArgumentError } from 'commander';
import { type LearnFrom, proposal, wouldDeny } from '../inputs/learned.ts';
import { readLogs } from '../inputs/logs.ts';
import { Observer } from '../learn/observed.ts';
import { answerLines, isLearned, learnedJson, learnedText, readingLines } from '../report/learned.ts';
import { printJson } from './answer.ts';
import { EXIT } from './exit.ts';
import { choiceOption, repeatable } from './options.ts';
import { print, printError } from './print.ts';
import { answerFrom, EMPTY_OPTION } from './source-options.ts';

interface LearnOptions extends LearnFrom {
  readonly output: 'text' | 'json';
}

export function learnCommand(): Command {
  return new Command('learn')
    .summary('write the resources that allow what access logs recorded')
    .description(
      'Reads access logs (the default text of Envoy and Istio, or JSON lines) and prints the resources that allow exactly the calls that left, through the egress gateway, for outboundTrafficPolicy REGISTRY_ONLY; then makes the recorded calls against them by simulation.',
    )
    .argument('<log...>', 'files with access logs, gzipped or not; - for stdin')
    .option('--wildcard-after <n>', 'names with a common suffix from which a wildcard is written', wildcardAfter, 10)
    .option(
      '-f, --file <path>',
      'what is there already (repeatable): what it declares is not proposed again, and a host is seen by the namespaces alone whose Pods called it',
      repeatable,
      [],
    )
    .option('--would-deny <path>', 'instead, report the recorded calls that this configuration refuses (repeatable)', repeatable, [])
    .option('--from <namespace/name>', 'the workload that calls where the log names no address of one')
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of the resources', 'default')
    .option(...EMPTY_OPTION)
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action((paths: string[], options: LearnOptions) =>
      answerFrom(async (reader) => {
        const observer = new Observer();
        const log = await readLogs(paths, (record) => observer.add(record));
        const observation = observer.observation();
        const answer = await (options.wouldDeny.length > 0 ? wouldDeny : proposal)(reader, observation, options);
        if (options.output === 'json') printJson({ ...learnedJson(answer), observed: observation.observed });
        else print(learnedText(answer));
        printError([...readingLines(log, observation), ...answerLines(answer, observation)].map((line) => `${line}\n`).join(''));
        // A line that could not be read may have been a call.
        const isWhole = log.damaged.count === 0 && log.unread.length === 0;
        return isWhole && isLearned(answer) ? EXIT.fine : EXIT.findings;
      }),
    );
}

export function wildcardAfter(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 2) throw new InvalidArgumentError('it is a whole number from 2 on.');
  return number;
}
