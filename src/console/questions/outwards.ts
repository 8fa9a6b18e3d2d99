/** The declared ways out: what becomes of a call of each workload to each host outside that the resources declare, and what goes round. */

import { SallyportError } from '../../lib/errors.ts';
import { bypassing, EXEMPT, waysPast } from '../../prove/bypassing.ts';
import { callersOf } from '../../prove/callers.ts';
import { type SimulatedFiles, workloadName } from '../../prove/simulated.ts';
import { wayOf } from '../../prove/way.ts';
import { callerClasses } from '../../prove/workload-classes.ts';
import { type CallTarget, parseTarget } from '../../simulate/call.ts';
import type { Outwards } from '../model.ts';

/** Ways beyond these are counted. */
const MOST_WAYS = 2_000;

/** @param namespaces only of workloads there, to what is declared there or open to them */
export function outwards(files: SimulatedFiles, namespaces?: ReadonlySet<string>): Outwards {
  const targets = targetsOf(files);
  const callers = callersOf(files).filter(({ namespace }) => namespaces?.has(namespace) ?? true);
  const classes = callerClasses(files.mesh, callers).map((members) => members.map(workloadName));
  const ways: Outwards['ways'][number][] = [];
  let left = 0;
  for (const workloads of classes) {
    for (const { host, port, target, namespace } of targets) {
      if (ways.length + workloads.length > MOST_WAYS) {
        left += workloads.length;
        continue;
      }
      const judged = judge(files, workloads[0]!, target);
      if (judged.verdict === 'refused' && namespaces?.has(namespace) === false) continue;
      ways.push(...workloads.map((from) => ({ from, host, port, ...judged })));
    }
  }
  const { openings } = bypassing(files, EXEMPT, waysPast(files));
  return {
    workloads: callers.map(workloadName),
    gateways: files.proxies.filter(({ type }) => type === 'router').map(workloadName),
    ways,
    round: openings.map(({ workloads, how }) => ({ workloads, how })),
    left,
  };
}

interface Target {
  readonly host: string;
  readonly port: number;
  readonly target: CallTarget;
  /** Where it is declared. */
  readonly namespace: string;
}

/** Each host and port outside the mesh that is declared. */
function targetsOf({ mesh: { registry } }: SimulatedFiles): readonly Target[] {
  return registry.services
    .filter((service) => service.meshExternal)
    .flatMap(({ hostname, namespace, ports }) =>
      ports.flatMap(({ number, protocol }) => {
        const target = sampleCall(hostname, number, protocol);
        return target ? [{ host: hostname, port: number, target, namespace }] : [];
      }),
    );
}

/** A call as an application makes it to a port of this protocol; of a wildcard to a name under it. */
function sampleCall(hostname: string, port: number, protocol: string): CallTarget | undefined {
  const host = hostname.replace(/^\*/, 'any');
  const scheme = /^(https|tls)/i.test(protocol) ? 'tls' : /^(http|grpc)/i.test(protocol) ? 'http' : 'tcp';
  try {
    return parseTarget(`${scheme}://${host}:${port}${scheme === 'http' ? '/' : ''}`);
  } catch {
    return undefined;
  }
}

function judge(files: SimulatedFiles, from: string, target: CallTarget): Pick<Outwards['ways'][number], 'through' | 'verdict'> {
  try {
    const { trace, ending } = wayOf(files, target, { from });
    const through = trace.hops.slice(1).map(({ proxy }) => proxy);
    const { kind } = trace.outcome;
    if (kind === 'undecided') return { through, verdict: 'undecided' };
    return { through, verdict: kind === 'upstream' && !ending ? 'allowed' : 'refused' };
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    return { through: [], verdict: 'undecided' };
  }
}
