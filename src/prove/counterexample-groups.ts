/** Counterexamples by who makes them and how they get where they should not: one group for what one change would close. Pure. */
import type { PlacedOrigin } from '../lib/origin.ts';
import type { Call } from '../simulate/call.ts';
import type { Outcome } from '../simulate/trace.ts';
import type { Counterexample } from '../simulate/verify.ts';
import { PASSTHROUGH_CLUSTER } from '../xds/names.ts';
import { aboutHost, destinationText, hostText } from './destinations.ts';

export interface CounterexampleGroup {
  readonly workloads: readonly string[];
  /** Hosts with their ports in words. */
  readonly destinations: readonly string[];
  /** What becomes of the calls, and where: `leaves for the host at its own sidecar, cluster …`. */
  readonly way: string;
  /** What decides there, of each host. */
  readonly origins: readonly PlacedOrigin[];
  readonly example: Call;
  /** How many counterexamples these are. */
  readonly count: number;
}

interface Draft {
  readonly workloads: readonly string[];
  readonly host: string;
  readonly ports: ReadonlySet<number>;
  readonly way: string;
  readonly origins: readonly PlacedOrigin[];
  readonly example: Call;
  readonly count: number;
}

/** The largest first. */
export function groupedCounterexamples(counterexamples: readonly Counterexample[]): CounterexampleGroup[] {
  let drafts: readonly Draft[] = counterexamples.map(draftOf);
  drafts = joined(drafts, ({ host, ports, way }) => [host, [...ports], way]);
  drafts = joined(drafts, ({ workloads, host, way }) => [workloads, host, way]);
  const groups = Map.groupBy(drafts, ({ workloads, ports, way }) => JSON.stringify([workloads, [...ports].sort(), way]));
  return [...groups.values()]
    .map((members) => {
      const { workloads, way, example } = members[0]!;
      const destinations = members.map(({ host, ports }) => destinationText(host, ports));
      return {
        workloads,
        destinations,
        way,
        origins: originsOf(members),
        example,
        count: members.reduce((sum, { count }) => sum + count, 0),
      };
    })
    .sort((a, b) => b.count - a.count);
}

function draftOf({ workloads, call, trace }: Counterexample): Draft {
  const { destination } = call;
  const last = trace.hops.at(-1);
  const origin = last?.steps.flatMap(({ origins }) => origins).at(-1);
  const at =
    last === undefined ? 'the application' : trace.hops.length === 1 && workloads.includes(last.proxy) ? 'its own sidecar' : last.proxy;
  const way = aboutHost(
    `${outcomeText(trace.outcome)} at ${at}, cluster ${last?.cluster || 'none'}${last?.cluster === PASSTHROUGH_CLUSTER ? ' (outboundTrafficPolicy ALLOW_ANY)' : ''}`,
    call,
  );
  const ports = new Set([destination.port]);
  return { workloads, host: hostText(call), ports, way, origins: origin ? [origin] : [], example: call, count: 1 };
}

function joined(drafts: readonly Draft[], key: (draft: Draft) => unknown): Draft[] {
  const groups = Map.groupBy(drafts, (draft) => JSON.stringify(key(draft)));
  return [...groups.values()].map((members) => ({
    ...members[0]!,
    workloads: [...new Set(members.flatMap(({ workloads }) => workloads))],
    ports: new Set(members.flatMap(({ ports }) => [...ports])),
    origins: originsOf(members),
    count: members.reduce((sum, { count }) => sum + count, 0),
  }));
}

function originsOf(members: readonly Draft[]): PlacedOrigin[] {
  return [...new Map(members.flatMap(({ origins }) => origins.map((origin) => [JSON.stringify(origin), origin]))).values()];
}

function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'upstream':
      return `leaves for ${outcome.host || `${outcome.endpoint?.ip}:${outcome.endpoint?.port}`}`;
    case 'reply':
      return `is answered ${outcome.status}`;
    default:
      return `is ${outcome.kind}`;
  }
}
