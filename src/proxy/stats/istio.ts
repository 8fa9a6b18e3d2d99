/**
 * Istio's standard metrics, one series a combination of labels, found through small maps so that a request costs a lookup. The names, labels and their order
 * are those of Istio's stats filter.
 */
import type { JsonObject } from '@bufbuild/protobuf';
import { grpcStatus } from '../../http/format/operators.ts';
import type { MetricName, Reporter } from '../../xds/istio-stats.ts';
import type { AccessRecord } from '../types.ts';
import { type CountedMetrics, EVERYTHING_COUNTED } from './counted.ts';
import { type Counter, Histogram, type Labels, type StatsRegistry } from './registry.ts';

/** What labels tell of one side of a call. */
export interface WorkloadIdentity {
  readonly workload: string;
  readonly namespace: string;
  readonly app: string;
  readonly version: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly cluster: string;
}

interface ServiceIdentity {
  /** Fully qualified host, name and namespace of the destination service. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

export interface IstioMetricsOptions {
  /** This proxy's own workload, from the metadata of its xDS node. */
  readonly self: WorkloadIdentity;
  /** `destination` for inbound listeners, `source` for outbound ones and for gateways. */
  readonly reporter: Reporter;
  /** Cluster metadata `istio.services[0]`, by the cluster's name; undefined where there is none. */
  readonly serviceOf: (cluster: string) => ServiceIdentity | undefined;
  /** The workload behind an upstream host as endpoint metadata `istio.workload` has it (see `parseWorkload`); empty where it is not known. */
  readonly workloadOf?: (record: AccessRecord) => string;
  /** Everything unless something else is said. */
  readonly counted?: CountedMetrics;
}

const UNKNOWN: WorkloadIdentity = {
  workload: 'unknown',
  namespace: 'unknown',
  app: 'unknown',
  version: 'unknown',
  canonicalService: 'unknown',
  canonicalRevision: 'latest',
  cluster: 'unknown',
};

/**
 * Series that one sink makes at the most. Their labels hold what the configuration names, statuses, and the identities of peers, so that few meshes come
 * near; what is beyond counts in one series more, whose response code and flags are `other`.
 */
const MAX_SERIES = 5000;
/** The highest status that gRPC defines. */
export const LAST_GRPC_STATUS = 16;

/** Those that are not counted are in no registry. */
interface HttpSeries {
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
}

/** Undefined for a metric that is not counted. */
type LabelsOf = (metric: MetricName) => Labels | undefined;

interface TcpSeries {
  readonly opened: Counter;
  readonly closed: Counter;
  readonly sent: Counter;
  readonly received: Counter;
}

/** The workload of a node's metadata, as Istio's injector and our control plane write it (WORKLOAD_NAME, NAMESPACE, LABELS, CLUSTER_ID). */
export function workloadOfNode(metadata: JsonObject | undefined): WorkloadIdentity {
  const text = (value: unknown, missing: string) => (typeof value === 'string' && value !== '' ? value : missing);
  const labels = metadata?.LABELS;
  const label = (name: string) => (typeof labels === 'object' && labels !== null && !Array.isArray(labels) ? labels[name] : undefined);
  const workload = text(metadata?.WORKLOAD_NAME, text(metadata?.NAME, 'unknown'));
  const app = text(label('app.kubernetes.io/name'), text(label('app'), ''));
  const version = text(label('app.kubernetes.io/version'), text(label('version'), ''));
  return {
    workload,
    namespace: text(metadata?.NAMESPACE, 'unknown'),
    app: text(label('app'), 'unknown'),
    version: text(label('version'), 'unknown'),
    canonicalService: text(label('service.istio.io/canonical-name'), app || workload),
    canonicalRevision: text(label('service.istio.io/canonical-revision'), version || 'latest'),
    cluster: text(metadata?.CLUSTER_ID, 'unknown'),
  };
}

/** `name;namespace;canonical service;canonical revision;cluster`, as Istio writes a workload into endpoint metadata. */
export function parseWorkload(text: string): WorkloadIdentity {
  const [workload, namespace, canonicalService, canonicalRevision, cluster] = text.split(';');
  return {
    workload: workload || 'unknown',
    namespace: namespace || 'unknown',
    app: canonicalService || 'unknown',
    version: canonicalRevision || 'unknown',
    canonicalService: canonicalService || 'unknown',
    canonicalRevision: canonicalRevision || 'latest',
    cluster: cluster || 'unknown',
  };
}

