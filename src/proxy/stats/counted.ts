/** Which of Istio's metrics are counted, and with which labels, as access loggers tell an Envoy (`xds/istio-stats.ts`). */

import type { FormatContext } from '../../http/format/operator.ts';
import type { FormatRecord } from '../../http/format/record.ts';
import { compileText, type TextFormatter } from '../../http/format/text.ts';
import type { AccessLog } from '../../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { type Config_Stat, ConfigSchema } from '../../xds/gen/envoy/extensions/access_loggers/stats/v3/stats_pb.js';
import { METRIC_NAMES, type MetricName, SET_TAG, STAT_TAGS, statsPrefix } from '../../xds/istio-stats.ts';
import { typeNameOf, unpack } from '../../xds/unpack.ts';
import type { Labels } from './registry.ts';

/** By metric; undefined for one that is not counted. */
export type Counted = Readonly<Partial<Record<MetricName, MetricLabels>>>;

export interface MetricLabels {
  readonly removed: ReadonlySet<string>;
  readonly set: readonly (readonly [label: string, value: TextFormatter])[];
}

export const UNCHANGED: MetricLabels = { removed: new Set(), set: [] };

export class CountedMetrics {
  readonly #counted: Counted;
  /** Formats whose values tell series apart. */
  readonly #values: readonly TextFormatter[];

  constructor(counted: Counted) {
    this.#counted = counted;
    this.#values = Object.values(counted).flatMap(({ set }) => set.map(([, value]) => value));
  }

  /** Undefined where the metric is not counted. */
  labels(metric: MetricName, labels: Labels, record: FormatRecord): Labels | undefined {
    const changes = this.#counted[metric];
    if (!changes) return undefined;
    const { removed, set } = changes;
    if (removed.size === 0 && set.length === 0) return labels;
    const kept = labels.filter(([label]) => !removed.has(label));
    return [...kept, ...set.map(([label, value]) => [label, value(record)] as const)];
  }

  /** What tells series of the record apart besides their usual labels; empty where nothing does. */
  key(record: FormatRecord): string {
    // Each request asks, and hardly any has such labels.
    return this.#values.length === 0 ? '' : this.#values.map((value) => value(record)).join('\0');
  }
}

/** All of them, with their usual labels. */
export const EVERYTHING_COUNTED = new CountedMetrics(Object.fromEntries(METRIC_NAMES.map((name) => [name, UNCHANGED])));

const PREFIXES: ReadonlySet<string> = new Set([statsPrefix('source'), statsPrefix('destination')]);

/** Parts access logs into those that are written and what is counted. Throws `xds-invalid` and `xds-unsupported` for formats that are not understood. */
export function countedBy(
  logs: readonly AccessLog[],
  context: FormatContext,
): { readonly written: readonly AccessLog[]; readonly counted: CountedMetrics } {
  const written: AccessLog[] = [];
  const found: Partial<Record<MetricName, MetricLabels>> = {};
  let told = false;
  for (const log of logs) {
    const stats = ownStats(log);
    if (!stats) {
      written.push(log);
      continue;
    }
    told = true;
    for (const stat of stats) found[stat.name as MetricName] = labelsOf(stat, context);
  }
  return { written, counted: told ? new CountedMetrics(found) : EVERYTHING_COUNTED };
}

/** Undefined for a logger that does not count Istio's metrics. */
function ownStats({ configType, name }: AccessLog): readonly Config_Stat[] | undefined {
  const any = configType.case === 'typedConfig' ? configType.value : undefined;
  if (typeNameOf(any) !== ConfigSchema.typeName) return undefined;
  const { statsScope, counters, histograms } = unpack(any, ConfigSchema, `access log "${name}"`);
  if (!PREFIXES.has(statsScope?.prefix ?? '')) return undefined;
  return [...counters, ...histograms].flatMap(({ stat }) => (stat ? [stat] : []));
}

function labelsOf({ tags }: Config_Stat, context: FormatContext): MetricLabels {
  const format = (value: string) => compileText(value, context, true);
  const without = tags.find(({ name }) => name === STAT_TAGS.without)?.valueFormat;
  const set = tags
    .filter(({ name }) => name.startsWith(SET_TAG))
    .map((tag) => [tag.name.slice(SET_TAG.length), format(tag.valueFormat)] as const);
  const removed = without === undefined ? [] : without.replaceAll('%%', '%').split(',');
  // A label that is set has no other value.
  return { removed: new Set([...removed, ...set.map(([label]) => label)]), set };
}
