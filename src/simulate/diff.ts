/** Which calls change their outcome between two configurations. Pure. */
import type { RouteTable } from '../http/routes/route.ts';
import type { PlacedOrigin } from '../lib/origin.ts';
import { finished } from '../lib/pace.ts';
import { Alike } from './alike.ts';
import type { Call, Endpoint, Payload } from './call.ts';
import { OTHER_IPS, routeTables, sampleHost } from './cells.ts';
import type { SimulatedMesh } from './explain.ts';
import { explore, keyOf, waysOf } from './explore.ts';
import { gatewayCalls } from './gateway-calls.ts';
import type { SimulatedProxy } from './proxy.ts';
import { Regions } from './regions.ts';
import { gravest, type Leg, legOf, type Shift, shiftOfWay, wayText } from './security.ts';
import type { Trace } from './trace.ts';

/** A workload as it is on either side, which stands for others with the same configuration. */
export interface ComparedWorkload {
  /** `namespace/name` of all that it stands for. */
  readonly workloads: readonly string[];
  readonly before: SimulatedProxy;
  readonly after: SimulatedProxy;
}

/**
 * `widens`: the workload reaches more, or the same with fewer proxies on the way. `weakens`: what it reaches it reaches with less protection (see
 * `security.ts`). `differs`: it reaches something else, or is protected otherwise. `strengthens`: it reaches the same, better protected. `narrows`: it
 * reaches less.
 */
export type ChangeKind = 'widens' | 'weakens' | 'differs' | 'strengthens' | 'narrows';

/** Whether a change lets out more than before, or protects it less. */
export function isForTheWorse(kind: ChangeKind): boolean {
  return kind === 'widens' || kind === 'weakens';
}

export interface Change {
  readonly kind: ChangeKind;
  readonly workloads: readonly string[];
  /** What is reached, as `host:port` or an address. */
  readonly destination: string;
  /** Whether it may reach a server that it did not reach before. */
  readonly elsewhere: boolean;
  /** Whether the call may reach a server. */
  readonly reached: { readonly before: boolean; readonly after: boolean };
  readonly before: string;
  readonly after: string;
  /** The resources that decide how the call ends now; empty if none does. */
  readonly decidedBy: readonly PlacedOrigin[];
  /** All resources that have to do with the call's way on either side. */
  readonly origins: readonly PlacedOrigin[];
  /** One call that shows it. */
  readonly example: Call;
}

interface Side {
  readonly mesh: SimulatedMesh;
}

export interface CallDiff {
  /** Grouped by workload, what is reached and how; what widens comes first. */
  readonly changes: readonly Change[];
  /** What no call was found for, a sentence each: there may be a change in it. */
  readonly undecided: readonly string[];
  /** Calls that were compared. */
  readonly cells: number;
  /** The ports that they were made to at addresses that nothing names: what changes at all of these changes at any port. */
  readonly ports: readonly number[];
}

export interface DiffOptions {
  /** Gateways to compare for clients without a sidecar, which come to them directly. */
  readonly gateways?: readonly ComparedWorkload[];
  /**
   * Addresses that are allocated automatically, and may be another host's after a change. Clients learn them from DNS, so requests that have one for
   * their host are not compared.
   */
  readonly allocated?: ReadonlySet<string>;
  /**
   * Leaves out the calls that can be told to end alike without making them, unless something is undecided then. Secrets have to be the same on both sides.
   */
  readonly quick?: boolean;
  /** Told how many calls were compared so far. */
  readonly progress?: (calls: number) => void;
}

export function diffCalls(before: Side, after: Side, workloads: readonly ComparedWorkload[], options: DiffOptions = {}): CallDiff {
  return finished(callDiffSteps(before, after, workloads, options));
}

/** The same in steps of one call, for whoever has something else to do in between. */
export function* callDiffSteps(
  before: Side,
  after: Side,
  workloads: readonly ComparedWorkload[],
  options: DiffOptions = {},
): Generator<void, CallDiff> {
  const found = yield* comparedCalls(before, after, workloads, options);
  // Of a call that is left out nobody knows whether it would have been the one that decides.
  return options.quick && found.undecided.length > 0 ? yield* comparedCalls(before, after, workloads, { ...options, quick: false }) : found;
}

