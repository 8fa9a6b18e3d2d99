/** What `envoy.filters.http.fault` is configured to do to requests. Pure: the filter and simulation read it alike. */
import { SallyportError } from '../../lib/errors.ts';
import type { HTTPFault } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { FractionalPercent } from '../../xds/gen/envoy/type/v3/percent_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { compileFraction, shareOf } from '../routes/fraction.ts';
import { compileHeaderMatchers, type HeaderPredicate } from '../routes/header.ts';

export interface Fault {
  readonly applies: HeaderPredicate | undefined;
  /** Only for requests to this cluster; empty for all. */
  readonly cluster: string;
  readonly delayMs: number;
  readonly delays: (random: number) => boolean;
  /** How many requests of all are delayed, from 0 to 1. */
  readonly delayShare: number;
  /** HTTP status, or 0. */
  readonly status: number;
  /** gRPC status, or undefined. */
  readonly grpcStatus: number | undefined;
  readonly aborts: (random: number) => boolean;
  /** How many requests of all are aborted, from 0 to 1. */
  readonly abortShare: number;
  readonly maxActive: number;
}

/** Throws `xds-unsupported`; `where` names the filter. */
export function compileFault(config: HTTPFault, where: string): Fault {
  const { delay, abort } = config;
  if (config.responseRateLimit) throw new SallyportError('xds-unsupported', `${where}: response_rate_limit is not supported`);
  if (delay?.faultDelaySecifier.case === 'headerDelay')
    throw new SallyportError('xds-unsupported', `${where}: header_delay is not supported`);
  if (abort?.errorType.case === 'headerAbort') throw new SallyportError('xds-unsupported', `${where}: header_abort is not supported`);
  return {
    applies: compileHeaderMatchers(config.headers),
    cluster: config.upstreamCluster,
    delayMs: delay?.faultDelaySecifier.case === 'fixedDelay' ? durationMs(delay.faultDelaySecifier.value, 0) : 0,
    delays: chance(delay?.percentage),
    delayShare: delay?.percentage ? shareOf(delay.percentage) : 0,
    status: abort?.errorType.case === 'httpStatus' ? abort.errorType.value : 0,
    grpcStatus: abort?.errorType.case === 'grpcStatus' ? abort.errorType.value : undefined,
    aborts: chance(abort?.percentage),
    abortShare: abort?.percentage ? shareOf(abort.percentage) : 0,
    maxActive: config.maxActiveFaults ?? Number.POSITIVE_INFINITY,
  };
}

/** Without a percentage a fault never fires, as in Envoy. */
function chance(percentage: FractionalPercent | undefined): (random: number) => boolean {
  return percentage ? compileFraction(percentage) : () => false;
}
