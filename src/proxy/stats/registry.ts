/**
 * Counters, gauges and histograms of one worker: plain numbers that the hot path bumps (`counter.value++`), found once by name and kept. A snapshot
 * crosses threads as a message and merges with those of other workers.
 */

export interface Counter {
  value: number;
}

/** A gauge merges across workers by addition, as Envoy's `accumulate` mode. */
interface Gauge {
  value: number;
}

/** Labels in the order in which they print. */
export type Labels = readonly (readonly [name: string, value: string])[];

/** Upper bounds of buckets, ascending; the last bucket has no bound. Envoy's default bounds, in ms; Istio's metrics use them as well. */
const DEFAULT_BUCKETS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000,
];

export class Histogram {
  readonly bounds: readonly number[];
  /** Observations by bucket, not cumulated; one more than bounds. */
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[] = DEFAULT_BUCKETS) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  record(value: number): void {
    const { bounds } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value <= bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    this.counts[low]!++;
    this.sum += value;
    this.count++;
  }
}

export interface SeriesSnapshot {
  /** Envoy's dotted name, or a Prometheus family's name where labels are given. */
  readonly name: string;
  readonly labels?: Labels;
  readonly value: number;
}

export interface HistogramSnapshot {
  readonly name: string;
  readonly labels?: Labels;
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** All numbers of one worker, or of several merged. Can be sent by `postMessage`. */
export interface StatsSnapshot {
  readonly counters: readonly SeriesSnapshot[];
  readonly gauges: readonly SeriesSnapshot[];
  readonly histograms: readonly HistogramSnapshot[];
}

/** Adds numbers that live elsewhere (a cluster's own counters) when a snapshot is taken. */
export type StatsSource = (add: { counter(name: string, value: number): void; gauge(name: string, value: number): void }) => void;

interface Entry<T> {
  readonly name: string;
  readonly labels: Labels | undefined;
  readonly metric: T;
}

export class StatsRegistry {
  readonly #counters = new Map<string, Entry<Counter>>();
  readonly #gauges = new Map<string, Entry<Gauge>>();
  readonly #histograms = new Map<string, Entry<Histogram>>();
  readonly #sources = new Set<StatsSource>();

  /** The counter of this name, e.g. `listener.0.0.0.0_15001.downstream_cx_total`; the same object each time. */
  counter(name: string, labels?: Labels): Counter {
    return ensure(this.#counters, name, labels, () => ({ value: 0 }));
  }

  gauge(name: string, labels?: Labels): Gauge {
    return ensure(this.#gauges, name, labels, () => ({ value: 0 }));
  }

  histogram(name: string, labels?: Labels, bounds?: readonly number[]): Histogram {
    return ensure(this.#histograms, name, labels, () => new Histogram(bounds));
  }

  /** Registers numbers that are read at each snapshot. Returns what takes them away again. */
  addSource(source: StatsSource): () => void {
    this.#sources.add(source);
    return () => this.#sources.delete(source);
  }

  /** Numbers of one name, here and from a source, are added up. */
  snapshot(): StatsSnapshot {
    const counters = [...this.#counters.values()].map(series);
    const gauges = [...this.#gauges.values()].map(series);
    for (const source of this.#sources) {
      source({
        counter: (name, value) => counters.push({ name, value }),
        gauge: (name, value) => gauges.push({ name, value }),
      });
    }
    const histograms = [...this.#histograms.values()].map(({ name, labels, metric }) => ({
      name,
      labels,
      bounds: metric.bounds,
      counts: [...metric.counts],
      sum: metric.sum,
      count: metric.count,
    }));
    return mergeSnapshots([{ counters, gauges, histograms }]);
  }
}

function series({ name, labels, metric }: Entry<Counter>): SeriesSnapshot {
  return { name, labels, value: metric.value };
}

function ensure<T>(map: Map<string, Entry<T>>, name: string, labels: Labels | undefined, create: () => T): T {
  const key = seriesKey(name, labels);
  let entry = map.get(key);
  if (!entry) {
    entry = { name, labels, metric: create() };
    map.set(key, entry);
  }
  return entry.metric;
}

function seriesKey(name: string, labels: Labels | undefined): string {
  return labels ? `${name}\0${labels.map(([key, value]) => `${key}\0${value}`).join('\0')}` : name;
}

const add = (a: number, b: number) => a + b;

/**
 * Adds snapshots up. Every worker has the same members of a cluster: of `membership_*` the largest counts. Histograms of one series have the same bounds in
 * every worker.
 */
export function mergeSnapshots(snapshots: readonly StatsSnapshot[]): StatsSnapshot {
  const gauge = (name: string) => (name.includes('.membership_') ? Math.max : add);
  return {
    counters: mergeSeries(
      snapshots.map((snapshot) => snapshot.counters),
      () => add,
    ),
    gauges: mergeSeries(
      snapshots.map((snapshot) => snapshot.gauges),
      gauge,
    ),
    histograms: mergeHistograms(snapshots.map((snapshot) => snapshot.histograms)),
  };
}

function mergeSeries(
  lists: readonly (readonly SeriesSnapshot[])[],
  combineOf: (name: string) => (a: number, b: number) => number,
): SeriesSnapshot[] {
  const merged = new Map<string, { -readonly [K in keyof SeriesSnapshot]: SeriesSnapshot[K] }>();
  for (const entry of lists.flat()) {
    const key = seriesKey(entry.name, entry.labels);
    const known = merged.get(key);
    if (known) known.value = combineOf(entry.name)(known.value, entry.value);
    else merged.set(key, { ...entry });
  }
  return [...merged.values()];
}

function mergeHistograms(lists: readonly (readonly HistogramSnapshot[])[]): HistogramSnapshot[] {
  const merged = new Map<string, HistogramSnapshot>();
  for (const entry of lists.flat()) {
    const key = seriesKey(entry.name, entry.labels);
    const known = merged.get(key);
    merged.set(
      key,
      known
        ? {
            ...known,
            counts: known.counts.map((count, i) => count + (entry.counts[i] ?? 0)),
            sum: known.sum + entry.sum,
            count: known.count + entry.count,
          }
        : entry,
    );
  }
  return [...merged.values()];
}

/** What was counted since `base` was taken; gauges stay as they are. */
export function sinceSnapshot(snapshot: StatsSnapshot, base: StatsSnapshot): StatsSnapshot {
  const negative: StatsSnapshot = {
    counters: base.counters.map((counter) => ({ ...counter, value: -counter.value })),
    gauges: [],
    histograms: base.histograms.map((each) => ({
      ...each,
      counts: each.counts.map((count) => -count),
      sum: -each.sum,
      count: -each.count,
    })),
  };
  return mergeSnapshots([snapshot, negative]);
}
