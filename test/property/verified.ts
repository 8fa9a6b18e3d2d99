/** What `verify` says of a generated configuration, held against every call of a small space and against real traffic. */

import { HeaderMap } from '../../src/http/header-map.ts';
import { gatewaysOf, insideAddresses } from '../../src/prove/inside.ts';
import type { SimulatedFiles } from '../../src/prove/simulated.ts';
import { onlyThroughGateways, statementOf } from '../../src/prove/statements.ts';
import { verifyFiles } from '../../src/prove/verify.ts';
import type { Call, Endpoint, Payload } from '../../src/simulate/call.ts';
import { waysOf } from '../../src/simulate/explore.ts';
import { ASSUMED } from '../../src/simulate/recorder.ts';
import type { Trace } from '../../src/simulate/trace.ts';
import type { Counterexample, Statement } from '../../src/simulate/verify.ts';
import { PODS, type Pod } from '../calls/loopback/topology.ts';
import type { Configuration } from './configurations.ts';
import { describeCall, describeConfiguration, type Pairs } from './pairs.ts';

export interface VerifyTally {
  proved: number;
  refuted: number;
  undecided: number;
  /** Calls of the spaces that proofs were held against. */
  space: number;
  /** Counterexamples that were made as calls. */
  made: number;
}

/** Workloads whose calls are made; the others of the mesh are gateways and servers. */
const CALLERS = PODS.filter(({ name }) => name === 'sleep' || name === 'other');
/** Counterexamples of one verdict that are made. */
const MOST_MADE = 8;
/** Where chance decides, so many calls are made until one of them goes the way that was stated. */
const TRIES = 40;

/** Throws, with YAML and call, where a proof or a counterexample is wrong. */
export async function checkVerify(pairs: Pairs, configuration: Configuration, tally: VerifyTally): Promise<void> {
  const files = pairs.files(configuration);
  const refused = await pairs.apply(files);
  if (refused !== undefined) throw new Error(`${refused}\n${describeConfiguration(configuration)}`);
  const statements = statementsFor(files);
  const verdicts = verifyFiles(files, statements, 100_000);
  for (const { result } of verdicts) tally[result]++;
  const proved = statements.filter((_, i) => verdicts[i]!.result === 'proved');
  if (proved.length > 0) {
    for (const pod of CALLERS) {
      const wrong = brokenIn(files, pod, proved, tally);
      if (wrong) throw new Error(`${wrong}\n${describeConfiguration(configuration)}`);
    }
  }
  for (const { statement, counterexamples } of verdicts) {
    const mine = counterexamples
      .filter(({ workloads, call, trace }) => callerOf(workloads) && isSeen(trace) && !goesRound(trace) && pairs.isServed(call, trace))
      .slice(0, MOST_MADE);
    for (const example of mine) {
      tally.made++;
      const differing = await reproduce(pairs, files, example);
      if (differing) throw new Error(`"${statement}": ${differing}\n${describeConfiguration(configuration)}`);
    }
  }
}

function statementsFor(files: SimulatedFiles): Statement[] {
  const isGateway = gatewaysOf(files);
  const statement = (entry: Parameters<typeof statementOf>[0]) => statementOf(entry, 'generated', isGateway);
  return [
    onlyThroughGateways(isGateway),
    statement({ onlyTls: { host: 'www.example.com' } }),
    statement({ onlyTls: { host: 'www.example.com', verified: true } }),
    statement({ onlyTls: { host: '*.example.com' } }),
    statement({ onlyWorkloads: { host: 'api.example.com', workloads: ['default/sleep'] } }),
    statement({ nothingLeaves: { namespace: 'other' } }),
  ];
}

/** Whether a caller sees how its call ends: nothing of a copy, and nothing that rests on a secret that the mesh does not have. */
function isSeen({ hops }: Trace): boolean {
  return hops.every(({ copy, steps }) => !copy && steps.every(({ text }) => text !== ASSUMED));
}

/** Whether a call comes to a proxy again: where chance decides how often, a given number of rounds may never come. */
function goesRound({ hops }: Trace): boolean {
  const proxies = hops.filter(({ copy }) => !copy).map(({ proxy }) => proxy);
  return new Set(proxies).size < proxies.length;
}