function* comparedCalls(
  before: Side,
  after: Side,
  workloads: readonly ComparedWorkload[],
  { gateways = [], allocated = new Set(), progress, quick = false }: DiffOptions,
): Generator<void, CallDiff> {
  const regions = quick ? new Regions(before.mesh, after.mesh) : undefined;
  const undecided = new Set<string>();
  let cells = 0;
  const ports = new Set<number>();
  const changes = new Map<string, Change>();
  const judge = (names: readonly string[], call: Call, a: Judged, b: Judged) => {
    cells++;
    progress?.(cells);
    if (OTHER_IPS.includes(call.destination.ip)) ports.add(call.destination.port);
    for (const sentence of [...a.undecided, ...b.undecided]) undecided.add(sentence);
    const shift = shiftOf(a.ways, b.ways);
    const isSeen = a.text === b.text && shift === 'same';
    if (isSeen && a.seen === b.seen) return;
    const destination = destinationOf(call);
    const text = ({ text, ways, seen }: Judged) =>
      isSeen ? `${text} (${seen})` : shift === 'same' || ways.length === 0 ? text : `${text} (${protectionText(ways)})`;
    const [before, after] = [text(a), text(b)];
    const key = JSON.stringify([names, destination, before, after]);
    const elsewhere = [...b.servers].some((server) => !a.servers.has(server));
    const known = changes.get(key);
    if (known) {
      if (elsewhere && !known.elsewhere) changes.set(key, { ...known, elsewhere, example: call });
      return;
    }
    const kind = isSeen ? 'differs' : a.text === b.text && shift !== 'same' ? shift : kindOf(a, b, shift);
    const reached = { before: a.reaches, after: b.reaches };
    changes.set(key, {
      kind,
      workloads: names,
      destination,
      elsewhere,
      reached,
      before,
      after,
      decidedBy: b.decidedBy,
      origins: [...a.origins(), ...b.origins()],
      example: call,
    });
  };
  for (const { workloads: names, before: old, after: young } of workloads) {
    const source = { ip: young.addresses[0] ?? '192.0.2.1', port: 0 };
    for (const { call, old: a, young: b } of callsOfBoth(before, after, old, young, source, { allocated, regions, undecided })) {
      judge(names, call, judged(a ?? waysOf(before.mesh, old, call, WHOLE)), judged(b ?? waysOf(after.mesh, young, call, WHOLE)));
      yield;
    }
  }
  for (const { workloads: names, before: old, after: young } of gateways) {
    const who = names.map((name) => `a client without a sidecar at ${name}`);
    const at = (proxy: SimulatedProxy, call: Call) => ({ ...call, destination: { ...call.destination, ip: proxy.addresses[0] ?? '' } });
    for (const proxy of [old, young]) {
      const direct = gatewayCalls(proxy, { ip: '192.0.2.1', port: 0 });
      for (const sentence of direct.undecided) undecided.add(sentence);
      for (const call of direct.calls) {
        judge(
          who,
          call,
          judged(waysOf(before.mesh, undefined, at(old, call), WHOLE)),
          judged(waysOf(after.mesh, undefined, at(young, call), WHOLE)),
        );
        yield;
      }
    }
  }
  const sorted = [...changes.values()].sort((a, b) => GRAVITY[a.kind] - GRAVITY[b.kind] || (a.destination < b.destination ? -1 : 1));
  return { changes: sorted, undecided: [...undecided], cells, ports: [...ports] };
}

/** What is worst comes first. */
export const GRAVITY: Readonly<Record<ChangeKind, number>> = { widens: 0, weakens: 1, differs: 2, strengthens: 3, narrows: 4 };

interface Judged {
  readonly text: string;
  /** What the servers see that it may come to. */
  readonly seen: string;
  readonly reaches: boolean;
  /** The ways by which the call gets through. */
  readonly ways: readonly Way[];
  /** Those that it may reach. */
  readonly servers: ReadonlySet<string>;
  /** The ends that the call may have, as text. */
  readonly ends: ReadonlySet<string>;
  /** Proxies on the way: going through fewer of them is wider. */
  readonly hops: number;
  readonly decidedBy: readonly PlacedOrigin[];
  origins(): readonly PlacedOrigin[];
  readonly undecided: readonly string[];
}

/** A call, with its traces on the side that it was found on. */
interface Compared {
  readonly call: Call;
  readonly old?: readonly Trace[];
  readonly young?: readonly Trace[];
}

/** Of copies, too; as `explore` follows calls. */
const WHOLE = { copies: true, representative: true } as const;

interface ComparedWith {
  readonly allocated: ReadonlySet<string>;
  /** To leave out what is alike. */
  readonly regions: Regions | undefined;
  readonly undecided: Set<string>;
}

