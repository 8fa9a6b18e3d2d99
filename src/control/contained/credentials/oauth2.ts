/** Access tokens by OAuth 2.0's client credentials (RFC 6749 §4.4). */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { messageOf } from '../../../lib/errors.ts';
import { readRegularFile } from '../../../lib/regular-file.ts';
import type { Injection } from '../../../policy/injection.ts';
import { boundedText, failureText, roots } from '../../own-requests.ts';
import { leavesThrough, type OwnWay, tunnelTo } from '../../own-way.ts';
import { FAILED_MS, type Obtained, remembered } from './remembered.ts';
import { DEFAULT_TTL_MS, MARGIN_MS, MOST_BYTES, objectIn, type Source, type SourceOptions, valueOf } from './value.ts';

type OAuth2 = NonNullable<Injection['from']['oauth2']>;

const TIMEOUT_MS = 10_000;
/** A token is renewed while it still holds, so that no call waits: so long before its end, or at four fifths of a shorter life. */
const RENEW_BEFORE_MS = 60_000;

/** @param secret of the client, asked for at each request for a token */
export function oauth2Source(settings: OAuth2, secret: Source, { now, signal, way }: SourceOptions): Source {
  const where = `the token endpoint ${settings.tokenEndpoint}`;
  const failed = (problem: string): Obtained => ({ value: { problem }, lifeMs: FAILED_MS });
  return remembered((done) => {
    secret((value) => {
      if ('problem' in value) {
        done(failed(value.problem));
        return;
      }
      const asked = now();
      ask(settings, value.revealText(), signal, way).then(
        (answer) => done(answered(answer, where, now() - asked)),
        (error: unknown) => done(failed(`${where}: ${messageOf(error)}`)),
      );
    });
  }, now);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Rejects with a reason that holds nothing of what was sent. A redirect is an answer like any other: nothing goes elsewhere. */
async function ask(settings: OAuth2, secret: string, ending: AbortSignal, way: OwnWay | undefined): Promise<Answer> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = AbortSignal.any([timeout, ending]);
  try {
    const response = await post(settings, secret, signal, way);
    return { status: response.statusCode ?? 0, text: await boundedText(response, MOST_BYTES) };
  } catch (error) {
    throw new Error(failureText(error, timeout, TIMEOUT_MS), { cause: error });
  }
}

async function post(settings: OAuth2, secret: string, signal: AbortSignal, way: OwnWay | undefined): Promise<IncomingMessage> {
  const url = new URL(settings.tokenEndpoint);
  const { headers, body } = tokenRequest(settings, secret);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options: RequestOptions = { method: 'POST', headers, signal };
  const sent = (request: ClientRequest) => request.on('error', reject).end(body);
  if (url.protocol !== 'https:') {
    sent(process.getBuiltinModule('node:http').request(url, { ...options, agent: false }, resolve));
    return promise;
  }
  const { request } = process.getBuiltinModule('node:https');
  const ca = settings.ca === undefined ? roots() : readRegularFile(settings.ca);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (way && leavesThrough(way, host)) {
    const socket = await tunnelTo(way, { host, port: Number(url.port) || 443, ca }, signal);
    sent(request(url, { ...options, createConnection: () => socket }, resolve));
  } else sent(request(url, { ...options, agent: false, ca }, resolve));
  return promise;
}

/** As RFC 6749 §4.4.2 has it, the client authenticated by §2.3.1. */
function tokenRequest({ clientId, scopes, parameters, authentication }: OAuth2, secret: string) {
  const inBody = authentication === 'body';
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    ...parameters,
    ...(inBody && { client_id: clientId, client_secret: secret }),
  });
  const body = form.toString();
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(body)),
    ...(!inBody && { authorization: `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(secret)}`).toString('base64')}` }),
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
function answered({ status, text }: Answer, where: string, tookMs: number): Obtained {
  const failed = (what: string): Obtained => ({ value: { problem: `${where} ${what}` }, lifeMs: FAILED_MS });
  const { error, access_token, token_type, expires_in } = objectIn(text);
  if (status !== 200) return failed(`answers ${status}${ERRORS.includes(String(error)) ? ` (${error})` : ''}`);
  if (typeof access_token !== 'string') return failed('answers without an access_token');
  if (typeof token_type !== 'string' || token_type.toLowerCase() !== 'bearer')
    return failed('answers with a token that is no bearer token');
  const value = valueOf(access_token, `the token of ${where}`);
  if ('problem' in value) return { value, lifeMs: FAILED_MS };
  if (expires_in === undefined) return { value, lifeMs: DEFAULT_TTL_MS };
  const leftMs = Number(expires_in) * 1000 - tookMs;
  if (!(leftMs > 0)) return failed('answers with a token that has expired');
  const lifeMs = Math.max(leftMs - MARGIN_MS, leftMs / 2);
  return { value, lifeMs, renewMs: Math.max(leftMs - RENEW_BEFORE_MS, lifeMs * 0.8) };
}
