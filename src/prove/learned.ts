/** A proposal of `learn`, and whether it keeps its promise: no recorded call breaks, and nothing else gets out. */
import { stringify } from 'yaml';
import { decode } from '../api/decode.ts';
import type { MeshConfig } from '../api/index.ts';
import { meshConfig } from '../api/mesh-config.ts';
import { explain } from '../cli/explain.ts';
import { gatewaysOf, verifyFiles } from '../cli/verify.ts';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Observation, RecordedCall } from '../learn/observed.ts';
import { type Proposed, type ProposeOptions, propose } from '../learn/propose.ts';
import { SallyportError } from '../lib/errors.ts';
import { mapGrouped } from '../lib/grouped.ts';
import { hostCovers } from '../lib/hostname.ts';
import { parseTarget } from '../simulate/call.ts';
import type { Outcome } from '../simulate/trace.ts';
import type { Statement } from '../simulate/verify.ts';
import { type Beside, counted, sortedOut, takenBy } from './learned-beside.ts';
import { type SimulatedFiles, simulateFiles } from './simulated.ts';
import { onlyThroughGateways } from './statements.ts';

export interface BrokenCall {
  readonly call: RecordedCall;
  readonly why: string;
}

export interface Result {
  readonly text: string;
  readonly json: object;
  readonly summary: readonly string[];
  readonly broken: readonly BrokenCall[];
  /** False if what was proposed allows more than was recorded, or a way round the gateway. */
  readonly proved: boolean;
}

/** What every proposal begins with; a file that begins so may be replaced by another one. */
export const PROPOSAL_MARK = '# Learned by Sallyport.';

const ALONE: Beside = { snapshot: snapshotFromText(''), mesh: registryOnly(undefined), callerOf: () => undefined };

/** The proposal as a file. */
export function proposalText(proposed: readonly Proposed[], remarks: readonly string[] = []): string {
  const head = [
    `${PROPOSAL_MARK} For outboundTrafficPolicy REGISTRY_ONLY: what is not here is refused.`,
    ...remarks.map((line) => `# ${line}`),
  ];
  return `${head.join('\n')}\n${proposed.map(yamlOf).join('---\n')}`;
}

/** The proposal, with the recorded calls made against it. */
export function learn(observation: Observation, options: ProposeOptions, beside: Beside = ALONE): Result {
  const { placed, remarks } = sortedOut(observation, beside.snapshot);
  const proposed = propose(placed, { ...options, taken: takenBy(beside.snapshot) });
  const { summary, broken, verdicts, proved } = check(proposed, observation, beside);
  return {
    text: proposalText(proposed, remarks),
    json: { resources: proposed.map(({ resource }) => resource), broken, verdicts },
    summary: [...remarks, ...summary],
    broken,
    proved,
  };
}

export interface Check extends Pick<Result, 'summary' | 'broken' | 'proved'> {
  readonly verdicts: readonly { readonly statement: string; readonly result: string }[];
}

/** Makes the recorded calls against the proposal and what it is laid beside, under REGISTRY_ONLY, and judges every other call. */
export function check(proposed: readonly Proposed[], observation: Observation, beside: Beside): Check {
  const text = proposed.map(({ resource }) => JSON.stringify(resource)).join('\n---\n');
  const snapshot = new Layered(beside.snapshot, snapshotFromText(text, { file: 'the proposal' }));
  const files = simulateFiles(snapshot, registryOnly(beside.mesh));
  const broken = replay(files, kindsOf(observation.calls, beside.callerOf), beside.callerOf, addressesOf(observation));
  const verdicts = verifyFiles(files, [onlyThroughGateways(gatewaysOf(files)), onlyRecorded(snapshot)], 1_000_000);
  const calls = observation.calls.reduce((sum, { count }) => sum + count, 0);
  return {
    summary: [
      broken.length > 0
        ? 'These recorded calls break:'
        : `${counted(calls, 'recorded call')} made again: ${calls === 1 ? 'it does not break' : 'none breaks'}.`,
      ...broken.map(brokenLine),
      ...verdicts.map(({ statement, result, undecided }) => `${result}: ${statement}${result === 'undecided' ? ` (${undecided[0]})` : ''}`),
    ],
    broken,
    proved: verdicts.every(({ result }) => result === 'proved'),
    verdicts: verdicts.map(({ statement, result }) => ({ statement, result })),
  };
}