function* callsOfBoth(
  before: Side,
  after: Side,
  old: SimulatedProxy,
  young: SimulatedProxy,
  source: Endpoint,
  { allocated, regions, undecided }: ComparedWith,
): Generator<Compared> {
  const domains = new Set([...namesToldApart(old, young), ...namesToldApart(young, old)]);
  const isByAllocated = ({ payload }: Call) => allocated.has(payload.http?.authority.replace(/^\[|\]$/g, '') ?? '');
  const seen = new Set<string>();
  for (const side of ['old', 'young'] as const) {
    const [mesh, proxy, other] = side === 'old' ? [before.mesh, old, young] : [after.mesh, young, old];
    const leftOut = regions && sameCaller(old, young) ? new Alike(proxy, other, regions) : undefined;
    const exploration = explore(mesh, proxy, source, { domains, leftOut });
    for (const { call, traces } of exploration.calls) {
      const key = keyOf(call);
      if (seen.has(key) || isByAllocated(call)) continue;
      seen.add(key);
      yield { call, [side]: traces };
    }
    for (const sentence of exploration.undecided) undecided.add(`${proxy.name}: ${sentence}`);
  }
}

/** Whether both show the same identity. */
function sameCaller(old: SimulatedProxy, young: SimulatedProxy): boolean {
  return old.name === young.name && old.identity === young.identity;
}

/** The domains of one proxy's virtual hosts that the other proxy does not treat as the first of their virtual host: they need calls of their own. */
function namesToldApart(proxy: SimulatedProxy, other: SimulatedProxy): string[] {
  const all = tablesOf(other);
  const byName = Map.groupBy(all, ({ name }) => name);
  return tablesOf(proxy).flatMap((table) => {
    const { name } = table;
    const config = proxy.routeConfig(name);
    if (config && config === other.routeConfig(name)) return [];
    const { virtualHosts } = table;
    // Without a route configuration of that name any of the others may take the calls.
    const tables = byName.get(name) ?? all;
    return virtualHosts.flatMap(({ config: { domains } }) => {
      const [first = '', ...rest] = domains;
      return rest.filter((domain) => !tables.every((table) => isOfOneHost(table, first, domain)));
    });
  });
}

function tablesOf(proxy: SimulatedProxy): RouteTable[] {
  const chains = proxy.all.flatMap(({ filterChains, defaultFilterChain }) => [
    ...filterChains,
    ...(defaultFilterChain ? [defaultFilterChain] : []),
  ]);
  return [...routeTables(proxy, chains)];
}

function isOfOneHost(table: RouteTable, a: string, b: string): boolean {
  return table.virtualHost(sampleHost(a)) === table.virtualHost(sampleHost(b));
}

/** What becomes of a call that may go these ways. */
function judged(ways: Iterable<Trace>): Judged {
  const traces = [...ways];
  const reaching = traces.filter(({ outcome }) => outcome.kind === 'upstream');
  const last = traces[0]?.hops.at(-1);
  return {
    text: [...new Set(traces.map(describe))].sort().join(', or '),
    seen: [...new Set(reaching.map(seenBy))].sort().join(', or '),
    reaches: reaching.length > 0,
    ways: reaching.map(wayOf),
    servers: new Set(reaching.map(serverOf)),
    ends: new Set(reaching.map((trace) => describe(trace))),
    hops: Math.min(...reaching.map(({ hops }) => hops.length)),
    decidedBy: last?.steps.findLast(({ origins }) => origins.length > 0)?.origins ?? [],
    origins: () => traces.flatMap(({ hops }) => hops.flatMap(({ steps }) => steps.flatMap(({ origins }) => origins))),
    undecided: traces.flatMap(({ outcome }) => (outcome.kind === 'undecided' ? [outcome.details] : [])),
  };
}

function describe({ outcome, hops }: Trace): string {
  switch (outcome.kind) {
    case 'upstream': {
      const { endpoint, host } = outcome;
      const where = host || `${endpoint?.ip}:${endpoint?.port}`;
      const gateways = hops.slice(1).map(({ proxy }) => proxy);
      const who = hops.some(({ copy }) => copy) ? 'in a copy ' : '';
      const forward = hops.flatMap(({ next }) => (next?.through === undefined ? [] : [`the forward proxy ${next.through}`]));
      const through = [...gateways, ...forward];
      return `${who}reaches ${where} ${through.length > 0 ? `through ${through.join(', ')}` : 'directly'}`;
    }
    case 'reply':
      return `is answered ${outcome.status}${outcome.location ? ` (${outcome.location})` : ''}`;
    case 'closed':
      return 'is closed';
    case 'undecided':
      return `is undecided (${outcome.details})`;
  }
}