function callerOf(workloads: readonly string[]): Pod | undefined {
  return CALLERS.find(({ namespace, name }) => workloads.includes(`${namespace}/${name}`));
}

/** Makes the call of a counterexample until it goes the stated way; what differs, as text. */
async function reproduce(pairs: Pairs, files: SimulatedFiles, { workloads, call, trace }: Counterexample): Promise<string | undefined> {
  const pod = callerOf(workloads)!;
  const own = { ...call, source: { ip: pod.ip, port: 0 } };
  const ways = pairs.simulate(files, pod, own).length;
  let differing: string | undefined;
  for (let i = 0; i < (ways > 1 ? TRIES : 2); i++) {
    differing = await pairs.hold(pod, own, [trace]);
    if (differing === undefined) return undefined;
  }
  return `${differing}\n\n${describeCall(pod, own)}`;
}

/** A statement that was proved and that a call of the space breaks, as text. */
function brokenIn(files: SimulatedFiles, pod: Pod, proved: readonly Statement[], tally: VerifyTally): string | undefined {
  const inside = insideAddresses(files);
  const workload = `${pod.namespace}/${pod.name}`;
  const proxy = files.proxy(workload);
  for (const call of everyCall(files, pod)) {
    tally.space++;
    for (const trace of waysOf(files.simulated, proxy, call, { copies: true })) {
      const broken = proved.find((statement) => breaks(statement, trace, workload, inside));
      if (broken) return `proved, but broken: "${broken.text}" by\n${describeCall(pod, call)}`;
    }
  }
  return undefined;
}

function breaks(statement: Statement, trace: Trace, workload: string, inside: ReadonlySet<string>): boolean {
  if (trace.outcome.kind !== 'upstream') return false;
  const { host, endpoint } = trace.outcome;
  if (endpoint && inside.has(endpoint.ip)) return false;
  return !statement.allows({ host, endpoint, through: trace.hops.at(-1)?.proxy ?? '', trace }, [workload]);
}

const PORTS = [80, 443, 6379, 8443];
const ADDRESSES = ['198.51.100.10', '198.51.7.7', '203.0.113.6', '10.1.2.3', '240.240.77.1', '10.96.3.10', '10.96.1.20'];
const NAMES = ['www.example.com', 'api.example.com', 'x.example.com', 'www.example.org', 'undeclared.test'];
const HEADERS: readonly (readonly string[])[] = [
  [],
  ['x-a', '1'],
  ['x-a', 'a', 'x-b', '1'],
  ['x-request-id', '1', 'x-forwarded-for', '192.0.2.7', 'x-envoy-attempt-count', '1'],
];

function* everyCall(files: SimulatedFiles, { ip }: Pod): Generator<Call> {
  const services = files.mesh.registry.services.flatMap(({ addresses, autoAddresses }) => [...addresses, ...autoAddresses]);
  const addresses = new Set([...ADDRESSES, ...services.filter((address) => !/[:/]/.test(address))]);
  const payloads = [...everyPayload()];
  for (const address of addresses) {
    for (const port of PORTS) {
      const destination: Endpoint = { ip: address, port };
      for (const payload of payloads) yield { source: { ip, port: 0 }, destination, payload };
    }
  }
}

function* everyPayload(): Generator<Payload> {
  yield { tls: undefined, http: undefined };
  for (const serverName of ['', ...NAMES]) {
    yield { tls: { serverName, alpn: [] }, http: undefined };
    for (const authority of NAMES) {
      const http = { method: 'GET', authority, path: '/a', headers: new HeaderMap(), version: '1.1' } as const;
      yield { tls: { serverName, alpn: [] }, http };
    }
  }
  for (const authority of NAMES) {
    for (const path of ['/', '/a', '/a/1?q=1']) {
      for (const method of ['GET', 'POST']) {
        for (const flat of method === 'POST' ? [[]] : HEADERS)
          yield { tls: undefined, http: { method, authority, path, headers: new HeaderMap([...flat]), version: '1.1' } };
      }
    }
  }
}
