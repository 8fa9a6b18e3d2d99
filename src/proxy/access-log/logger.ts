/** One access logger: file, standard output or standard error, in a text or JSON format. */
import type { JsonObject } from '@bufbuild/protobuf';
import { ENVOY_DEFAULT_FORMAT } from '../../http/format/default.ts';
import { compileJson, type JsonFormatOptions } from '../../http/format/json.ts';
import type { FormatContext } from '../../http/format/operator.ts';
import type { FormatRecord } from '../../http/format/record.ts';
import { compileText } from '../../http/format/text.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { AccessLog } from '../../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import type { SubstitutionFormatString } from '../../xds/gen/envoy/config/core/v3/substitution_format_string_pb.js';
import { FileAccessLogSchema } from '../../xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js';
import { StderrAccessLogSchema, StdoutAccessLogSchema } from '../../xds/gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js';
import { typeNameOf, unpack } from '../../xds/unpack.ts';
import type { RecordSink } from '../types.ts';
import type { LogFiles, LogWriter } from './files.ts';
import { compileFilter } from './filter.ts';
import type { LogServices } from './services.ts';

/** Before the names of the messages of loggers that send by gRPC (`services.ts`). */
export const LOG_SERVICES = 'envoy.extensions.access_loggers.grpc.v3.';

/** What access logs of one process share. */
export interface AccessLogContext extends FormatContext {
  /** Open files; shared by all loggers, so that two of one path write to one descriptor. */
  readonly files: LogFiles;
  /** Of loggers that send by gRPC; undefined where there are none. */
  readonly services?: (() => LogServices | undefined) | undefined;
  /** 0 ≤ n < 2^53, for `runtime_filter` with a percentage. */
  readonly random: () => number;
}

type Take = (record: FormatRecord) => void;
type Formatter = (record: FormatRecord) => string;

interface Target {
  readonly path: string;
  readonly format: Formatter;
}

export function compileLogger(config: AccessLog, context: AccessLogContext): RecordSink {
  const filter = config.filter && compileFilter(config.filter, context.random);
  const take = serviceLogger(config, context) ?? fileLogger(config, context);
  if (!filter) return { record: take };
  return {
    record(record) {
      if (filter(record)) take(record);
    },
  };
}

/** Undefined for a logger of another kind. */
function serviceLogger({ name, configType }: AccessLog, { services }: AccessLogContext): Take | undefined {
  const any = configType.case === 'typedConfig' ? configType.value : undefined;
  if (!any || !typeNameOf(any).startsWith(LOG_SERVICES)) return undefined;
  return services?.()?.logger(any, `access log "${name}"`);
}

/** A file is opened last: a refused resource leaves no empty one behind. */
function fileLogger(config: AccessLog, context: AccessLogContext): Take {
  const { path, format } = target(config, context);
  const writer: LogWriter = context.files.open(path);
  return (record) => writer.write(format(record));
}

function target(config: AccessLog, context: FormatContext): Target {
  const any = config.configType.case === 'typedConfig' ? config.configType.value : undefined;
  const where = `access log "${config.name}"`;
  switch (typeNameOf(any)) {
    case FileAccessLogSchema.typeName: {
      const file = unpack(any, FileAccessLogSchema, where);
      if (file.path === '') throw new SallyportError('xds-invalid', `${where}: the path is empty`);
      const { accessLogFormat: format } = file;
      switch (format.case) {
        case 'logFormat':
          return { path: file.path, format: substitution(format.value, context) };
        case 'format':
          return { path: file.path, format: compileText(format.value || ENVOY_DEFAULT_FORMAT, context, false) };
        case 'jsonFormat':
        case 'typedJsonFormat':
          return { path: file.path, format: json(format.value, context, { omitEmpty: false, sortProperties: false }) };
        default:
          return { path: file.path, format: compileText(ENVOY_DEFAULT_FORMAT, context, false) };
      }
    }
    case StdoutAccessLogSchema.typeName:
      return { path: '/dev/stdout', format: substitution(unpack(any, StdoutAccessLogSchema, where).accessLogFormat.value, context) };
    case StderrAccessLogSchema.typeName:
      return { path: '/dev/stderr', format: substitution(unpack(any, StderrAccessLogSchema, where).accessLogFormat.value, context) };
    default:
      throw new SallyportError(
        'xds-unsupported',
        `${where}: loggers of type "${typeNameOf(any)}" are not supported; use a file, stdout, stderr or a service by gRPC`,
      );
  }
}

function substitution(config: SubstitutionFormatString | undefined, context: FormatContext): Formatter {
  if (!config) return compileText(ENVOY_DEFAULT_FORMAT, context, false);
  const { format, omitEmptyValues: omitEmpty } = config;
  const unknown = config.formatters.find(({ name }) => !BUILT_IN_FORMATTERS.has(name));
  if (unknown) throw new SallyportError('xds-unsupported', `access log: the formatter extension "${unknown.name}" is not supported`);
  switch (format.case) {
    case 'textFormat':
      return compileText(format.value, context, omitEmpty);
    case 'jsonFormat':
      return json(format.value, context, { omitEmpty, sortProperties: config.jsonFormatOptions?.sortProperties ?? false });
    case 'textFormatSource': {
      const { specifier } = format.value;
      if (specifier.case === 'inlineString') return compileText(specifier.value, context, omitEmpty);
      if (specifier.case === 'inlineBytes') return compileText(new TextDecoder().decode(specifier.value), context, omitEmpty);
      throw new SallyportError(
        'xds-unsupported',
        'access log: text_format_source from a file or the environment is not supported; give it inline',
      );
    }
    default:
      return compileText(ENVOY_DEFAULT_FORMAT, context, omitEmpty);
  }
}

/** Extensions whose operators are built in: naming them changes nothing. */
const BUILT_IN_FORMATTERS: ReadonlySet<string> = new Set(['envoy.formatter.metadata', 'envoy.formatter.req_without_query']);

function json(format: JsonObject, context: FormatContext, options: JsonFormatOptions): Formatter {
  const line = compileJson(format, context, options);
  return (record) => `${line(record)}\n`;
}