function namesIn({ tls, http }: Payload): string[] {
  return [...(tls ? [`SNI ${tls.serverName || '(none)'}`] : []), ...(http ? [`${http.method} ${http.authority}${http.path}`] : [])];
}

/** What the server sees, at which address where that is known; of the fields those that are not proxies' own. */
function seenBy({ outcome }: Trace): string {
  if (outcome.kind !== 'upstream') return '';
  const { endpoint, port, payload } = outcome;
  const fields = [...(payload.http?.headers ?? [])].filter(([name]) => !OF_PROXIES.test(name)).map(([name, value]) => `${name}: ${value}`);
  return [endpoint ? `at ${endpoint.ip}:${endpoint.port}` : `port ${port}`, ...namesIn(payload), ...fields.sort()].join(', ');
}

/** Fields by which proxies tell of themselves and of the way. */
const OF_PROXIES = /^(?:x-envoy-|x-forwarded-|x-request-id$|x-b3-|traceparent$)/;

function kindOf(before: Judged, after: Judged, shift: Shift): ChangeKind {
  const kind = kindOfReach(before, after);
  return shift === 'weakens' && kind !== 'widens' ? 'weakens' : kind;
}

function kindOfReach(before: Judged, after: Judged): 'widens' | 'narrows' | 'differs' {
  if (after.reaches && !before.reaches) return 'widens';
  if (before.reaches && !after.reaches) return 'narrows';
  if (after.reaches && after.hops < before.hops) return 'widens';
  if (after.reaches && after.hops > before.hops) return 'narrows';
  if (before.ends.size === after.ends.size) return 'differs';
  const within = (a: Judged, b: Judged) => [...a.ends].every((end) => b.ends.has(end));
  if (within(before, after)) return 'widens';
  return within(after, before) ? 'narrows' : 'differs';
}

interface Way {
  readonly end: string;
  readonly host: string;
  readonly legs: readonly Leg[];
}

function serverOf({ outcome }: Trace): string {
  if (outcome.kind !== 'upstream') return '';
  const { host, endpoint, port } = outcome;
  return `${host} ${endpoint ? `${endpoint.ip}:${endpoint.port}` : port}`;
}

function wayOf(trace: Trace): Way {
  const { hops, outcome } = trace;
  const host = outcome.kind === 'upstream' ? outcome.host : '';
  return { end: describe(trace), host, legs: hops.flatMap(({ next }, i) => (next ? [legOf(next, hops[i + 1])] : [])) };
}

/** What becomes of the protection of a call that gets through on both sides: of each way, held against those that it had to the same end. */
function shiftOf(before: readonly Way[], after: readonly Way[]): Shift {
  if (before.length === 0 || after.length === 0) return 'same';
  const shift = gravest(after.map((way) => mildest((likeIt(way, before) ?? before).map((old) => shiftOfWay(old.legs, way.legs)))));
  if (shift !== 'same') return shift;
  // Nothing is new, but a way may be gone that was better or worse than what is left to its host.
  return gravest(before.map((old) => mildest((likeIt(old, after) ?? []).map((way) => shiftOfWay(old.legs, way.legs)))));
}

/** The ways to the same end, else those to the same host; undefined if there are none. */
function likeIt({ end, host }: Way, others: readonly Way[]): readonly Way[] | undefined {
  const toEnd = others.filter((other) => other.end === end);
  if (toEnd.length > 0) return toEnd;
  const toHost = others.filter((other) => other.host === host);
  return toHost.length > 0 ? toHost : undefined;
}

function mildest(shifts: readonly Shift[]): Shift {
  if (shifts.length === 0) return 'same';
  return (['same', 'strengthens', 'differs'] as const).find((shift) => shifts.includes(shift)) ?? 'weakens';
}

function protectionText(ways: readonly Way[]): string {
  return [...new Set(ways.map(({ legs }) => wayText(legs)))].sort().join(', or ');
}

function destinationOf({ destination, payload }: Call): string {
  const name = payload.http?.authority.replace(/:\d+$/, '') || payload.tls?.serverName || destination.ip;
  return `${name}:${destination.port}`;
}
