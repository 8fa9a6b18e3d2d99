/** Access loggers that send to a service by gRPC (envoy/extensions/access_loggers/grpc/v3/als.proto). A module of its own, as its types are loaded only where a listener needs them. */
import { randomUUID } from 'node:crypto';
import { create, fromJson, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { httpEntry, type ToldHeaders, tcpEntry } from '../../http/access-log-service/entry.ts';
import type { FormatRecord } from '../../http/format/record.ts';
import { HeaderMap } from '../../http/header-map.ts';
import type { SideAnswer, SideCall } from '../../http/side-call.ts';
import { SallyportError } from '../../lib/errors.ts';
import { prefixOf } from '../../lib/grpc/messages.ts';
import { STATUS } from '../../lib/grpc/status.ts';
import { NodeSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { HTTPAccessLogEntry, TCPAccessLogEntry } from '../../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import {
  type CommonGrpcAccessLogConfig,
  HttpGrpcAccessLogConfigSchema,
  TcpGrpcAccessLogConfigSchema,
} from '../../xds/gen/envoy/extensions/access_loggers/grpc/v3/als_pb.js';
import { StreamAccessLogsMessageSchema } from '../../xds/gen/envoy/service/accesslog/v3/als_pb.js';
import type { NodeJson } from '../../xds/node.ts';
import { typeNameOf, unpack } from '../../xds/unpack.ts';
import { Exporter, type ExporterOptions } from '../exporter.ts';
import type { StatsRegistry } from '../stats/index.ts';

export interface LogServicesOptions {
  readonly ask: ExporterOptions<never>['ask'];
  readonly registry: StatsRegistry;
  readonly node: NodeJson | undefined;
}

const PATH = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs';
/** For one message, ms. */
const TIMEOUT_MS = 10_000;
/** Of a service that has not read what it was sent. Others, as of one that takes the end of the stream for an error, have. */
const UNREAD: ReadonlySet<string> = new Set(
  [STATUS.unavailable, STATUS.unimplemented, STATUS.unauthenticated, STATUS.permissionDenied, STATUS.resourceExhausted].map(String),
);

/** Of one kind of logger. */
interface Kind {
  readonly common: CommonGrpcAccessLogConfig;
  readonly entryOf: (record: FormatRecord) => Entry;
  readonly logsOf: (entries: readonly Entry[]) => MessageInitShape<typeof StreamAccessLogsMessageSchema>['logEntries'];
}
type Entry = HTTPAccessLogEntry | TCPAccessLogEntry;

/** The services of one thread: loggers of one configuration share its batches. */
export class LogServices {
  readonly #options: LogServicesOptions;
  readonly #exporters = new Map<string, Exporter<Entry>>();

  constructor(options: LogServicesOptions) {
    this.#options = options;
  }

  /** What takes records for a logger. Throws `xds-invalid` or `xds-unsupported`. */
  logger(any: Any, where: string): (record: FormatRecord) => void {
    const kind = typeNameOf(any) === TcpGrpcAccessLogConfigSchema.typeName ? tcpKind(any, where) : httpKind(any, where);
    const target = targetOf(kind.common, where);
    const key = `${any.typeUrl} ${Buffer.from(any.value).toString('base64')}`;
    const exporter = this.#exporters.get(key) ?? this.#exporter(kind, target);
    this.#exporters.set(key, exporter);
    return (record) => exporter.add(kind.entryOf(record));
  }

  /** Resolves when all that waits has been sent or dropped. */
  async drained(): Promise<void> {
    await Promise.all([...this.#exporters.values()].map((exporter) => exporter.drained()));
  }

  #exporter({ common: { logName }, logsOf }: Kind, target: Target): Exporter<Entry> {
    const { ask, registry, node } = this.#options;
    const identifier = { node: node ? fromJson(NodeSchema, node) : create(NodeSchema), logName };
    const callOf = (entries: readonly Entry[]) => {
      const message = create(StreamAccessLogsMessageSchema, { identifier, logEntries: logsOf(entries) });
      return callTo(target, toBinary(StreamAccessLogsMessageSchema, message));
    };
    const sent = registry.counter('access_logs.grpc_access_log.logs_written');
    const dropped = registry.counter('access_logs.grpc_access_log.logs_dropped');
    return new Exporter({ callOf, isTaken, ask, sent, dropped });
  }
}

function httpKind(any: Any, where: string): Kind {
  const config = unpack(any, HttpGrpcAccessLogConfigSchema, where);
  const inLowerCase = (names: readonly string[]) => names.map((name) => name.toLowerCase());
  const told: ToldHeaders = {
    request: inLowerCase(config.additionalRequestHeadersToLog),
    response: inLowerCase(config.additionalResponseHeadersToLog),
    trailers: inLowerCase(config.additionalResponseTrailersToLog),
  };
  return {
    common: commonOf(config.commonConfig, where),
    entryOf: (record) => httpEntry(record, randomUUID(), told),
    logsOf: (entries) => ({ case: 'httpLogs', value: { logEntry: entries as HTTPAccessLogEntry[] } }),
  };
}

function tcpKind(any: Any, where: string): Kind {
  return {
    common: commonOf(unpack(any, TcpGrpcAccessLogConfigSchema, where).commonConfig, where),
    entryOf: (record) => tcpEntry(record, randomUUID()),
    logsOf: (entries) => ({ case: 'tcpLogs', value: { logEntry: entries as TCPAccessLogEntry[] } }),
  };
}

function commonOf(config: CommonGrpcAccessLogConfig | undefined, where: string): CommonGrpcAccessLogConfig {
  if (!config?.logName) throw new SallyportError('xds-invalid', `${where}: common_config has no log_name`);
  if (config.customTags.length > 0)
    throw new SallyportError('xds-unsupported', `${where}: common_config.custom_tags are not sent by this proxy`);
  return config;
}

interface Target {
  readonly cluster: string;
  readonly authority: string;
}

function targetOf({ grpcService }: CommonGrpcAccessLogConfig, where: string): Target {
  const target = grpcService?.targetSpecifier;
  if (target?.case !== 'envoyGrpc' || target.value.clusterName === '')
    throw new SallyportError('xds-unsupported', `${where}: common_config.grpc_service has to name a cluster in envoy_grpc`);
  const { clusterName: cluster, authority } = target.value;
  return { cluster, authority: authority || cluster };
}

/** A stream of one message: a service reads streams to their end. */
function callTo({ cluster, authority }: Target, message: Uint8Array): SideCall {
  const headers = new HeaderMap(['te', 'trailers', 'content-type', 'application/grpc']);
  const body = Buffer.concat([prefixOf(message), message]);
  return { cluster, method: 'POST', path: PATH, authority, scheme: 'http', headers, body, timeoutMs: TIMEOUT_MS };
}

function isTaken(answer: SideAnswer | undefined): boolean {
  if (answer?.status !== 200) return false;
  const status = answer.trailers?.get('grpc-status') ?? answer.headers.get('grpc-status');
  return status !== undefined && !UNREAD.has(status);
}