/** The service of a cluster's metadata. */
export function serviceOfMetadata(metadata: Readonly<Record<string, JsonObject>> | undefined): ServiceIdentity | undefined {
  const services = metadata?.istio?.services;
  const first = Array.isArray(services) ? services[0] : undefined;
  if (typeof first !== 'object' || first === null || Array.isArray(first)) return undefined;
  const { host, name, namespace } = first;
  if (typeof host !== 'string') return undefined;
  return { host, name: typeof name === 'string' ? name : host, namespace: typeof namespace === 'string' ? namespace : 'unknown' };
}

export class IstioMetrics {
  readonly #registry: StatsRegistry;
  readonly #options: IstioMetricsOptions;
  readonly #counted: CountedMetrics;
  readonly #http = new Map<string, Map<string | number, HttpSeries>>();
  readonly #tcp = new Map<string, TcpSeries>();
  #count = 0;
  #other: HttpSeries | undefined;
  #otherTcpSeries: TcpSeries | undefined;

  constructor(registry: StatsRegistry, options: IstioMetricsOptions) {
    this.#registry = registry;
    this.#options = options;
    this.#counted = options.counted ?? EVERYTHING_COUNTED;
  }

  http(record: AccessRecord): void {
    const series = this.#httpSeries(record);
    series.requests.value++;
    series.duration.record(record.ended > 0 ? record.ended - record.started : 0);
    series.requestBytes.record(record.bytesReceived);
    series.responseBytes.record(record.bytesSent);
  }

  opened(record: AccessRecord): void {
    this.#tcpSeries(record).opened.value++;
  }

  closed(record: AccessRecord): void {
    const series = this.#tcpSeries(record);
    series.closed.value++;
    series.sent.value += record.bytesSent;
    series.received.value += record.bytesReceived;
  }

  #httpSeries(record: AccessRecord): HttpSeries {
    let byCode = this.#http.get(record.upstreamCluster);
    const key = this.#httpKey(record);
    let series = byCode?.get(key);
    if (series) return series;
    if (this.#count >= MAX_SERIES) return this.#otherHttp();
    this.#count++;
    const service = this.#options.serviceOf(record.upstreamCluster);
    const grpc = grpcLabel(record);
    const [peers, security] = this.#labels(record, service);
    const labels: Labels = [
      ...peers,
      ['request_protocol', protocolOf(record)],
      ['response_code', String(record.responseCode)],
      ['grpc_response_status', grpc],
      ['response_flags', record.flags.join(',') || '-'],
      security,
    ];
    series = this.#createHttp((metric) => this.#counted.labels(metric, labels, record));
    if (!byCode) {
      byCode = new Map();
      this.#http.set(record.upstreamCluster, byCode);
    }
    byCode.set(key, series);
    return series;
  }

  /** Most requests have no flags, no gRPC and no peer that matters: their status is the whole key. */
  #httpKey(record: AccessRecord): string | number {
    const grpc = grpcLabel(record);
    const peer = this.#peer(record);
    const target = this.#options.workloadOf?.(record) ?? '';
    const set = this.#counted.key(record);
    if (record.flags.length === 0 && grpc === '' && peer === '' && target === '' && set === '' && record.protocol !== 'HTTP/2')
      return record.responseCode;
    return `${record.responseCode}\0${record.flags.join(',')}\0${grpc}\0${peer}\0${target}\0${protocolOf(record)}\0${set}`;
  }

  /** What would make more series than there may be. */
  #otherHttp(): HttpSeries {
    this.#other ??= this.#createHttp(() => [
      ['reporter', this.#options.reporter],
      ['request_protocol', 'http'],
      ['response_code', 'other'],
      ['response_flags', 'other'],
    ]);
    return this.#other;
  }

  #createHttp(labelsOf: LabelsOf): HttpSeries {
    return {
      requests: this.#counter('requests_total', labelsOf),
      duration: this.#histogram('request_duration_milliseconds', labelsOf),
      requestBytes: this.#histogram('request_bytes', labelsOf),
      responseBytes: this.#histogram('response_bytes', labelsOf),
    };
  }

  #counter(name: MetricName, labelsOf: LabelsOf): Counter {
    const labels = labelsOf(name);
    return labels ? this.#registry.counter(`istio_${name}`, labels) : { value: 0 };
  }

  #histogram(name: MetricName, labelsOf: LabelsOf): Histogram {
    const labels = labelsOf(name);
    return labels ? this.#registry.histogram(`istio_${name}`, labels) : new Histogram();
  }

  #tcpSeries(record: AccessRecord): TcpSeries {
    const service = this.#options.serviceOf(record.upstreamCluster);
    const peer = this.#peer(record);
    const target = this.#options.workloadOf?.(record) ?? '';
    const key = `${record.upstreamCluster}\0${record.flags.join(',')}\0${peer}\0${target}\0${this.#counted.key(record)}`;
    let series = this.#tcp.get(key);
    if (series) return series;
    if (this.#count >= MAX_SERIES) return this.#otherTcp();
    this.#count++;
    const [peers, security] = this.#labels(record, service);
    const labels: Labels = [...peers, ['request_protocol', 'tcp'], ['response_flags', record.flags.join(',') || '-'], security];
    series = this.#createTcp((metric) => this.#counted.labels(metric, labels, record));
    this.#tcp.set(key, series);
    return series;
  }

  #otherTcp(): TcpSeries {
    this.#otherTcpSeries ??= this.#createTcp(() => [
      ['reporter', this.#options.reporter],
      ['request_protocol', 'tcp'],
      ['response_flags', 'other'],
    ]);
    return this.#otherTcpSeries;
  }

  #createTcp(labelsOf: LabelsOf): TcpSeries {
    return {
      opened: this.#counter('tcp_connections_opened_total', labelsOf),
      closed: this.#counter('tcp_connections_closed_total', labelsOf),
      sent: this.#counter('tcp_sent_bytes_total', labelsOf),
      received: this.#counter('tcp_received_bytes_total', labelsOf),
    };
  }

  /** The identity of the client, where labels tell it. */
  #peer({ downstream }: AccessRecord): string {
    return this.#options.reporter === 'destination' ? (downstream.tls?.peer?.uriSans[0] ?? '') : '';
  }

  #labels(record: AccessRecord, service: ServiceIdentity | undefined): [Labels, readonly [string, string]] {
    const { self, reporter, workloadOf } = this.#options;
    const peer = reporter === 'destination' ? record.downstream.tls?.peer : undefined;
    return istioLabels({
      self,
      reporter,
      service,
      cluster: record.upstreamCluster,
      workload: workloadOf?.(record) ?? '',
      principal: peer?.uriSans[0] ?? '',
      mutual: peer !== undefined,
    });
  }
}

