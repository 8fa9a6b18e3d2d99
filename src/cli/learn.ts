/** `sallyport learn`: from access logs to the resources that allow exactly what was seen, through the egress gateway. */
import { Command, InvalidArgumentError } from 'commander';
import { type Observation, type Observed, Observer } from '../learn/observed.ts';
import { brokenLine, callersOf, deniedBy, learn, type Result, unplacedLines } from '../prove/learned.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { EXIT } from './exit.ts';
import { type LogProblem, type LogReading, readLogs } from './learn-log.ts';
import { choiceOption } from './options.ts';
import { readMesh } from './read-mesh.ts';

interface LearnOptions {
  readonly wildcardAfter: number;
  readonly file: readonly string[];
  readonly wouldDeny: readonly string[];
  readonly from?: string;
  readonly meshConfig?: string;
  readonly namespace: string;
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
      collect,
      [],
    )
    .option('--would-deny <path>', 'instead, report the recorded calls that this configuration refuses (repeatable)', collect, [])
    .option('--from <namespace/name>', 'the workload that calls where the log names no address of one')
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of the resources', 'default')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (paths: string[], options: LearnOptions) => {
      const observer = new Observer();
      const log = await readLogs(paths, (record) => observer.add(record));
      const observation = observer.observation();
      const denying = options.wouldDeny.length > 0;
      const result = denying ? await wouldDeny(observation, options) : await proposal(observation, options);
      const summary = [...summaryOf(log, observation), ...(denying ? [] : unplacedLines(observation)), ...result.summary]
        .map((line) => `${line}\n`)
        .join('');
      if (options.output === 'json')
        process.stdout.write(`${JSON.stringify({ ...result.json, observed: observation.observed }, undefined, 2)}\n`);
      else process.stdout.write(result.text);
      process.stderr.write(summary);
      // A call that could not be read may be missing.
      const fine = result.broken.length === 0 && result.proved && log.damaged.count === 0 && log.unread.length === 0;
      process.exitCode = fine ? EXIT.fine : EXIT.findings;
    });
}

export function wildcardAfter(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 2) throw new InvalidArgumentError('it is a whole number from 2 on.');
  return number;
}

function collect(value: string, all: readonly string[]): string[] {
  return [...all, value];
}

/** What allows the recorded calls, beside the files that are there already. */
async function proposal(observation: Observation, options: LearnOptions): Promise<Result> {
  const { file, from, namespace, wildcardAfter } = options;
  if (file.length === 0) return learn(observation, { namespace, wildcardAfter });
  const { snapshot, mesh } = await readMesh(file, options);
  const { proxies } = simulateFiles(snapshot, mesh);
  const namespaces = new Map(proxies.flatMap((proxy) => proxy.addresses.map((ip) => [ip, proxy.namespace] as const)));
  const callers = (observed: readonly Observed[]) => {
    const all = observed.flatMap(({ clients }) => clients?.map((ip) => namespaces.get(ip)) ?? [undefined]);
    return all.every((one) => one !== undefined) ? all : undefined;
  };
  const anyone = proxies.find(({ type }) => type === 'sidecar');
  const fallback = from ?? (anyone && `${anyone.namespace}/${anyone.name}`);
  return learn(observation, { namespace, wildcardAfter, callers }, { snapshot, mesh, callerOf: callersOf({ proxies }, fallback) });
}

/** The recorded calls that a configuration refuses. */
async function wouldDeny(observation: Observation, options: LearnOptions): Promise<Result> {
  const { snapshot, mesh: config } = await readMesh(options.wouldDeny, options);
  const files = simulateFiles(snapshot, config);
  const broken = deniedBy(files, observation.calls, options.from);
  const count = broken.reduce((sum, { call }) => sum + call.count, 0);
  return {
    text: broken.map((one) => `${brokenLine(one)}\n`).join(''),
    json: { denied: broken },
    summary: [
      broken.length === 0 ? 'No recorded call would be refused.' : `${count} recorded calls would be refused.`,
      ...(observation.folded > 0
        ? [`Of ${observation.folded} calls paths and clients were not kept apart, as there were too many: each kind was tried once.`]
        : []),
    ],
    broken,
    proved: true,
  };
}

function summaryOf({ damaged, foreign, unread }: LogReading, { records, observed, inside, refused }: Observation): string[] {
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
