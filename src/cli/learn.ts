/** `sallyport learn`: from access logs to the resources that allow exactly what was seen, through the egress gateway. */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { stringify } from 'yaml';
import { decode } from '../api/decode.ts';
import type { MeshConfig } from '../api/index.ts';
import { meshConfig } from '../api/mesh-config.ts';
import { snapshotFromText } from '../config/memory.ts';
import { type Observation, observe, type RecordedCall } from '../learn/observed.ts';
import { type Proposed, propose } from '../learn/propose.ts';
import { type ParsedLog, parseLog } from '../learn/records.ts';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { hostCovers } from '../lib/hostname.ts';
import { parseTarget } from '../simulate/call.ts';
import type { Outcome } from '../simulate/trace.ts';
import type { Statement } from '../simulate/verify.ts';
import { EXIT } from './exit.ts';
import { explain } from './explain.ts';
import { choiceOption } from './options.ts';
import { readMesh } from './read-mesh.ts';
import { type SimulatedFiles, simulateFiles } from './simulated.ts';
import { gatewaysOf, verifyFiles } from './verify.ts';
import { onlyThroughGateways } from './verify-statements.ts';

interface LearnOptions {
  readonly wildcardAfter: number;
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
    .argument('<log...>', 'files with access logs; - for stdin')
    .option('--wildcard-after <n>', 'names with a common suffix from which a wildcard is written', wildcardAfter, 10)
    .option(
      '--would-deny <path>',
      'instead, report the recorded calls that this configuration refuses (repeatable)',
      (value: string, all: readonly string[]) => [...all, value],
      [],
    )
    .option('--from <namespace/name>', 'with --would-deny: the workload that calls where the log names no address of one')
    .option('--mesh-config <file>', 'with --would-deny: MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of the resources', 'default')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (paths: string[], options: LearnOptions) => {
      const log = parseLog(paths.map(readLog).join('\n'));
      const observation = observe(log.records);
      const denying = options.wouldDeny.length > 0;
      const result = denying ? await wouldDeny(observation, options) : learn(observation, options);
      const summary = [...summaryOf(log, observation), ...result.summary].map((line) => `${line}\n`).join('');
      if (options.output === 'json')
        process.stdout.write(`${JSON.stringify({ ...result.json, observed: observation.observed }, undefined, 2)}\n`);
      else process.stdout.write(result.text);
      process.stderr.write(summary);
      process.exitCode = result.broken.length > 0 || !result.proved ? EXIT.findings : EXIT.fine;
    });
}

function wildcardAfter(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 2) throw new InvalidArgumentError('it is a whole number from 2 on.');
  return number;
}

function readLog(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new SallyportError(codeOf(error) === 'ENOENT' ? 'path-not-found' : 'log-unreadable', `cannot read ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

export interface BrokenCall {
  readonly call: RecordedCall;
  readonly why: string;
}

interface Result {
  readonly text: string;
  readonly json: object;
  readonly summary: readonly string[];
  readonly broken: readonly BrokenCall[];
  /** False if what was proposed allows more than was recorded, or a way round the gateway. */
  readonly proved: boolean;
}

/** The proposal, with the recorded calls made against it. */
export function learn(observation: Observation, options: Pick<LearnOptions, 'namespace' | 'wildcardAfter'>): Result {
  const proposed = propose(observation.observed, options);
  const text = proposed.map(yamlOf).join('---\n');
  const files = simulateFiles(snapshotFromText(text, { file: 'learned.yaml' }), registryOnly());
  const broken = replay(files, observation.calls, () => undefined);
  const verdicts = verifyFiles(files, [onlyThroughGateways(gatewaysOf(files)), onlyRecorded(proposed)], 1_000_000);
  const proved = verdicts.every(({ result }) => result === 'proved');
  const calls = observation.calls.reduce((sum, { count }) => sum + count, 0);
  return {
    text: `# For outboundTrafficPolicy REGISTRY_ONLY: what is not here is refused.\n${text}`,
    json: {
      resources: proposed.map(({ resource }) => resource),
      broken,
      verdicts: verdicts.map(({ statement, result }) => ({ statement, result })),
    },
    summary: [
      broken.length === 0 ? `${calls} recorded calls made again: none breaks.` : `These recorded calls break:`,
      ...broken.map(brokenLine),
      ...verdicts.map(({ statement, result, undecided }) => `${result}: ${statement}${result === 'undecided' ? ` (${undecided[0]})` : ''}`),
    ],
    broken,
    proved,
  };
}

