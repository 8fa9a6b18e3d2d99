/** Stats as text: Prometheus's exposition format, and Envoy's own `/stats`. */
import type { HistogramSnapshot, Labels, SeriesSnapshot, StatsSnapshot } from './registry.ts';

export interface PrintOptions {
  /** Only names (Envoy's dotted ones, or a labelled family's) that match. */
  readonly filter?: (name: string) => boolean;
  /** Only what was ever counted. */
  readonly usedOnly?: boolean;
}

/** Where Envoy's names hide labels; the labels are named as Istio's proxies name them. */
const TAGS: readonly { readonly pattern: RegExp; readonly family: string; readonly label: string }[] = [
  {
    pattern: /^cluster\.(.+?)\.((?:(?:ssl|circuit_breakers\.(?:default|high)|outlier_detection|internal|external)\.)?[a-z0-9_]+)$/,
    family: 'cluster',
    label: 'cluster_name',
  },
  { pattern: /^listener\.(.+?)\.((?:ssl\.)?[a-z0-9_]+)$/, family: 'listener', label: 'listener_address' },
  { pattern: /^http\.(.+?)\.((?:(?:tracing|rbac)\.)?[a-z0-9_]+)$/, family: 'http', label: 'http_conn_manager_prefix' },
  { pattern: /^tcp\.(.+)\.([a-z0-9_]+)$/, family: 'tcp', label: 'tcp_prefix' },
];

/** The family and the labels of a series: `envoy_cluster_upstream_rq{response_code_class="2xx",cluster_name="…"}`. */
function prometheusSeries(name: string, labels: Labels | undefined): { family: string; labels: Labels } {
  if (labels) return { family: name, labels };
  const out: (readonly [string, string])[] = [];
  let rest = name;
  for (const { pattern, family, label } of TAGS) {
    const match = pattern.exec(name);
    if (!match) continue;
    out.push([label, match[1]!]);
    rest = `${family}.${match[2]}`;
    break;
  }
  rest = rest.replace(/_rq_(\d)xx$/, (_, digit: string) => {
    out.unshift(['response_code_class', `${digit}xx`]);
    return '_rq';
  });
  rest = rest.replace(/_rq_(\d{3})$/, (_, code: string) => {
    out.unshift(['response_code', code]);
    return '_rq';
  });
  return { family: `envoy_${rest.replace(/[^a-zA-Z0-9_]/g, '_')}`, labels: out };
}

const escape = (value: string) => value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

function labelText(labels: Labels, extra?: readonly [string, string]): string {
  const all = extra ? [...labels, extra] : labels;
  return `{${all.map(([name, value]) => `${name}="${escape(value)}"`).join(',')}}`;
}

/** Numbers of text formats: no exponents. */
const number = (value: number) => (Number.isInteger(value) ? String(value) : String(Number(value.toFixed(6))));

/** Prometheus text, families sorted by name, each with its type; in pieces, since a page of a large mesh has megabytes. */
export function* printPrometheus(snapshot: StatsSnapshot, options: PrintOptions = {}): Generator<string> {
  const families = new Map<string, { readonly type: string; readonly series: Printable[] }>();
  const add = (type: string, name: string, used: boolean, series: Omit<Printable, 'labels'> & { readonly labels: Labels | undefined }) => {
    if (!wanted(name, used, options)) return;
    const { family, labels } = prometheusSeries(name, series.labels);
    const entry = families.get(family);
    const printable = { ...series, labels };
    if (entry) entry.series.push(printable);
    else families.set(family, { type, series: [printable] });
  };
  for (const { name, labels, value } of snapshot.counters) add('counter', name, value > 0, { labels, value });
  for (const { name, labels, value } of snapshot.gauges) add('gauge', name, value > 0, { labels, value });
  for (const histogram of snapshot.histograms)
    add('histogram', histogram.name, histogram.count > 0, { labels: histogram.labels, value: 0, histogram });
  const sorted = [...families].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, { type, series }] of sorted) {
    yield `# TYPE ${name} ${type}\n`;
    for (const each of series) {
      if (each.histogram) yield histogramText(name, each.labels, each.histogram);
      else yield `${name}${labelText(each.labels)} ${number(each.value)}\n`;
    }
  }
}

