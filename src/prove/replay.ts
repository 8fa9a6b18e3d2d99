/** Recorded calls, made again by simulation: which of them a configuration refuses, and why. */

import type { RecordedCall } from '../learn/observed.ts';
import { mapGrouped } from '../lib/grouped.ts';
import { hostPort } from '../lib/socket-address.ts';
import { parseTarget } from '../simulate/call.ts';
import type { Outcome } from '../simulate/trace.ts';
import type { SimulatedFiles } from './simulated.ts';
import { wayOf } from './way.ts';

export interface BrokenCall {
  readonly call: RecordedCall;
  readonly why: string;
}

/** Who makes a call, as `namespace/name`; undefined where that is not known. */
export type CallerOf = (call: RecordedCall) => string | undefined;

/** The workload that has the address which a call came from; `fallback` where no workload with a sidecar has it. */
export function callerByAddress({ proxies }: Pick<SimulatedFiles, 'proxies'>, fallback: string | undefined): CallerOf {
  const byAddress = new Map(proxies.flatMap((proxy) => proxy.addresses.map((ip) => [ip, proxy] as const)));
  return ({ from }) => {
    const caller = byAddress.get(from);
    return caller?.type === 'sidecar' ? `${caller.namespace}/${caller.name}` : fallback;
  };
}

/** The calls that a configuration refuses; each comes from the workload that has its address, else from `fallback`. */
export function deniedBy(files: SimulatedFiles, calls: readonly RecordedCall[], fallback: string | undefined): BrokenCall[] {
  const broken = replay(files, calls, callerByAddress(files, fallback));
  // From several addresses of one workload it is one call.
  return [...Map.groupBy(broken, ({ call: { from: _, count: __, ...call }, why }) => JSON.stringify([call, why])).values()].map((same) => ({
    ...same[0]!,
    call: { ...same[0]!.call, count: same.reduce((sum, { call }) => sum + call.count, 0) },
  }));
}

/**
 * Makes each call as a client does that uses the mesh's DNS, and as one does that resolved the name by itself to one of the `addresses`, which are
 * kept by `host port protocol`.
 */
export function replay(
  files: SimulatedFiles,
  calls: readonly RecordedCall[],
  callerOf: CallerOf,
  addresses: ReadonlyMap<string, readonly string[]> = new Map(),
): BrokenCall[] {
  const brokenBy = (call: RecordedCall): BrokenCall[] => {
    const target = parseTarget(urlOf(call), { method: call.method || 'GET' });
    const from = callerOf(call);
    for (const to of [undefined, ...(addresses.get(`${call.host} ${call.port} ${call.protocol}`) ?? [])]) {
      const why = refusal(wayOf(files, target, { from, to }).trace.outcome);
      if (why !== undefined) return [{ call, why: to === undefined ? why : `to ${to}, ${why}` }];
    }
    return [];
  };
  return mapGrouped(calls, callerOf, brokenBy).flat();
}

export function urlOf({ host, port, protocol, path }: Pick<RecordedCall, 'host' | 'port' | 'protocol' | 'path'>): string {
  const scheme = { HTTP: 'http', TLS: 'tls', TCP: 'tcp' }[protocol];
  return `${scheme}://${hostPort(host, port)}${protocol === 'HTTP' ? path || '/' : ''}`;
}

/** Undefined for a call that got through. What could not be decided counts as refused. */
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