/** What labels are made of. */
export interface LabelledCall {
  readonly self: WorkloadIdentity;
  readonly reporter: Reporter;
  readonly service: ServiceIdentity | undefined;
  readonly cluster: string;
  /** Of the destination, as endpoint metadata has it; empty where it is not known. */
  readonly workload: string;
  /** Of the client, at its destination; empty where it is not known. */
  readonly principal: string;
  readonly mutual: boolean;
}

/** The labels that all of Istio's metrics begin with, and the one that they end with. */
export function istioLabels(call: LabelledCall): [Labels, readonly [string, string]] {
  const { self, reporter, service, mutual } = call;
  const outbound = reporter === 'source';
  const source = outbound ? self : clientOf(call.principal);
  const destination = outbound ? (call.workload === '' ? UNKNOWN : parseWorkload(call.workload)) : self;
  // What has no service of its own is known by its cluster: PassthroughCluster, BlackHoleCluster, …
  const fallback = call.cluster || 'unknown';
  const labels: Labels = [
    ['reporter', reporter],
    ['source_workload', source.workload],
    ['source_canonical_service', source.canonicalService],
    ['source_canonical_revision', source.canonicalRevision],
    ['source_workload_namespace', source.namespace],
    ['source_principal', call.principal || 'unknown'],
    ['source_app', source.app],
    ['source_version', source.version],
    ['source_cluster', source.cluster],
    ['destination_workload', destination.workload],
    ['destination_workload_namespace', destination.namespace],
    ['destination_principal', 'unknown'],
    ['destination_app', destination.app],
    ['destination_version', destination.version],
    ['destination_service', service?.host ?? 'unknown'],
    ['destination_canonical_service', destination.canonicalService],
    ['destination_canonical_revision', destination.canonicalRevision],
    ['destination_service_name', service?.name ?? fallback],
    ['destination_service_namespace', service?.namespace ?? 'unknown'],
    ['destination_cluster', destination.cluster],
  ];
  return [labels, ['connection_security_policy', outbound ? 'unknown' : mutual ? 'mutual_tls' : 'none']];
}

/** Of a client that is known by its identity alone, the namespace (`spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`). */
function clientOf(principal: string): WorkloadIdentity {
  const namespace = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/[^/]+$/.exec(principal)?.[1];
  return namespace === undefined ? UNKNOWN : { ...UNKNOWN, namespace };
}

function protocolOf(record: AccessRecord): string {
  return record.requestHeaders?.get('content-type')?.startsWith('application/grpc') ? 'grpc' : 'http';
}

/** Empty where a request was no gRPC. A server may send any number; those that gRPC does not define are one. */
function grpcLabel(record: AccessRecord): string {
  const status = grpcStatus(record);
  if (status === undefined) return '';
  return status > LAST_GRPC_STATUS ? 'other' : String(status);
}
