/** One place where a failure to reach or to hear an upstream becomes Envoy's reply, response flag and response code details. */
import type { ResponseFlag, UpstreamFailure } from './types.ts';

export interface FailureReply {
  readonly status: number;
  /** `text/plain`; empty for none. */
  readonly body: string;
  readonly flag: ResponseFlag;
  /** `%RESPONSE_CODE_DETAILS%`. */
  readonly details: string;
  /** `%UPSTREAM_TRANSPORT_FAILURE_REASON%`; empty where the transport is not at fault. */
  readonly transportFailure: string;
  /** `x-envoy-overloaded` tells the client that the request was not tried. */
  readonly overloaded: boolean;
}

/** Why a stream ended, in Envoy's words (`%RESPONSE_CODE_DETAILS%`, reply bodies), with the flag that stands for it. */
interface Reset {
  readonly reason: string;
  readonly flag: ResponseFlag;
  readonly detail: string;
}

const RESET_FLAGS: Readonly<Record<string, ResponseFlag>> = {
  'connection termination': 'UC',
  'remote reset': 'UR',
  'remote refused stream reset': 'UR',
  'local reset': 'LR',
  'protocol error': 'UPE',
  overflow: 'UO',
};

function resetOf(failure: UpstreamFailure): Reset | undefined {
  switch (failure.kind) {
    case 'overflow':
      return { reason: 'overflow', flag: 'UO', detail: '' };
    case 'connect':
    case 'tls':
      return { reason: 'remote connection failure', flag: 'UF', detail: failure.reason };
    case 'connect-timeout':
      return { reason: 'connection timeout', flag: 'UF', detail: '' };
    case 'reset':
      return { reason: failure.reason, flag: RESET_FLAGS[failure.reason] ?? 'UC', detail: '' };
    default:
      return undefined;
  }
}

/** The response flag alone: for TCP, where there is no reply. */
export function failureFlag(failure: UpstreamFailure): ResponseFlag {
  switch (failure.kind) {
    case 'no-cluster':
      return 'NC';
    case 'no-host':
      return 'UH';
    case 'dns':
      return 'DF';
    default:
      return resetOf(failure)!.flag;
  }
}

/** Details have no white space, so that a text log stays one field a value. */
function withoutSpaces(text: string): string {
  return text.replace(/\s/g, '_');
}

/**
 * The reply to a request whose response had not started. `retried`: an earlier attempt failed too. `notFoundStatus`: `cluster_not_found_response_code` of
 * the route.
 */
export function failureReply(failure: UpstreamFailure, retried: boolean, notFoundStatus = 503): FailureReply {
  const plain = { transportFailure: '', overloaded: false };
  switch (failure.kind) {
    case 'no-cluster':
      return { ...plain, status: notFoundStatus, body: '', flag: 'NC', details: 'cluster_not_found' };
    case 'no-host':
      return { ...plain, status: 503, body: 'no healthy upstream', flag: 'UH', details: 'no_healthy_upstream' };
    case 'dns':
      return {
        ...plain,
        status: 503,
        body: 'DNS resolution failure',
        flag: 'DF',
        details: `dns_resolution_failure{${withoutSpaces(failure.reason)}}`,
      };
    default: {
      const { reason, flag, detail } = resetOf(failure)!;
      const intro = retried ? 'retried and the latest reset reason' : 'reset reason';
      return {
        // What an upstream said that is not HTTP is a bad gateway's 502; that it can't be reached is 503.
        status: flag === 'UPE' ? 502 : 503,
        body: `upstream connect error or disconnect/reset before headers. ${intro}: ${reason}`,
        flag,
        details: `upstream_reset_before_response_started{${withoutSpaces(detail ? `${reason}|${detail}` : reason)}}`,
        transportFailure: detail,
        overloaded: failure.kind === 'overflow',
      };
    }
  }
}

/** Details of a response that was cut after its head had been passed on. */
export function cutResponseDetails(failure: UpstreamFailure): string {
  return `upstream_reset_after_response_started{${withoutSpaces(resetOf(failure)?.reason ?? 'local reset')}}`;
}
