/** Access tokens by OAuth 2.0's client credentials (RFC 6749 §4.4): the request for one, and what an answer comes to. Pure. */
import { DEFAULT_TTL_MS, MARGIN_MS, objectIn, valueOf } from './credential-value.ts';
import { FAILED_MS, failed, type Obtained } from './remembered.ts';

/** For the whole answer. */
export const TOKEN_TIMEOUT_MS = 10_000;
/** A token is renewed while it still holds, so that no call waits: so long before its end, or at four fifths of a shorter life. */
const RENEW_BEFORE_MS = 60_000;

/** What of a request is not who the client is. */
export interface TokenForm {
  readonly scopes: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
  /** Where client and secret stand; without, in `authorization`. */
  readonly authentication?: 'basic' | 'body' | undefined;
}

export interface TokenClient {
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface TokenAnswer {
  readonly status: number;
  readonly text: string;
}

/** As RFC 6749 §4.4.2 has it, the client authenticated by §2.3.1. */
export function tokenRequest({ scopes, parameters, authentication }: TokenForm, { clientId, clientSecret }: TokenClient) {
  const inBody = authentication === 'body';
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    ...parameters,
    ...(inBody && { client_id: clientId, client_secret: clientSecret }),
  });
  const body = form.toString();
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(body)),
    ...(!inBody && { authorization: `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64')}` }),
  };
  return { headers, body };
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}

/** RFC 6749 §5.2 and RFC 8707 §2: what else a server writes there may repeat what it was sent. */
const ERRORS = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
];

/** @param tookMs how long the answer was under way: the token's life may have begun as long ago */
export function tokenIn({ status, text }: TokenAnswer, where: string, tookMs: number): Obtained {
  const none = (what: string) => failed(`${where} ${what}`);
  const { error, access_token, token_type, expires_in } = objectIn(text);
  if (status !== 200) return none(`answers ${status}${ERRORS.includes(String(error)) ? ` (${error})` : ''}`);
  if (typeof access_token !== 'string') return none('answers without an access_token');
  if (typeof token_type !== 'string' || token_type.toLowerCase() !== 'bearer') return none('answers with a token that is no bearer token');
  const value = valueOf(access_token, `the token of ${where}`);
  if ('problem' in value) return { value, lifeMs: FAILED_MS };
  if (expires_in === undefined) return { value, lifeMs: DEFAULT_TTL_MS };
  const leftMs = Number(expires_in) * 1000 - tookMs;
  if (!(leftMs > 0)) return none('answers with a token that has expired');
  const lifeMs = Math.max(leftMs - MARGIN_MS, leftMs / 2);
  return { value, lifeMs, renewMs: Math.max(leftMs - RENEW_BEFORE_MS, lifeMs * 0.8) };
}
