/**
 * Istio's metrics out of a stock Envoy's page of metrics: access loggers count by what differs between requests (`xds/istio-stats.ts`), and here, where the page
 * is served, come the labels that follow from it and those that are the same for all requests of the proxy (`docs/decisions/fleet-metrics.md`).
 */
import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { JsonObject } from '@bufbuild/protobuf';
import { istioLabels, LAST_GRPC_STATUS, type WorkloadIdentity, workloadOfNode } from '../../proxy/stats/index.ts';
import { type Reporter, SET_TAG, STAT_TAGS } from '../../xds/istio-stats.ts';

type Labels = readonly (readonly [string, string])[];

/** A line of a series: which side, the name without `istio_`, the part of a histogram, labels, value. */
const SERIES = /^envoy_istio_(source|destination)_([a-z_]+?)(_bucket|_sum|_count)?\{(.*)\} (\S+)$/;
const TYPE = /^# (?:TYPE|HELP) envoy_istio_(?:source|destination)_/;
const LABEL = /([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

/** Takes Prometheus text (format 0.0.4) as Envoy writes it; all that is not of Istio's metrics passes as it is, and these follow at the end. */
export function istioMetrics(nodeMetadata: JsonObject): Transform {
  const self = workloadOfNode(nodeMetadata);
  const families = new Map<string, Family>();
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const passed = (line: string): string => {
    if (TYPE.test(line)) return '';
    const match = line.startsWith('envoy_istio_') ? SERIES.exec(line) : null;
    if (!match) return `${line}\n`;
    const [, reporter, name, part = '', labels, value] = match;
    add(families, `istio_${name}`, part, labelsOf(self, reporter as Reporter, name!, labels!), Number(value));
    return '';
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop()!;
      done(null, lines.map(passed).join(''));
    },
    flush(done) {
      if (rest !== '') this.push(passed(rest));
      for (const [name, family] of [...families].sort(([a], [b]) => (a < b ? -1 : 1))) this.push(textOf(name, family));
      done();
    },
  });
}

interface Family {
  readonly isHistogram: boolean;
  /** By name with its part and labels, as they are written. */
  readonly series: Map<string, number>;
}

/** What comes to the same labels is one series: sums of counters, and of the same buckets, are right. */
function add(families: Map<string, Family>, name: string, part: string, labels: string, value: number): void {
  let family = families.get(name);
  if (!family) {
    family = { isHistogram: part !== '', series: new Map() };
    families.set(name, family);
  }
  const key = `${name}${part}{${labels}}`;
  family.series.set(key, (family.series.get(key) ?? 0) + value);
}

function textOf(name: string, { isHistogram, series }: Family): string {
  const lines = [...series].map(([key, value]) => `${key} ${value}\n`);
  return `# TYPE ${name} ${isHistogram ? 'histogram' : 'counter'}\n${lines.join('')}`;
}

function labelsOf(self: WorkloadIdentity, reporter: Reporter, name: string, text: string): string {
  const tags = new Map<string, string>();
  for (const [, tag, value] of text.matchAll(LABEL)) tags.set(tag!, value!);
  const tag = (of: keyof typeof STAT_TAGS) => tags.get(STAT_TAGS[of]) ?? '';
  const [host = '', serviceName = '', namespace = ''] = tag('service').split(';');
  // Of several identities in a certificate the first.
  const principal = tag('principal').split(',')[0]!;
  const [labels, last] = istioLabels({
    self,
    reporter,
    service: host === '' ? undefined : { host, name: serviceName, namespace },
    cluster: tag('cluster'),
    workload: tag('workload'),
    principal,
    mutual: principal !== '',
  });
  const removed = new Set(tag('without').split(','));
  const set = [...tags].filter(([key]) => key.startsWith(SET_TAG)).map(([key, value]) => [key.slice(SET_TAG.length), value] as const);
  for (const [label] of set) removed.add(label);
  const all = [...labels, ...ofKind(name, tag), last].filter(([label]) => !removed.has(label));
  const le = tags.get('le');
  return [...all, ...set, ...(le === undefined ? [] : [['le', le] as const])].map(([label, value]) => `${label}="${value}"`).join(',');
}

function ofKind(name: string, tag: (of: keyof typeof STAT_TAGS) => string): Labels {
  const flags = ['response_flags', tag('flags')] as const;
  if (name.startsWith('tcp_')) return [['request_protocol', 'tcp'], flags];
  // Envoy tells a status of gRPC where the request was such.
  const grpc = tag('grpc');
  const status = grpc === '' || (Number(grpc) >= 0 && Number(grpc) <= LAST_GRPC_STATUS) ? grpc : 'other';
  return [['request_protocol', grpc === '' ? 'http' : 'grpc'], ['response_code', tag('code')], ['grpc_response_status', status], flags];
}
