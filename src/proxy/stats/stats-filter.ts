/** Which of Istio's metrics are counted, and with which labels, as Istio's control plane tells its own filter (Telemetry's metrics overrides). */
import type { Any } from '@bufbuild/protobuf/wkt';
import type { FormatContext } from '../../http/format/operator.ts';
import { compileText, type TextFormatter } from '../../http/format/text.ts';
import { type MetricConfig, PluginConfigSchema } from '../../xds/gen/istio/stats_pb.js';
import { labelFormat, METRIC_NAMES, type MetricName } from '../../xds/istio-stats.ts';
import { unpack } from '../../xds/unpack.ts';
import { CountedMetrics, EVERYTHING_COUNTED } from './counted.ts';

/** What becomes of a metric while entries are read. */
interface Draft {
  dropped: boolean;
  readonly removed: Set<string>;
  readonly set: Map<string, TextFormatter>;
}

/** @param any of the filter; @param tell hears what has no effect. Throws `xds-invalid` for what is no configuration of the filter */
export function countedByFilter(any: Any, context: FormatContext, where: string, tell: (what: string) => void): CountedMetrics {
  const { metrics, definitions } = unpack(any, PluginConfigSchema, where);
  for (const { name } of definitions) tell(`${where}: the metric ${name} is defined, which is not done here`);
  if (metrics.length === 0) return EVERYTHING_COUNTED;
  const drafts = new Map(METRIC_NAMES.map((name): [MetricName, Draft] => [name, { dropped: false, removed: new Set(), set: new Map() }]));
  for (const metric of metrics) {
    const meant = metric.name === '' ? [...drafts.values()] : [drafts.get(metric.name as MetricName)].filter((one) => one !== undefined);
    if (meant.length === 0) tell(`${where}: changes the metric ${metric.name}, which there is not here`);
    if (metric.match !== '') tell(`${where}: counts only "${metric.match}" of ${metric.name || 'all metrics'}: all of it is counted`);
    for (const draft of meant) change(draft, metric, context, (what) => tell(`${where}: ${what}`));
  }
  const kept = [...drafts].filter(([, { dropped }]) => !dropped);
  // A label that is set has no other value.
  return new CountedMetrics(
    Object.fromEntries(kept.map(([name, { removed, set }]) => [name, { removed: new Set([...removed, ...set.keys()]), set: [...set] }])),
  );
}

function change(
  draft: Draft,
  { drop, tagsToRemove, dimensions }: MetricConfig,
  context: FormatContext,
  tell: (what: string) => void,
): void {
  draft.dropped = drop;
  for (const label of tagsToRemove) {
    draft.set.delete(label);
    draft.removed.add(label);
  }
  for (const [label, expression] of Object.entries(dimensions)) {
    const format = LABEL.test(label) ? labelFormat(expression) : undefined;
    if (format === undefined) tell(`sets the label ${label} to "${expression}", which is not understood here: it is not set`);
    else draft.set.set(label, compileText(format, context, true));
  }
}

/** As Prometheus has them. */
const LABEL = /^[A-Za-z_][A-Za-z0-9_]*$/;
