/** Access logs as Telemetry and MeshConfig ask for them. */
import { create, type JsonObject } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/index.ts';
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
} from '../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { type FileAccessLog, FileAccessLogSchema } from '../xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js';
import { logFilter } from '../xds/log-filter.ts';
import { serviceLog } from './log-services.ts';
import type { ChosenLog, FileLog, LoggedConfig } from './logging.ts';
import type { LogMode } from './model.ts';
import { typedConfig } from './proto.ts';
import { atEnd, statsLoggers } from './stats-logger.ts';

/** Istio's defaults; each name of a field beside the command that fills it. */
const DEFAULT_TEXT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% ' +
  '%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

const DEFAULT_JSON: JsonObject = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};

/** One line for each request or connection, of each log; none where neither Telemetry nor the mesh asks for one. Where access loggers count, these besides. */
export function accessLogs(config: LoggedConfig, mode: LogMode, kind: 'http' | 'tcp'): AccessLog[] {
  const written = writtenLogs(config, mode);
  const counting = config.counting?.modes[mode];
  if (!counting) return written;
  if (kind === 'tcp' && logsWhenConnected(config)) for (const log of written) log.filter = atEnd(log.filter);
  return [...written, ...statsLoggers(counting, mode === 'CLIENT' ? 'source' : 'destination', kind)];
}

/** Whether TCP proxies log connections when they have reached their server, besides when they end. */
export function logsWhenConnected({ counting }: LoggedConfig): boolean {
  return counting?.by === 'envoy';
}

function writtenLogs(config: LoggedConfig, mode: LogMode): AccessLog[] {
  const chosen = config.logging?.[mode];
  if (chosen) return chosen.map((log) => create(AccessLogSchema, { ...providerLog(log), ...filtered(log) }));
  return config.accessLogFile ? [create(AccessLogSchema, fileLog(config))] : [];
}

/** Only connections that no filter chain takes: the filters log the others. */
export function listenerAccessLogs(config: LoggedConfig, mode: LogMode): AccessLog[] {
  if (config.disableEnvoyListenerLog) return [];
  const refused = create(AccessLogFilterSchema, { filterSpecifier: { case: 'responseFlagFilter', value: { flags: ['NR'] } } });
  const chosen = config.logging?.[mode];
  if (!chosen) return config.accessLogFile ? [create(AccessLogSchema, { ...fileLog(config), filter: refused })] : [];
  return chosen.map((log) => {
    const { filter } = filtered(log);
    const both = filter && create(AccessLogFilterSchema, { filterSpecifier: { case: 'andFilter', value: { filters: [refused, filter] } } });
    return create(AccessLogSchema, { ...providerLog(log), filter: both ?? refused });
  });
}

function filtered({ expression }: ChosenLog): { readonly filter?: AccessLogFilter } {
  const filter = expression === undefined ? undefined : logFilter(expression);
  return filter ? { filter } : {};
}

function providerLog({ to }: ChosenLog) {
  return to.service ? serviceLog(to.service) : providerFileLog(to.file);
}

function providerFileLog({ path, logFormat, omitEmptyValues }: FileLog) {
  const labels = logFormat && logFormat.text === undefined ? ((logFormat.labels ?? {}) as JsonObject) : undefined;
  const format = labels
    ? ({ case: 'jsonFormat', value: Object.keys(labels).length > 0 ? labels : DEFAULT_JSON } as const)
    : ({ case: 'textFormatSource', value: { specifier: { case: 'inlineString', value: textFormat(logFormat?.text ?? '') } } } as const);
  const value = { format, omitEmptyValues: omitEmptyValues ?? false };
  return {
    name: 'envoy.access_loggers.file',
    configType: typedConfig(FileAccessLogSchema, { path, accessLogFormat: { case: 'logFormat', value } }),
  };
}

function fileLog(config: MeshConfig) {
  return {
    name: 'envoy.access_loggers.file',
    configType: typedConfig(FileAccessLogSchema, { path: config.accessLogFile, accessLogFormat: format(config) }),
  };
}

function format({ accessLogEncoding, accessLogFormat }: MeshConfig): FileAccessLog['accessLogFormat'] {
  const value =
    accessLogEncoding === 'JSON'
      ? ({ format: { case: 'jsonFormat', value: jsonFormat(accessLogFormat) } } as const)
      : ({
          format: { case: 'textFormatSource', value: { specifier: { case: 'inlineString', value: textFormat(accessLogFormat) } } },
        } as const);
  return create(FileAccessLogSchema, { accessLogFormat: { case: 'logFormat', value } }).accessLogFormat;
}

function textFormat(format: string): string {
  if (!format) return DEFAULT_TEXT;
  return format.endsWith('\n') ? format : `${format}\n`;
}

/** Istio falls back to its own format where the given one is no JSON object. */
function jsonFormat(format: string): JsonObject {
  if (!format) return DEFAULT_JSON;
  try {
    const parsed: unknown = JSON.parse(format);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as JsonObject) : DEFAULT_JSON;
  } catch {
    return DEFAULT_JSON;
  }
}
