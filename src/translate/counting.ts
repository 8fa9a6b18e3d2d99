/**
 * Istio's metrics as Telemetry changes them: which are counted, and which labels are taken away or set. In the order of `telemetryLayers`, so that the narrower
 * object has the last word.
 */

import type { MeshConfig, ResourceOf } from '../api/index.ts';
import { table } from '../lib/table.ts';
import { labelFormat, METRIC_NAMES, type MetricName } from '../xds/istio-stats.ts';
import type { LogMode } from './model.ts';

type Telemetry = ResourceOf<'Telemetry'>;
type Entry = Telemetry['spec']['metrics'][number];
type Override = Entry['overrides'][number];

/** What becomes of the labels of one metric. Plain data: it stands in the configuration. */
export interface LabelChanges {
  readonly removed: readonly string[];
  /** Formats of command operators, by label. */
  readonly set: Readonly<Record<string, string>>;
}

/** The metrics that are counted. */
export type Counting = Readonly<Partial<Record<MetricName, LabelChanges>>>;

/** What Telemetry calls them. Messages of gRPC streams are not counted. */
const NAMES: Readonly<Record<string, MetricName | undefined>> = table({
  REQUEST_COUNT: 'requests_total',
  REQUEST_DURATION: 'request_duration_milliseconds',
  REQUEST_SIZE: 'request_bytes',
  RESPONSE_SIZE: 'response_bytes',
  TCP_OPENED_CONNECTIONS: 'tcp_connections_opened_total',
  TCP_CLOSED_CONNECTIONS: 'tcp_connections_closed_total',
  TCP_SENT_BYTES: 'tcp_sent_bytes_total',
  TCP_RECEIVED_BYTES: 'tcp_received_bytes_total',
});

export const EVERYTHING: Counting = Object.fromEntries(METRIC_NAMES.map((name) => [name, { removed: [], set: {} }]));

/** `tell` hears what has no effect, and of which object. */
export function countingOf(
  layers: readonly Telemetry[],
  config: MeshConfig,
  mode: LogMode,
  tell: (by: Telemetry, what: string) => void,
): Counting {
  const disabled = new Map<MetricName, boolean>();
  const labels = new Map<MetricName, Map<string, string | undefined>>();
  for (const by of layers) {
    for (const entry of by.spec.metrics) {
      const strange = entry.providers.find(({ name }) => !isPrometheus(config, name));
      if (strange) {
        tell(by, `names metrics provider ${strange.name}, which is not for Prometheus: metrics are served for Prometheus only here`);
        if (entry.providers.every(({ name }) => !isPrometheus(config, name))) continue;
      }
      for (const override of entry.overrides) {
        const { match } = override;
        if (match?.customMetric !== undefined) tell(by, `changes the metric ${match.customMetric}, which there is not here`);
        if (match?.mode !== undefined && match.mode !== 'CLIENT_AND_SERVER' && match.mode !== mode) continue;
        const changes = changesOf(override, (what) => tell(by, what));
        for (const metric of metricsOf(override)) {
          if (override.disabled !== undefined) disabled.set(metric, override.disabled);
          const known = labels.get(metric) ?? new Map<string, string | undefined>();
          for (const [label, format] of changes) known.set(label, format);
          labels.set(metric, known);
        }
      }
    }
  }
  const counted = METRIC_NAMES.filter((name) => !disabled.get(name));
  return Object.fromEntries(counted.map((name) => [name, split(labels.get(name) ?? new Map())]));
}

/** Whether nothing is changed. */
export function isEverything(counting: Counting): boolean {
  return METRIC_NAMES.every((name) => counting[name]?.removed.length === 0 && Object.keys(counting[name].set).length === 0);
}

function metricsOf({ match }: Override): readonly MetricName[] {
  if (match?.customMetric !== undefined) return [];
  if (match?.metric === undefined || match.metric === 'ALL_METRICS') return METRIC_NAMES;
  const name = NAMES[match.metric];
  return name ? [name] : [];
}

/** Formats by label; undefined for one that goes. */
function changesOf({ tagOverrides }: Override, tell: (what: string) => void): Map<string, string | undefined> {
  const changes = new Map<string, string | undefined>();
  for (const [label, { operation, value }] of Object.entries(tagOverrides)) {
    if (operation === 'REMOVE') changes.set(label, undefined);
    else if (!LABEL.test(label)) tell(`sets the label "${label}", which is no name of a label: it is not set`);
    else {
      const format = labelFormat(value ?? '');
      if (format === undefined) tell(`sets the label ${label} to "${value ?? ''}", which is not understood here: it is not set`);
      else changes.set(label, format);
    }
  }
  return changes;
}

const LABEL = /^[A-Za-z_][A-Za-z0-9_]*$/;

function split(changes: ReadonlyMap<string, string | undefined>): LabelChanges {
  const sorted = [...changes].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    removed: sorted.filter(([, format]) => format === undefined).map(([label]) => label),
    set: Object.fromEntries(sorted.filter((each): each is [string, string] => each[1] !== undefined)),
  };
}

/** Istio's default MeshConfig has the provider prometheus. */
function isPrometheus({ extensionProviders }: MeshConfig, wanted: string): boolean {
  const found = extensionProviders.find(({ name }) => name.toLowerCase() === wanted.toLowerCase());
  return found ? found.prometheus !== undefined : wanted.toLowerCase() === 'prometheus';
}