interface Printable {
  readonly labels: Labels;
  readonly value: number;
  readonly histogram?: HistogramSnapshot;
}

function histogramText(name: string, labels: Labels, { bounds, counts, count, sum }: HistogramSnapshot): string {
  let cumulated = 0;
  const buckets = bounds.map((bound, i) => {
    cumulated += counts[i]!;
    return `${name}_bucket${labelText(labels, ['le', number(bound)])} ${cumulated}\n`;
  });
  const last = `${name}_bucket${labelText(labels, ['le', '+Inf'])} ${count}\n`;
  return `${buckets.join('')}${last}${name}_sum${labelText(labels)} ${number(sum)}\n${name}_count${labelText(labels)} ${count}\n`;
}

function wanted(name: string, used: boolean, { filter, usedOnly }: PrintOptions): boolean {
  return (!usedOnly || used) && (!filter || filter(name));
}

/** Labels folded into the name, as Envoy prints Istio's metrics: `istio_requests_total.reporter.source.…`. */
function dottedName({ name, labels }: Pick<SeriesSnapshot, 'name' | 'labels'>): string {
  return labels ? `${name}.${labels.map(([label, value]) => `${label}.${value}`).join('.')}` : name;
}

/** Quantiles that Envoy prints, by linear interpolation inside a bucket. */
const QUANTILES = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1] as const;

function quantile({ bounds, counts, count }: HistogramSnapshot, q: number): number {
  if (count === 0) return 0;
  const rank = q * count;
  let before = 0;
  for (let i = 0; i < counts.length; i++) {
    const inside = counts[i]!;
    if (inside > 0 && before + inside >= rank) {
      const low = i === 0 ? 0 : bounds[i - 1]!;
      const high = bounds[i] ?? low;
      return low + ((high - low) * Math.max(0, rank - before)) / inside;
    }
    before += inside;
  }
  return bounds[bounds.length - 1] ?? 0;
}

/** Envoy's `/stats`: `name: value`, sorted; histograms with their quantiles. In pieces, as above. */
export function* printText(snapshot: StatsSnapshot, options: PrintOptions = {}): Generator<string> {
  const lines = [...snapshot.counters, ...snapshot.gauges]
    .filter(({ name, value }) => wanted(name, value > 0, options))
    .map((series) => `${dottedName(series)}: ${series.value}\n`);
  yield* lines.sort();
  const histograms = snapshot.histograms
    .filter(({ name, count }) => wanted(name, count > 0, options))
    .map((histogram) => {
      if (histogram.count === 0) return `${dottedName(histogram)}: No recorded values\n`;
      const values = QUANTILES.map((q) => `P${number(q * 100)}(nan,${number(Number(quantile(histogram, q).toPrecision(4)))})`);
      return `${dottedName(histogram)}: ${values.join(' ')}\n`;
    });
  yield* histograms.sort();
}

/** Envoy's `/stats?format=json`. */
export function statsJson(snapshot: StatsSnapshot, options: PrintOptions = {}): unknown {
  const stats: unknown[] = [...snapshot.counters, ...snapshot.gauges]
    .filter(({ name, value }) => wanted(name, value > 0, options))
    .map((series) => ({ name: dottedName(series), value: series.value }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const histograms = snapshot.histograms.filter(({ name, count }) => wanted(name, count > 0, options));
  if (histograms.length > 0) {
    stats.push({
      histograms: {
        supported_quantiles: QUANTILES.map((q) => q * 100),
        computed_quantiles: histograms.map((histogram) => ({
          name: dottedName(histogram),
          values: QUANTILES.map((q) => ({ interval: null, cumulative: histogram.count === 0 ? null : quantile(histogram, q) })),
        })),
      },
    });
  }
  return { stats };
}