function registryOnly(): MeshConfig {
  return decode(meshConfig, { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }, [], ({ message }) => {
    throw new SallyportError('internal', message);
  }) as MeshConfig;
}

function onlyRecorded(proposed: readonly Proposed[]): Statement {
  const hosts = proposed.flatMap(({ resource }) => {
    const { kind, spec } = resource as { kind: string; spec: { hosts: string[] } };
    return kind === 'ServiceEntry' ? spec.hosts : [];
  });
  return {
    text: 'no workload reaches a host that was not recorded',
    // The service whose cluster took the call; under a wildcard the name counts as well.
    allows: ({ host, trace }) => {
      const service = trace.hops.at(-1)?.cluster.split('|')[3] ?? '';
      return hosts.includes(service) && (!service.startsWith('*') || hostCovers(service, host.toLowerCase()));
    },
  };
}

function yamlOf({ comments, resource }: Proposed): string {
  return comments.map((line) => `# ${line}\n`).join('') + stringify(resource, { lineWidth: 140 });
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
    summary: [broken.length === 0 ? 'No recorded call would be refused.' : `${count} recorded calls would be refused.`],
    broken,
    proved: true,
  };
}

/** The calls that a configuration refuses; each comes from the workload that has its address, else from `fallback`. */
export function deniedBy(files: SimulatedFiles, calls: readonly RecordedCall[], fallback: string | undefined): BrokenCall[] {
  const names = new Map(files.proxies.flatMap((proxy) => proxy.addresses.map((ip) => [ip, proxy] as const)));
  const broken = replay(files, calls, ({ from }) => {
    const caller = names.get(from);
    return caller?.type === 'sidecar' ? `${caller.namespace}/${caller.name}` : fallback;
  });
  // From several addresses of one workload it is one call.
  return [...Map.groupBy(broken, ({ call: { from: _, count: __, ...call }, why }) => JSON.stringify([call, why])).values()].map((same) => ({
    ...same[0]!,
    call: { ...same[0]!.call, count: same.reduce((sum, { call }) => sum + call.count, 0) },
  }));
}

function replay(files: SimulatedFiles, calls: readonly RecordedCall[], callerOf: (call: RecordedCall) => string | undefined): BrokenCall[] {
  return calls.flatMap((call) => {
    const { trace } = explain(files, parseTarget(urlOf(call), { method: call.method || 'GET' }), { from: callerOf(call) });
    const why = refusal(trace.outcome);
    return why === undefined ? [] : [{ call, why }];
  });
}

function urlOf({ host, port, protocol, path }: RecordedCall): string {
  const scheme = { HTTP: 'http', TLS: 'tls', TCP: 'tcp' }[protocol];
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${protocol === 'HTTP' ? path || '/' : ''}`;
}

function refusal(outcome: Outcome): string | undefined {
  switch (outcome.kind) {
    case 'upstream':
      return undefined;
    case 'reply':
      return outcome.status < 400 ? undefined : `answered ${outcome.status} (${outcome.details})`;
    case 'closed':
      return `closed (${outcome.details})`;
    case 'undecided':
      return `undecided (${outcome.details})`;
  }
}

function brokenLine({ call, why }: BrokenCall): string {
  return `${call.method ? `${call.method} ` : ''}${urlOf(call)}, ${call.count === 1 ? '1 call' : `${call.count} calls`}: ${why}`;
}

function summaryOf({ records, unread }: ParsedLog, { observed, inside, refused }: Observation): string[] {
  return [
    `${records.length} records: ${observed.length} destinations outside the mesh, ${inside} records of calls inside it, ${refused} of refused ones.`,
    ...(unread.length > 0
      ? [`${unread.length} lines are no record, the first is line ${unread[0]}: logs in Envoy's or Istio's default text or JSON are read.`]
      : []),
  ];
}
