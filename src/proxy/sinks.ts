/** What takes the records of requests and connections: the access logs of a filter, and the metrics. */
import { hostname } from 'node:os';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { AccessLog } from '../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { STATS_FILTER } from '../xds/istio-stats.ts';
import type { NodeJson } from '../xds/node.ts';
import { LogFiles } from './access-log/files.ts';
import { combineSinks, createAccessLogSink } from './access-log/index.ts';
import type { AccessLogContext } from './access-log/logger.ts';
import type { LogServices, LogServicesOptions } from './access-log/services.ts';
import { Host } from './cluster/host.ts';
import type { Clusters } from './cluster/manager.ts';
import {
  type CountedMetrics,
  countedBy,
  countedByFilter,
  createHttpMetrics,
  createTcpMetrics,
  type IstioMetricsOptions,
  StatsRegistry,
  serviceOfMetadata,
  workloadOfNode,
} from './stats/index.ts';
import type { RecordSink } from './types.ts';

/** Different complaints about filters that count. */
const MOST_TOLD = 1000;

export interface SinksOptions {
  /** The proxy's xDS node; without it, Istio's metrics are not kept. */
  readonly node: NodeJson | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clusters: Clusters;
  readonly log: (message: string) => void;
  /** Take every record besides. */
  readonly observers: readonly RecordSink[];
}

export class Sinks {
  readonly registry = new StatsRegistry();
  readonly files: LogFiles;
  readonly #context: AccessLogContext;
  readonly #options: SinksOptions;
  readonly #told = new Set<string>();
  #services: LogServices | undefined;

  constructor(options: SinksOptions) {
    this.#options = options;
    this.files = new LogFiles({ onError: (path, reason) => options.log(`access log ${path}: ${reason}`) });
    this.registry.addSource(({ counter }) => {
      const { dropped, written } = this.files.counts;
      counter('access_log_file.lines_written', written);
      counter('access_log_file.lines_dropped', dropped);
    });
    const services = () => this.#services;
    this.#context = { hostname: hostname(), environment: options.environment, files: this.files, random: randomInteger, services };
  }

  /** The proxy's own cluster, as its node says; empty without one. */
  get serviceCluster(): string {
    return this.#options.node?.cluster ?? '';
  }

  /** For access loggers that send by gRPC. */
  async loadServices(ask: LogServicesOptions['ask']): Promise<void> {
    const { LogServices } = await import('./access-log/services.ts');
    this.#services ??= new LogServices({ ask, registry: this.registry, node: this.#options.node });
  }

  /** Files are written; what waits for services is sent, or so many ms have passed. */
  async flush(mostMs: number): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const end = new Promise<void>((resolve) => {
      late = setTimeout(resolve, mostMs);
    });
    await Promise.all([this.files.flush(), this.#services && Promise.race([this.#services.drained(), end])]);
    clearTimeout(late);
  }

  /** What is the same in all spans of the proxy, as Envoy has it. */
  get spanTags(): readonly (readonly [name: string, value: string])[] {
    const { node } = this.#options;
    return [
      ['node_id', node?.id ?? ''],
      ['zone', String(node?.locality.zone ?? '')],
    ];
  }

  get formatContext(): Pick<AccessLogContext, 'hostname' | 'environment'> {
    return this.#context;
  }

  /** @param counts Istio's own filter, if it is there. Throws `xds-unsupported`, `xds-invalid` or `access-log-unwritable`. */
  create(
    kind: 'http' | 'tcp',
    logs: readonly AccessLog[],
    statPrefix: string,
    direction: 'inbound' | 'outbound' | 'unspecified',
    counts?: Any,
  ): RecordSink {
    const { written, counted: told } = countedBy(logs, this.#context);
    const counted = counts ? countedByFilter(counts, this.#context, `${kind} "${statPrefix}", ${STATS_FILTER}`, this.#tellOnce) : told;
    const metrics = { registry: this.registry, statPrefix, istio: this.#istio(direction, counted) };
    return combineSinks([
      ...(written.length > 0 ? [createAccessLogSink(written, this.#context)] : []),
      ...this.#options.observers,
      kind === 'http' ? createHttpMetrics(metrics) : createTcpMetrics(metrics),
    ]);
  }

  /** Many listeners have the same filter. */
  readonly #tellOnce = (what: string): void => {
    if (this.#told.has(what) || this.#told.size >= MOST_TOLD) return;
    this.#told.add(what);
    this.#options.log(what);
  };

  /** Access logs alone: of connections that no filter took. */
  logs(logs: readonly AccessLog[]): RecordSink {
    return combineSinks([createAccessLogSink(logs, this.#context), ...this.#options.observers]);
  }

  #istio(direction: 'inbound' | 'outbound' | 'unspecified', counted: CountedMetrics): IstioMetricsOptions | undefined {
    const { node, clusters } = this.#options;
    if (!node) return undefined;
    return {
      self: workloadOfNode(node.metadata),
      counted,
      reporter: direction === 'inbound' ? 'destination' : 'source',
      serviceOf: (name) => serviceOfMetadata(clusters.get(name)?.config.metadata?.filterMetadata),
      workloadOf: ({ upstreamHost }) => (upstreamHost instanceof Host ? upstreamHost.workload : ''),
    };
  }
}

/** 0 ≤ n < 2^53. */
function randomInteger(): number {
  return Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
}