function registryOnly(base: MeshConfig | undefined): MeshConfig {
  const policy = { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } };
  const decoded = decode(meshConfig, policy, [], ({ message }) => {
    throw new SallyportError('internal', message);
  }) as MeshConfig;
  return base ? { ...base, outboundTrafficPolicy: decoded.outboundTrafficPolicy } : decoded;
}

function onlyRecorded(snapshot: Snapshot): Statement {
  const hosts = new Set(snapshot.list('ServiceEntry').flatMap(({ spec }) => spec.hosts));
  return {
    text: 'no workload reaches a host that was not recorded or declared',
    // The service whose cluster took the call; under a wildcard the name counts as well.
    allows: ({ host, trace }) => {
      const service = trace.hops.at(-1)?.cluster.split('|')[3] ?? '';
      return hosts.has(service) && (!service.startsWith('*') || hostCovers(service, host.toLowerCase()));
    },
  };
}

function yamlOf({ comments, resource }: Proposed): string {
  return comments.map((line) => `# ${line}\n`).join('') + stringify(resource, { lineWidth: 140 });
}

/** One call of each host, port, protocol and caller: nothing else decides in a proposal. */
function kindsOf(calls: readonly RecordedCall[], callerOf: Beside['callerOf']): RecordedCall[] {
  const kindOf = (call: RecordedCall) => `${call.host} ${call.port} ${call.protocol} ${callerOf(call)}`;
  return [...Map.groupBy(calls, kindOf).values()].map((same) => ({
    ...same[0]!,
    count: same.reduce((sum, { count }) => sum + count, 0),
  }));
}

/** By `host port protocol`, the addresses that clients had resolved the host to by themselves. */
function addressesOf({ observed }: Observation): ReadonlyMap<string, readonly string[]> {
  return new Map(observed.map(({ host, port, protocol, addresses }) => [`${host} ${port} ${protocol}`, addresses]));
}

/** Who has the address that a call came from; `fallback` where no workload with a sidecar has it. */
export function callersOf({ proxies }: Pick<SimulatedFiles, 'proxies'>, fallback: string | undefined): Beside['callerOf'] {
  const byAddress = new Map(proxies.flatMap((proxy) => proxy.addresses.map((ip) => [ip, proxy] as const)));
  return ({ from }) => {
    const caller = byAddress.get(from);
    return caller?.type === 'sidecar' ? `${caller.namespace}/${caller.name}` : fallback;
  };
}

/** The calls that a configuration refuses; each comes from the workload that has its address, else from `fallback`. */
export function deniedBy(files: SimulatedFiles, calls: readonly RecordedCall[], fallback: string | undefined): BrokenCall[] {
  const broken = replay(files, calls, callersOf(files, fallback));
  // From several addresses of one workload it is one call.
  return [...Map.groupBy(broken, ({ call: { from: _, count: __, ...call }, why }) => JSON.stringify([call, why])).values()].map((same) => ({
    ...same[0]!,
    call: { ...same[0]!.call, count: same.reduce((sum, { call }) => sum + call.count, 0) },
  }));
}

/** Each call as a client of the mesh's DNS makes it, and as one that has resolved the name to one of the `addresses`. */
function replay(
  files: SimulatedFiles,
  calls: readonly RecordedCall[],
  callerOf: (call: RecordedCall) => string | undefined,
  addresses: ReadonlyMap<string, readonly string[]> = new Map(),
): BrokenCall[] {
  const brokenBy = (call: RecordedCall): BrokenCall[] => {
    const target = parseTarget(urlOf(call), { method: call.method || 'GET' });
    const from = callerOf(call);
    for (const to of [undefined, ...(addresses.get(`${call.host} ${call.port} ${call.protocol}`) ?? [])]) {
      const why = refusal(explain(files, target, { from, to }).trace.outcome);
      if (why !== undefined) return [{ call, why: to === undefined ? why : `to ${to}, ${why}` }];
    }
    return [];
  };
  return mapGrouped(calls, callerOf, brokenBy).flat();
}

export function urlOf({ host, port, protocol, path }: Pick<RecordedCall, 'host' | 'port' | 'protocol' | 'path'>): string {
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

export function brokenLine({ call, why }: BrokenCall): string {
  return `${call.method ? `${call.method} ` : ''}${urlOf(call)}, ${counted(call.count, 'call')}: ${why}`;
}

/** What was recorded and cannot be let through by resources. */
export function unplacedLines({ unplaced }: Observation): string[] {
  return unplaced.map(({ host, port, why, count }) => `not proposed: ${host}:${port} (${counted(count, 'call')}): ${why}`);
}
