/** Response flags as access log services have them, a field each (envoy/data/accesslog/v3/accesslog.proto). */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type ResponseFlags,
  ResponseFlags_Unauthorized_Reason,
  ResponseFlagsSchema,
} from '../../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import type { ResponseFlag } from '../response-flag.ts';

type Field = Exclude<keyof ResponseFlags, '$typeName' | '$unknown' | 'unauthorizedDetails'>;

const FIELDS: readonly (readonly [ResponseFlag, Field])[] = [
  ['LH', 'failedLocalHealthcheck'],
  ['UH', 'noHealthyUpstream'],
  ['UT', 'upstreamRequestTimeout'],
  ['LR', 'localReset'],
  ['UR', 'upstreamRemoteReset'],
  ['UF', 'upstreamConnectionFailure'],
  ['UC', 'upstreamConnectionTermination'],
  ['UO', 'upstreamOverflow'],
  ['NR', 'noRouteFound'],
  ['DI', 'delayInjected'],
  ['FI', 'faultInjected'],
  ['RL', 'rateLimited'],
  ['RLSE', 'rateLimitServiceError'],
  ['DC', 'downstreamConnectionTermination'],
  ['URX', 'upstreamRetryLimitExceeded'],
  ['SI', 'streamIdleTimeout'],
  ['IH', 'invalidEnvoyRequestHeaders'],
  ['DPE', 'downstreamProtocolError'],
  ['UMSDR', 'upstreamMaxStreamDurationReached'],
  ['DT', 'durationTimeout'],
  ['UPE', 'upstreamProtocolError'],
  ['NC', 'noClusterFound'],
  ['OM', 'overloadManager'],
  ['DF', 'dnsResolutionFailure'],
  ['DR', 'downstreamRemoteReset'],
];

const { EXTERNAL_SERVICE } = ResponseFlags_Unauthorized_Reason;

/** Undefined for none. */
export function flagsMessage(flags: readonly ResponseFlag[]): ResponseFlags | undefined {
  if (flags.length === 0) return undefined;
  const set = FIELDS.filter(([flag]) => flags.includes(flag)).map(([, field]) => [field, true] as const);
  const init: MessageInitShape<typeof ResponseFlagsSchema> = Object.fromEntries(set);
  return create(ResponseFlagsSchema, { ...init, ...(flags.includes('UAEX') && { unauthorizedDetails: { reason: EXTERNAL_SERVICE } }) });
}
