/** envoy.config.accesslog.v3.AccessLogFilter, compiled. */

import { RESPONSE_FLAG_NAMES } from '../../http/format/flags.ts';
import { grpcStatus } from '../../http/format/operators.ts';
import { HeaderMap } from '../../http/header-map.ts';
import { compileFraction } from '../../http/routes/fraction.ts';
import { compileHeaderMatcher } from '../../http/routes/header.ts';
import { SallyportError } from '../../lib/errors.ts';
import { type AccessLogFilter, type ComparisonFilter, ComparisonFilter_Op } from '../../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { AccessLogType } from '../../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import type { AccessRecord } from '../types.ts';

type RecordFilter = (record: AccessRecord) => boolean;

const NO_HEADERS = new HeaderMap();

/** Throws `xds-unsupported` for filters that are not known, so that a log never holds more or less than was asked for. */
export function compileFilter(filter: AccessLogFilter, random: () => number): RecordFilter {
  const { filterSpecifier: specifier } = filter;
  switch (specifier.case) {
    case 'statusCodeFilter': {
      const compare = comparison(specifier.value.comparison);
      return (record) => compare(record.responseCode);
    }
    case 'durationFilter': {
      const compare = comparison(specifier.value.comparison);
      return (record) => compare(Math.floor(record.ended - record.started));
    }
    case 'notHealthCheckFilter':
      // There is no health check filter, hence no request that counts as a health check.
      return () => true;
    case 'runtimeFilter': {
      const applies = compileFraction(specifier.value.percentSampled);
      return specifier.value.percentSampled ? () => applies(random()) : () => false;
    }
    case 'andFilter': {
      const filters = specifier.value.filters.map((each) => compileFilter(each, random));
      return (record) => filters.every((each) => each(record));
    }
    case 'orFilter': {
      const filters = specifier.value.filters.map((each) => compileFilter(each, random));
      return (record) => filters.some((each) => each(record));
    }
    case 'headerFilter': {
      if (!specifier.value.header) throw new SallyportError('xds-invalid', 'access log: header_filter without a header');
      const matches = compileHeaderMatcher(specifier.value.header);
      return ({ method, path, authority, scheme, requestHeaders }) =>
        matches({ method, path, authority, scheme, headers: requestHeaders ?? NO_HEADERS });
    }
    case 'responseFlagFilter':
      return responseFlags(specifier.value.flags);
    case 'grpcStatusFilter': {
      const { statuses, exclude } = specifier.value;
      const wanted = new Set<number>(statuses);
      return (record) => wanted.has(grpcStatus(record) ?? httpToGrpc(record.responseCode)) !== exclude;
    }
    case 'logTypeFilter': {
      const { types, exclude } = specifier.value;
      return (record) => types.includes(record.protocol ? AccessLogType.DownstreamEnd : AccessLogType.TcpConnectionEnd) !== exclude;
    }
    default:
      throw new SallyportError('xds-unsupported', `access log: ${specifier.case ?? 'an empty filter'} is not supported`);
  }
}

function comparison(config: ComparisonFilter | undefined): (value: number) => boolean {
  if (!config) throw new SallyportError('xds-invalid', 'access log: a comparison filter without comparison');
  const limit = config.value?.defaultValue ?? 0;
  switch (config.op) {
    case ComparisonFilter_Op.EQ:
      return (value) => value === limit;
    case ComparisonFilter_Op.GE:
      return (value) => value >= limit;
    case ComparisonFilter_Op.LE:
      return (value) => value <= limit;
    default:
      throw new SallyportError('xds-unsupported', `access log: the comparison ${String(config.op)} is not known`);
  }
}

function responseFlags(flags: readonly string[]): RecordFilter {
  const unknown = flags.find((flag) => RESPONSE_FLAG_NAMES[flag] === undefined);
  if (unknown !== undefined) throw new SallyportError('xds-invalid', `access log: the response flag "${unknown}" is not known`);
  const wanted = new Set(flags);
  if (wanted.size === 0) return (record) => record.flags.length > 0;
  return (record) => record.flags.some((flag) => wanted.has(flag));
}

/** The gRPC status that stands for an HTTP status of an answer without one (gRPC's http-grpc-status-mapping). */
function httpToGrpc(status: number): number {
  switch (status) {
    case 200:
      return 0;
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}
