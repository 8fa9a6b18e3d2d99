/** What each failure to reach or to hear an upstream means in Envoy: the reply, the response flag (HTTP's and TCP's alike) and the response code details. */
import type { ResetReason, ResponseFlag, UpstreamFailure } from './types.ts';

interface FailureReply {
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

/** A failure's kind; of a reset its reason, which is what tells resets apart. */
type Key = Exclude<UpstreamFailure['kind'], 'reset'> | ResetReason;

type Meaning =
  /** No upstream was chosen. `details` is `%RESPONSE_CODE_DETAILS%`. */
  | { readonly at: 'choice'; readonly flag: ResponseFlag; readonly body: string; readonly details: string }
  /** An upstream was chosen; `words` say, in Envoy's body and details, why nothing came of it. */
  | { readonly at: 'connect' | 'stream'; readonly flag: ResponseFlag; readonly words: string };

/** Flags: Envoy's `Router::Filter::streamResetReasonToResponseFlag`, and `TcpProxy::Filter`; words: `Http::Utility::resetReasonToString`. */
const MEANINGS: Readonly<Record<Key, Meaning>> = {
  'no-cluster': { at: 'choice', flag: 'NC', body: '', details: 'cluster_not_found' },
  'no-host': { at: 'choice', flag: 'UH', body: 'no healthy upstream', details: 'no_healthy_upstream' },
  dns: { at: 'choice', flag: 'DF', body: 'DNS resolution failure', details: 'dns_resolution_failure' },
  overflow: { at: 'stream', flag: 'UO', words: 'overflow' },
  connect: { at: 'connect', flag: 'UF', words: 'remote connection failure' },
  through: { at: 'connect', flag: 'UF', words: 'remote connection failure' },
  tls: { at: 'connect', flag: 'UF', words: 'remote connection failure' },
  'connect-timeout': { at: 'connect', flag: 'UF', words: 'connection timeout' },
  'connection termination': { at: 'stream', flag: 'UC', words: 'connection termination' },
  'remote reset': { at: 'stream', flag: 'UR', words: 'remote reset' },
  'remote refused stream reset': { at: 'stream', flag: 'UR', words: 'remote refused stream reset' },
  'local reset': { at: 'stream', flag: 'LR', words: 'local reset' },
  'protocol error': { at: 'stream', flag: 'UPE', words: 'protocol error' },
};

function meaningOf(failure: UpstreamFailure): Meaning {
  return MEANINGS[failure.kind === 'reset' ? failure.reason : failure.kind];
}

/** The response flag alone: of TCP, which has no reply, and of a response that was cut. */
export function failureFlag(failure: UpstreamFailure): ResponseFlag {
  return meaningOf(failure).flag;
}

/** The host could not be connected to: another one may do better. */
export function isConnectFailure(failure: UpstreamFailure): boolean {
  return meaningOf(failure).at === 'connect';
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
  const meaning = meaningOf(failure);
  const { flag } = meaning;
  if (meaning.at === 'choice') {
    const { body } = meaning;
    const details = failure.kind === 'dns' ? `${meaning.details}{${withoutSpaces(failure.reason)}}` : meaning.details;
    const status = failure.kind === 'no-cluster' ? notFoundStatus : 503;
    return { status, body, flag, details, transportFailure: '', overloaded: false };
  }
  const { words } = meaning;
  const transportFailure = failure.kind === 'connect' || failure.kind === 'through' || failure.kind === 'tls' ? failure.reason : '';
  return {
    // What an upstream said that is not HTTP is a bad gateway's 502; that it can't be reached is 503.
    status: flag === 'UPE' ? 502 : 503,
    body: `upstream connect error or disconnect/reset before headers. ${retried ? 'retried and the latest reset reason' : 'reset reason'}: ${words}${failure.kind === 'through' ? `, ${failure.reason}` : ''}`,
    flag,
    details: `upstream_reset_before_response_started{${withoutSpaces(transportFailure ? `${words}|${transportFailure}` : words)}}`,
    transportFailure,
    overloaded: failure.kind === 'overflow',
  };
}

/** Details of a response that was cut after its head had been passed on. */
export function cutResponseDetails(failure: UpstreamFailure): string {
  const meaning = meaningOf(failure);
  return `upstream_reset_after_response_started{${withoutSpaces(meaning.at === 'choice' ? 'local reset' : meaning.words)}}`;
}
