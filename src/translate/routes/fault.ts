/** Injected faults. The filter stands in every HTTP filter chain and acts on routes that carry this configuration. */
import { create } from '@bufbuild/protobuf';
import type { HttpFaultInjection } from '../../api/virtual-service.ts';
import { GRPC_STATUSES } from '../../lib/grpc.ts';
import { type HTTPFault, HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import {
  type FractionalPercent,
  FractionalPercent_DenominatorType,
  FractionalPercentSchema,
} from '../../xds/gen/envoy/type/v3/percent_pb.js';
import { toDuration } from '../proto.ts';

/** Undefined if there is nothing to inject. Without a percentage the fault never fires, as in Istio. */
export function httpFault(fault: HttpFaultInjection | undefined): HTTPFault | undefined {
  if (!fault) return undefined;
  const { delay, abort } = fault;
  const message = create(HTTPFaultSchema);
  if (delay?.fixedDelay !== undefined) {
    message.delay = {
      $typeName: 'envoy.extensions.filters.common.fault.v3.FaultDelay',
      faultDelaySecifier: { case: 'fixedDelay', value: toDuration(delay.fixedDelay) },
      percentage: toFractionalPercent(delay.percentage?.value ?? 0),
    };
  }
  const errorType = abort && abortType(abort);
  if (abort && errorType) {
    message.abort = {
      $typeName: 'envoy.extensions.filters.http.fault.v3.FaultAbort',
      errorType,
      percentage: abort.percentage && toFractionalPercent(abort.percentage.value),
    };
  }
  return message.delay || message.abort ? message : undefined;
}

type Abort = NonNullable<HttpFaultInjection['abort']>;

function abortType(abort: Abort): { case: 'httpStatus' | 'grpcStatus'; value: number } | undefined {
  if (abort.httpStatus !== undefined) return { case: 'httpStatus', value: abort.httpStatus };
  const grpc = abort.grpcStatus === undefined ? -1 : GRPC_STATUSES.indexOf(abort.grpcStatus);
  return grpc < 0 ? undefined : { case: 'grpcStatus', value: grpc };
}

/** 0 to 100, in steps of a ten-thousandth. */
export function toFractionalPercent(value: number): FractionalPercent {
  return create(FractionalPercentSchema, { numerator: Math.trunc(value * 10_000), denominator: FractionalPercent_DenominatorType.MILLION });
}
