/** `learn`: resources that allow the recorded calls, with the proof that no recorded call breaks and that nothing else gets out. */
import { decode } from '../api/decode.ts';
import type { MeshConfig } from '../api/index.ts';
import { meshConfig } from '../api/mesh-config.ts';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Observation, RecordedCall } from '../learn/observed.ts';
import { type Proposed, type ProposeOptions, propose } from '../learn/propose.ts';
import { SallyportError } from '../lib/errors.ts';
import { hostCovers } from '../lib/hostname.ts';
import type { Statement } from '../simulate/verify.ts';
import { gatewaysOf } from './inside.ts';
import { sortedOut, takenBy } from './learned-beside.ts';
import type { Beside, Check, Proposal } from './proposal.ts';
import { type CallerOf, replay } from './replay.ts';
import { simulateFiles } from './simulated.ts';
import { onlyThroughGateways } from './statements.ts';
import { verifyFiles } from './verify.ts';

const ALONE: Beside = { snapshot: snapshotFromText(''), mesh: registryOnly(undefined), callerOf: () => undefined };

/** What allows the recorded calls. `beside` is what is there already. */
export function learn(observation: Observation, options: ProposeOptions, beside: Beside = ALONE): Proposal {
  const { placed, remarks } = sortedOut(observation, beside.snapshot);
  const proposed = propose(placed, { ...options, taken: takenBy(beside.snapshot) });
  return { proposed, remarks, ...check(proposed, observation, beside) };
}

/** Makes the recorded calls against a proposal and what it is laid beside, under REGISTRY_ONLY, and judges every other call. */
export function check(proposed: readonly Proposed[], observation: Observation, beside: Beside): Check {
  const text = proposed.map(({ resource }) => JSON.stringify(resource)).join('\n---\n');
  const snapshot = new Layered(beside.snapshot, snapshotFromText(text, { file: 'the proposal' }));
  const files = simulateFiles(snapshot, registryOnly(beside.mesh));
  const broken = replay(files, kindsOf(observation.calls, beside.callerOf), beside.callerOf, addressesOf(observation));
  const verdicts = verifyFiles(files, [onlyThroughGateways(gatewaysOf(files)), onlyRecorded(snapshot)], 1_000_000);
  return {
    calls: observation.calls.reduce((sum, { count }) => sum + count, 0),
    broken,
    verdicts,
    proved: verdicts.every(({ result }) => result === 'proved'),
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

/** One call of each host, port, protocol and caller: nothing else decides in a proposal. */
function kindsOf(calls: readonly RecordedCall[], callerOf: CallerOf): RecordedCall[] {
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
