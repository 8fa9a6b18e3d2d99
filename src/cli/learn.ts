/** `sallyport learn`: from access logs to the resources that allow exactly what was seen, through the egress gateway. */

import { Command, InvalidArgumentError } from 'commander';
import { type LogProblem, type LogReading, readLogs } from '../inputs/logs.ts';
import type { Reader } from '../inputs/reader.ts';
import { type Observation, Observer } from '../learn/observed.ts';
import { learn } from '../prove/learned.ts';
import { besideFiles } from '../prove/learned-beside.ts';
import { brokenLine, checkLines, proposalText, unplacedLines } from '../prove/learned-text.ts';
import type { Proposal } from '../prove/proposal.ts';
import { type BrokenCall, deniedBy } from '../prove/replay.ts';
import { EXIT } from './exit.ts';
import { choiceOption, repeatable } from './options.ts';
import { print, printError } from './print.ts';
import { answerFrom, EMPTY_OPTION, type ReadMeshOptions } from './source-options.ts';

interface LearnOptions extends ReadMeshOptions {
  readonly wildcardAfter: number;
  readonly file: readonly string[];
  readonly wouldDeny: readonly string[];
  readonly from?: string;
  readonly output: 'text' | 'json';
}

type Answer =
  | { readonly kind: 'proposal'; readonly proposal: Proposal }
  /** The recorded calls that a configuration refuses. */
  | { readonly kind: 'denied'; readonly broken: readonly BrokenCall[] };

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
        const answer =
          options.wouldDeny.length > 0 ? await wouldDeny(reader, observation, options) : await proposal(reader, observation, options);
        if (options.output === 'json') {
          print(`${JSON.stringify({ ...jsonOf(answer), observed: observation.observed }, undefined, 2)}\n`);
        } else print(textOf(answer));
        printError([...readingLines(log, observation), ...answerLines(answer, observation)].map((line) => `${line}\n`).join(''));
        // A line that could not be read may have been a call.
        const isWhole = log.damaged.count === 0 && log.unread.length === 0;
        return isWhole && isFine(answer) ? EXIT.fine : EXIT.findings;
      }),
    );
}

export function wildcardAfter(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 2) throw new InvalidArgumentError('it is a whole number from 2 on.');
  return number;
}

/** What allows the recorded calls, beside the files that are there already. */
async function proposal(reader: Reader, observation: Observation, options: LearnOptions): Promise<Answer> {
  const { file, from, namespace, wildcardAfter } = options;
  if (file.length === 0) return { kind: 'proposal', proposal: learn(observation, { namespace, wildcardAfter }) };
  const { snapshot, mesh } = await reader.mesh(file, options);
  const { beside, callers } = besideFiles(snapshot, mesh, from);
  return { kind: 'proposal', proposal: learn(observation, { namespace, wildcardAfter, callers }, beside) };
}

async function wouldDeny(reader: Reader, observation: Observation, options: LearnOptions): Promise<Answer> {
  const files = await reader.simulated(options.wouldDeny, options);
  return { kind: 'denied', broken: deniedBy(files, observation.calls, options.from) };
}

function isFine(answer: Answer): boolean {
  return answer.kind === 'denied' ? answer.broken.length === 0 : answer.proposal.broken.length === 0 && answer.proposal.proved;
}

function jsonOf(answer: Answer): object {
  if (answer.kind === 'denied') return { denied: answer.broken };
  const { proposed, broken, verdicts } = answer.proposal;
  return {
    resources: proposed.map(({ resource }) => resource),
    broken,
    verdicts: verdicts.map(({ statement, result }) => ({ statement, result })),
  };
}

function textOf(answer: Answer): string {
  if (answer.kind === 'denied') return answer.broken.map((one) => `${brokenLine(one)}\n`).join('');
  return proposalText(answer.proposal.proposed, answer.proposal.remarks);
}

/** What goes to stderr about the answer. */
function answerLines(answer: Answer, observation: Observation): string[] {
  if (answer.kind === 'proposal') return [...unplacedLines(observation), ...answer.proposal.remarks, ...checkLines(answer.proposal)];
  const count = answer.broken.reduce((sum, { call }) => sum + call.count, 0);
  const { folded } = observation;
  const apart = `Of ${folded} calls paths and clients were not kept apart, as there were too many: each kind was tried once.`;
  return [count === 0 ? 'No recorded call would be refused.' : `${count} recorded calls would be refused.`, ...(folded > 0 ? [apart] : [])];
}

/** What goes to stderr about the logs. */
function readingLines({ damaged, foreign, unread }: LogReading, { records, observed, inside, refused }: Observation): string[] {
  return [
    ...unread,
    ...damaged.first.map((problem) => `${problemText(problem)}: a call may be missing`),
    ...(damaged.count > damaged.first.length ? [`… and ${damaged.count - damaged.first.length} more lines that cannot be read`] : []),
    ...foreign.first.slice(0, 1).map(problemText),
    ...(foreign.count > 1 ? [`… and ${foreign.count - 1} more lines that are no record`] : []),
    `${records} records: ${observed.length} destinations outside the mesh, ${inside} records of calls inside it, ${refused} of refused ones.`,
  ];
}

function problemText({ file, line, why, text }: LogProblem): string {
  return `${file}:${line}: ${why}${text === '' ? '' : `: ${JSON.stringify(text)}`}`;
}
