/** What the page knows: the state, the findings and the calls, as the stream of events tells them. */
import { batch, computed, signal } from '@preact/signals';
import type { FindingView, State } from '../../src/console/model.ts';
import type { Flow } from '../../src/flows/flow.ts';

type Connection = 'connecting' | 'open' | 'lost' | 'ended' | 'refused';

/** Older calls are forgotten: the server has no more of them either. */
const MOST_CALLS = 10_000;
/** Rates are of so many seconds. */
const RATE_SECONDS = 60;

export const connection = signal<Connection>('connecting');
export const state = signal<State | undefined>(undefined);
export const findings = signal<readonly FindingView[]>([]);
/** Ends of calls and calls that run, the newest first; one entry a call. */
export const calls = signal<readonly Flow[]>([]);
/** Calls that the page was not told of. */
export const missed = signal(0);
/** And others, of which it is not known how many. */
export const missesMore = signal(false);
/** While it is true, calls are gathered and not shown. */
export const paused = signal(false);
export const waiting = signal(0);

/** Refused or failed, the newest first. */
export const wrongCalls = computed(() => calls.value.filter(({ verdict }) => verdict === 'refused' || verdict === 'failed'));

let held: Flow[] = [];
let source: EventSource | undefined;
let lastId: string | undefined;

/** Follows the events for as long as somebody looks: a hidden page lets go, and takes up where it was. */
export function follow(): void {
  const look = () => (document.visibilityState === 'visible' ? open() : close());
  document.addEventListener('visibilitychange', look);
  look();
}

function open(): void {
  if (source) return;
  const query = lastId === undefined ? '' : `?after=${encodeURIComponent(lastId)}`;
  const events = new EventSource(`/api/v1/events${query}`);
  source = events;
  events.onopen = () => {
    connection.value = 'open';
  };
  events.onerror = () => {
    if (connection.value === 'ended') return;
    connection.value = events.readyState === EventSource.CLOSED ? 'refused' : 'lost';
  };
  const on = <T>(name: string, take: (data: T) => void) =>
    events.addEventListener(name, (event) => {
      if (event.lastEventId) lastId = event.lastEventId;
      take(JSON.parse(event.data) as T);
    });
  on<State>('state', (data) => {
    state.value = data;
  });
  on<readonly FindingView[]>('findings', (data) => {
    findings.value = data;
  });
  on<{ readonly count: number; readonly more?: true }>('dropped', ({ count, more = false }) => {
    missed.value += count;
    missesMore.value ||= more;
  });
  on<readonly Flow[]>('flows', takeFlows);
  on('ended', () => {
    connection.value = 'ended';
    close();
  });
}

function close(): void {
  source?.close();
  source = undefined;
}

function takeFlows(fresh: readonly Flow[]): void {
  if (paused.value) {
    held.push(...fresh);
    if (held.length > MOST_CALLS) held = held.slice(-MOST_CALLS);
    waiting.value = held.length;
    return;
  }
  calls.value = merged(calls.value, fresh);
}

/** The end of a call takes the place of its beginning. */
function merged(known: readonly Flow[], fresh: readonly Flow[]): readonly Flow[] {
  const ends = new Map<string, Flow>();
  for (const flow of fresh) ends.set(flow.id, flow);
  const replaced = known.map((flow) => {
    if (flow.kind === 'end') return flow;
    const end = ends.get(flow.id);
    if (end) ends.delete(flow.id);
    return end ?? flow;
  });
  return [...[...ends.values()].reverse(), ...replaced].slice(0, MOST_CALLS);
}

export function resume(): void {
  batch(() => {
    paused.value = false;
    calls.value = merged(calls.value, held);
    waiting.value = 0;
  });
  held = [];
}

/** Calls a second, of the last minute. */
export function rateOf(flows: readonly Flow[], now = Date.now()): number {
  const since = now - RATE_SECONDS * 1000;
  return flows.filter(({ time }) => Date.parse(time) >= since).length / RATE_SECONDS;
}
