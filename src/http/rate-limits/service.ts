/** Rate limit services (`envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`): how they are asked, and what their answers say. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { HeaderValue } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { GrpcService } from '../../xds/gen/envoy/config/core/v3/grpc_service_pb.js';
import {
  RateLimitRequestSchema,
  type RateLimitResponse,
  RateLimitResponse_Code,
  type RateLimitResponse_DescriptorStatus,
  RateLimitResponse_RateLimit_Unit,
  RateLimitResponseSchema,
} from '../../xds/gen/envoy/service/ratelimit/v3/rls_pb.js';
import { compileGrpcCall } from '../grpc-call.ts';
import { fieldBytes, isField, mayBeSet } from '../outgoing-problem.ts';
import type { SideAnswer, SideCall } from '../side-call.ts';
import type { Descriptor } from './policy.ts';

export interface LimitVerdict {
  readonly kind: 'ok' | 'over-limit';
  /** Fields for the request, and for the response. */
  readonly onRequest: readonly Field[];
  readonly onResponse: readonly Field[];
  /** Of the answer to a request over the limit. */
  readonly body: Uint8Array;
  readonly metadata: JsonObject | undefined;
  readonly statuses: readonly RateLimitResponse_DescriptorStatus[];
}

export type Field = readonly [name: string, value: string];

export interface RateLimitService {
  readonly cluster: string;
  call(domain: string, descriptors: readonly Descriptor[]): SideCall;
  /** Undefined where the service says nothing that can be heeded. */
  read(answer: SideAnswer | undefined): LimitVerdict | undefined;
}

const METHOD = {
  path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit',
  request: RateLimitRequestSchema,
  response: RateLimitResponseSchema,
};

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function compileService(service: GrpcService, where: string, timeoutMs: number): RateLimitService {
  const grpc = compileGrpcCall(service, METHOD, where, timeoutMs);
  return {
    cluster: grpc.cluster,
    call: (domain, descriptors) =>
      grpc.call({
        domain,
        descriptors: descriptors.map(({ entries, limit, hits }) => ({ entries: [...entries], limit, hitsAddend: hits })),
      }),
    read(answer) {
      const response = grpc.read(answer);
      return response && verdictOf(response);
    },
  };
}

function verdictOf(response: RateLimitResponse): LimitVerdict | undefined {
  const { overallCode, requestHeadersToAdd, responseHeadersToAdd, rawBody, dynamicMetadata, statuses } = response;
  // Envoy takes an answer that says neither for one that allows.
  if (overallCode !== RateLimitResponse_Code.OK && overallCode !== RateLimitResponse_Code.OVER_LIMIT) return undefined;
  return {
    kind: overallCode === RateLimitResponse_Code.OK ? 'ok' : 'over-limit',
    onRequest: fieldsOf(requestHeadersToAdd),
    onResponse: fieldsOf(responseHeadersToAdd),
    body: rawBody,
    metadata: dynamicMetadata,
    statuses,
  };
}

/** What can't be in a message, or says where one ends, is left out. */
function fieldsOf(headers: readonly HeaderValue[]): Field[] {
  return headers
    .map(
      ({ key, value, rawValue }): Field => [key.toLowerCase(), value !== '' ? fieldBytes(value) : Buffer.from(rawValue).toString('latin1')],
    )
    .filter(([name, value]) => !name.startsWith(':') && name !== 'host' && mayBeSet(name) && isField(name, value));
}

const { UNKNOWN, SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, YEAR } = RateLimitResponse_RateLimit_Unit;
const DAY_SECONDS = 86_400;
const SECONDS: Readonly<Record<RateLimitResponse_RateLimit_Unit, number>> = {
  [UNKNOWN]: 0,
  [SECOND]: 1,
  [MINUTE]: 60,
  [HOUR]: 3600,
  [DAY]: DAY_SECONDS,
  [WEEK]: 7 * DAY_SECONDS,
  [MONTH]: 30 * DAY_SECONDS,
  [YEAR]: 365 * DAY_SECONDS,
};

/** `x-ratelimit-*` (draft-polli-ratelimit-headers-03): of the limit that is nearest, with the quotas of all of them. */
export function rateLimitFields(statuses: readonly RateLimitResponse_DescriptorStatus[]): Field[] {
  let nearest: RateLimitResponse_DescriptorStatus | undefined;
  let policy = '';
  for (const status of statuses) {
    const { currentLimit, limitRemaining } = status;
    if (!currentLimit) continue;
    if (!nearest || limitRemaining < nearest.limitRemaining) nearest = status;
    const window = (SECONDS[currentLimit.unit] ?? 0) * (currentLimit.unitMultiplier || 1);
    if (window === 0) continue;
    policy += `, ${currentLimit.requestsPerUnit};w=${window}`;
    if (currentLimit.name !== '') policy += `;name="${currentLimit.name}"`;
  }
  if (!nearest) return [];
  const fields: Field[] = [
    ['x-ratelimit-limit', `${nearest.currentLimit!.requestsPerUnit}${fieldBytes(policy)}`],
    ['x-ratelimit-remaining', String(nearest.limitRemaining)],
    ['x-ratelimit-reset', String(nearest.durationUntilReset?.seconds ?? 0n)],
  ];
  return fields.filter(([name, value]) => isField(name, value));
}
