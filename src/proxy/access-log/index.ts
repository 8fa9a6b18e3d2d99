/** Access logs: compiled formats, filters, and files that are written in batches. */

import type { AccessLog } from '../../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import type { RecordSink } from '../types.ts';
import { type AccessLogContext, compileLogger } from './logger.ts';

/**
 * The access logs of a connection manager, TCP proxy or listener. Throws `xds-unsupported` for a logger, filter or command operator that is not known, and
 * `xds-invalid` for a format that does not parse: whoever compiles the resource refuses it.
 */
export function createAccessLogSink(configs: readonly AccessLog[], context: AccessLogContext): RecordSink {
  return combineSinks(configs.map((config) => compileLogger(config, context)));
}

/** One sink that passes each record on to all, in order. */
export function combineSinks(sinks: readonly RecordSink[]): RecordSink {
  if (sinks.length === 1) return sinks[0]!;
  const hearing = sinks.filter(({ begin }) => begin !== undefined);
  return {
    begin(record) {
      for (let i = 0; i < hearing.length; i++) hearing[i]!.begin!(record);
    },
    record(record) {
      for (let i = 0; i < sinks.length; i++) sinks[i]!.record(record);
    },
  };
}
