/** Envoy's command operators, each compiled to a function of the record. */
import { SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';
import type { HeaderMap } from '../header-map.ts';
import { RESPONSE_FLAG_NAMES } from './flags.ts';
import type { FormatContext, Operator, OperatorFactory } from './operator.ts';
import { METADATA_OPERATORS } from './operators-metadata.ts';
import { TLS_OPERATORS } from './operators-tls.ts';
import type { Command } from './parse.ts';
import type { FormatAddress, FormatRecord } from './record.ts';
import { compileTimeFormat, isoTime } from './time.ts';

/** Throws `xds-unsupported` for an operator that is not known, `xds-invalid` for arguments that it does not take. */
export function compileOperator(command: Command, context: FormatContext): Operator {
  const factory = FACTORIES[command.name];
  if (!factory) throw new SallyportError('xds-unsupported', `format string: the command operator %${command.name}% is not known`);
  const operator = factory(command.args, context);
  const { maxLength } = command;
  if (maxLength === undefined) return operator;
  return (record) => {
    const value = operator(record);
    return typeof value === 'string' && value.length > maxLength ? value.slice(0, maxLength) : value;
  };
}

/** An operator without arguments. */
const plain =
  (operator: Operator): OperatorFactory =>
  (args) => {
    if (args !== undefined && args !== '')
      throw new SallyportError('xds-invalid', `format string: "(${args})" stands after an operator that takes no arguments`);
    return operator;
  };

function required(args: string | undefined, operator: string): string {
  if (!args) throw new SallyportError('xds-invalid', `format string: %${operator}% needs an argument in parentheses`);
  return args;
}

const text = (value: string): string | undefined => value || undefined;

/** `ip:port`, with brackets around IPv6; the path of a unix socket. */
function formatAddress(address: FormatAddress): string {
  return address.ip.includes(':')
    ? `[${address.ip}]:${address.port}`
    : address.ip.startsWith('/')
      ? address.ip
      : `${address.ip}:${address.port}`;
}

/** Whole milliseconds between two marks; undefined while one of them is missing. */
const between = (from: number, to: number): number | undefined => (from > 0 && to > 0 ? Math.max(0, Math.floor(to - from)) : undefined);

/** Spaces would break the columns of a line. */
const withoutSpaces = (value: string): string | undefined =>
  value === '' ? undefined : value.includes(' ') ? value.replace(/\s/g, '_') : value;

type Side = 'request' | 'response' | 'trailer';

const PSEUDO: Readonly<Record<string, (record: FormatRecord) => string | undefined>> = table({
  ':method': (record) => text(record.method),
  ':path': (record) => text(record.path),
  ':authority': (record) => text(record.authority),
  host: (record) => text(record.authority),
  ':scheme': (record) => text(record.scheme),
});

/** Reads a header of a message; of a repeated one the first value, as Envoy does. */
function headerOperator(side: Side, name: string): (record: FormatRecord) => string | undefined {
  if (side === 'request') return PSEUDO[name] ?? ((record) => record.requestHeaders?.get(name));
  if (side === 'trailer') return (record) => record.responseTrailers?.get(name);
  if (name === ':status') return (record) => (record.responseCode ? String(record.responseCode) : undefined);
  return (record) => record.responseHeaders?.get(name);
}

/** `NAME` or `NAME?ALTERNATIVE`. */
function headers(side: Side, operator: string): OperatorFactory {
  return (args) => {
    const [main, alternative, more] = required(args, operator).toLowerCase().split('?');
    if (more !== undefined) throw new SallyportError('xds-invalid', `format string: %${operator}(${args})% has more than one alternative`);
    const first = headerOperator(side, main!);
    if (alternative === undefined) return first;
    const second = headerOperator(side, alternative);
    return (record) => first(record) ?? second(record);
  };
}

function address(read: (record: FormatRecord) => FormatAddress | undefined, part: 'whole' | 'ip' | 'port'): OperatorFactory {
  return plain((record) => {
    const value = read(record);
    if (!value || value.ip === '') return undefined;
    return part === 'whole' ? formatAddress(value) : part === 'ip' ? value.ip : value.ip.startsWith('/') ? undefined : value.port;
  });
}

function addressOperators(prefix: string, read: (record: FormatRecord) => FormatAddress | undefined): Record<string, OperatorFactory> {
  return {
    [`${prefix}_ADDRESS`]: address(read, 'whole'),
    [`${prefix}_ADDRESS_WITHOUT_PORT`]: address(read, 'ip'),
    [`${prefix}_PORT`]: address(read, 'port'),
  };
}

const GRPC_STATUS = [
  'OK', 'Canceled', 'Unknown', 'InvalidArgument', 'DeadlineExceeded', 'NotFound', 'AlreadyExists', 'PermissionDenied', 'ResourceExhausted',
  'FailedPrecondition', 'Aborted', 'OutOfRange', 'Unimplemented', 'Internal', 'Unavailable', 'DataLoss', 'Unauthenticated',
]; // biome-ignore format: a table

/** The gRPC status in trailers or headers, else undefined: HTTP answers that are not gRPC have none. */
export function grpcStatus(record: FormatRecord): number | undefined {
  if (!record.requestHeaders?.get('content-type')?.startsWith('application/grpc')) return undefined;
  const value = record.responseTrailers?.get('grpc-status') ?? record.responseHeaders?.get('grpc-status');
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

const grpcStatusText: OperatorFactory = (args) => (record) => {
  const status = grpcStatus(record);
  if (status === undefined) return undefined;
  const name = GRPC_STATUS[status];
  if (args === 'NUMBER' || name === undefined) return status;
  return args === 'SNAKE_STRING' ? name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase() : name;
};

const startTime: OperatorFactory = (args) => {
  const format = args ? compileTimeFormat(args) : isoTime();
  return (record) => format(record.startTime);
};

/** The points of %COMMON_DURATION(START:END:PRECISION)%, in performance.now()'s ms. */
const POINTS: Readonly<Record<string, (record: FormatRecord) => number>> = table({
  DS_RX_BEG: (record) => record.started,
  DS_RX_END: (record) => record.requestReceived,
  US_TX_BEG: (record) => record.upstreamFirstByteSent,
  US_RX_BEG: (record) => record.responseStarted,
  // The proxy's own replies go out in one piece, at the end.
  DS_TX_BEG: (record) => record.responseStarted || record.responseEnded,
  DS_TX_END: (record) => record.responseEnded,
});

const commonDuration: OperatorFactory = (args) => {
  const [start = '', end = '', precision = 'ms'] = required(args, 'COMMON_DURATION').split(':');
  const from = POINTS[start];
  const to = POINTS[end];
  const factor = { ms: 1, us: 1e3, ns: 1e6 }[precision];
  if (!from || !to || !factor)
    throw new SallyportError(
      'xds-unsupported',
      `format string: %COMMON_DURATION(${args})% names a time point or precision that is not known`,
    );
  return (record) => {
    const a = from(record);
    const b = to(record);
    return a > 0 && b > 0 ? Math.max(0, Math.floor((b - a) * factor)) : undefined;
  };
};

const query = (path: string): string | undefined => {
  const at = path.indexOf('?');
  return at < 0 ? undefined : text(path.slice(at + 1));
};

/** `%PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH)%`, and REQ_WITHOUT_QUERY by way of the headers. */
const pathOperator: OperatorFactory = (args) => {
  const [mode = 'WQ', source = 'ORIG_OR_PATH'] = (args ?? '').split(':').map((part) => part || undefined) as (string | undefined)[];
  if (!['WQ', 'NQ'].includes(mode) || !['ORIG', 'PATH', 'ORIG_OR_PATH'].includes(source)) {
    throw new SallyportError('xds-invalid', `format string: %PATH(${args})% takes WQ or NQ, then ORIG, PATH or ORIG_OR_PATH`);
  }
  return (record) => {
    const original = record.requestHeaders?.get('x-envoy-original-path');
    const path = source === 'ORIG' ? original : source === 'PATH' ? record.path : (original ?? record.path);
    return path === undefined || path === '' ? undefined : mode === 'NQ' ? path.split('?', 1)[0] : path;
  };
};

const reqWithoutQuery: OperatorFactory = (args) => {
  const read = headers('request', 'REQ_WITHOUT_QUERY')(args, { hostname: '', environment: {} });
  return (record) => {
    const value = read(record);
    return typeof value === 'string' ? value.split('?', 1)[0] : undefined;
  };
};

const headersBytes = (headers: HeaderMap | undefined): number => {
  let bytes = 0;
  for (const part of headers?.flat ?? []) bytes += part.length;
  return bytes;
};

const missing = plain(() => undefined);

/** Operators of Envoy whose values records do not hold: they print as missing, as in Envoy where there is no value. */
const UNRECORDED = [
  'VIRTUAL_CLUSTER_NAME',
  'DOWNSTREAM_TRANSPORT_FAILURE_REASON',
  'DOWNSTREAM_LOCAL_CLOSE_REASON',
  'DOWNSTREAM_DETECTED_CLOSE_TYPE',
  'DOWNSTREAM_HANDSHAKE_DURATION',
  'DOWNSTREAM_WIRE_BYTES_RECEIVED',
  'DOWNSTREAM_WIRE_BYTES_SENT',
  'DOWNSTREAM_HEADER_BYTES_RECEIVED',
  'DOWNSTREAM_HEADER_BYTES_SENT',
  'UPSTREAM_WIRE_BYTES_RECEIVED',
  'UPSTREAM_WIRE_BYTES_SENT',
  'UPSTREAM_HEADER_BYTES_RECEIVED',
  'UPSTREAM_HEADER_BYTES_SENT',
  'UPSTREAM_CONNECTION_ID',
  'UPSTREAM_CONNECTION_POOL_READY_DURATION',
  'ROUNDTRIP_DURATION',
  'TLS_JA3_FINGERPRINT',
  'TLS_JA4_FINGERPRINT',
  'TRACE_ID',
  'SPAN_ID',
  'CUSTOM_FLAGS',
  'LOCAL_REPLY_BODY',
] as const;

const FACTORIES: Readonly<Record<string, OperatorFactory | undefined>> = table({
  START_TIME: startTime,
  REQ: headers('request', 'REQ'),
  RESP: headers('response', 'RESP'),
  TRAILER: headers('trailer', 'TRAILER'),
  REQ_WITHOUT_QUERY: reqWithoutQuery,
  PATH: pathOperator,
  QUERY_PARAMS: (args) => {
    if (args && !['ORIG', 'PATH', 'ORIG_OR_PATH'].includes(args))
      throw new SallyportError('xds-invalid', `format string: %QUERY_PARAMS(${args})% is not known`);
    return (record) => query(record.requestHeaders?.get('x-envoy-original-path') ?? record.path);
  },
  QUERY_PARAM: (args) => {
    const name = required(args, 'QUERY_PARAM');
    return (record) => new URLSearchParams(query(record.path) ?? '').get(name) ?? undefined;
  },
  PROTOCOL: plain((record) => text(record.protocol)),
  RESPONSE_CODE: plain((record) => record.responseCode),
  RESPONSE_CODE_DETAILS: (args) =>
    args === 'ALLOW_WHITESPACES' ? (record) => text(record.responseCodeDetails) : (record) => withoutSpaces(record.responseCodeDetails),
  CONNECTION_TERMINATION_DETAILS: plain((record) => text(record.connectionTerminationDetails)),
  // Envoy's own text for «none» is a dash, also where missing values are left out or null.
  RESPONSE_FLAGS: plain(({ flags }) => (flags.length === 0 ? '-' : flags.length === 1 ? flags[0] : flags.join(','))),
  RESPONSE_FLAGS_LONG: plain(({ flags }) => (flags.length === 0 ? '-' : flags.map((flag) => RESPONSE_FLAG_NAMES[flag] ?? flag).join(','))),
  DURATION: plain((record) => between(record.started, record.ended)),
  REQUEST_DURATION: plain((record) => between(record.started, record.requestReceived)),
  REQUEST_TX_DURATION: plain((record) => between(record.started, record.upstreamFirstByteSent)),
  RESPONSE_DURATION: plain((record) => between(record.started, record.responseStarted)),
  RESPONSE_TX_DURATION: plain((record) => between(record.responseStarted, record.responseEnded)),
  COMMON_DURATION: commonDuration,
  BYTES_RECEIVED: plain((record) => record.bytesReceived),
  BYTES_SENT: plain((record) => record.bytesSent),
  REQUEST_HEADERS_BYTES: plain((record) => headersBytes(record.requestHeaders)),
  RESPONSE_HEADERS_BYTES: plain((record) => headersBytes(record.responseHeaders)),
  RESPONSE_TRAILERS_BYTES: plain((record) => headersBytes(record.responseTrailers)),
  ROUTE_NAME: plain((record) => text(record.routeName)),
  REQUESTED_SERVER_NAME: plain((record) => text(record.downstream.serverName)),
  FILTER_CHAIN_NAME: plain((record) => text(record.downstream.filterChainName)),
  CONNECTION_ID: plain((record) => record.downstream.id),
  HOSTNAME: (_, context) => () => text(context.hostname),
  ENVIRONMENT: (args, context) => {
    const value = context.environment[required(args, 'ENVIRONMENT')];
    return () => value;
  },
  UPSTREAM_CLUSTER: plain((record) => text(record.upstreamCluster)),
  UPSTREAM_CLUSTER_RAW: plain((record) => text(record.upstreamCluster)),
  UPSTREAM_HOST: plain((record) => record.upstreamHost?.text),
  UPSTREAM_HOST_NAME: plain((record) => record.upstreamHost && (record.upstreamHost.hostname || record.upstreamHost.text)),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: plain(
    (record) => record.upstreamHost && (record.upstreamHost.hostname || record.upstreamHost.address.ip),
  ),
  UPSTREAM_PROTOCOL: plain((record) => record.upstreamProtocol),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: plain((record) => record.attempts),
  UPSTREAM_TRANSPORT_FAILURE_REASON: plain((record) => withoutSpaces(record.upstreamTransportFailureReason)),
  ...addressOperators('UPSTREAM_LOCAL', (record) => record.upstreamLocalAddress),
  ...addressOperators('UPSTREAM_REMOTE', (record) => record.upstreamHost?.address),
  ...addressOperators('DOWNSTREAM_REMOTE', (record) => record.downstream.remoteAddress),
  ...addressOperators('DOWNSTREAM_DIRECT_REMOTE', (record) => record.downstream.directRemoteAddress),
  ...addressOperators('DOWNSTREAM_LOCAL', (record) => record.downstream.localAddress),
  ...addressOperators('DOWNSTREAM_DIRECT_LOCAL', (record) => record.downstream.directLocalAddress),
  GRPC_STATUS: grpcStatusText,
  GRPC_STATUS_NUMBER: plain(grpcStatus),
  STREAM_ID: plain((record) => record.requestHeaders?.get('x-request-id')),
  ACCESS_LOG_TYPE: plain((record) => (record.protocol ? 'DownstreamEnd' : 'TcpConnectionEnd')),
  ...Object.fromEntries(UNRECORDED.map((name) => [name, missing])),
  ...TLS_OPERATORS,
  ...METADATA_OPERATORS,
});
