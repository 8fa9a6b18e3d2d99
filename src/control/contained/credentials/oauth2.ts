/** Access tokens by OAuth 2.0's client credentials (RFC 6749 §4.4). */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { MOST_BYTES, type Source } from '../../../lib/credential-value.ts';
import { messageOf } from '../../../lib/errors.ts';
import { TOKEN_TIMEOUT_MS, type TokenAnswer, tokenIn, tokenRequest } from '../../../lib/oauth2.ts';
import { readRegularFile } from '../../../lib/regular-file.ts';
import { failed, remembered } from '../../../lib/remembered.ts';
import type { Injection } from '../../../policy/injection.ts';
import { boundedText, failureText, roots } from '../../own-requests.ts';
import { leavesThrough, type OwnWay, tunnelTo } from '../../own-way.ts';
import type { SourceOptions } from './options.ts';

type OAuth2 = NonNullable<Injection['from']['oauth2']>;

/** @param secret of the client, asked for at each request for a token */
export function oauth2Source(settings: OAuth2, secret: Source, { now, signal, way }: SourceOptions): Source {
  const where = `the token endpoint ${settings.tokenEndpoint}`;
  return remembered((done) => {
    secret((value) => {
      if ('problem' in value) {
        done(failed(value.problem));
        return;
      }
      const asked = now();
      ask(settings, value.revealText(), signal, way).then(
        (answer) => done(tokenIn(answer, where, now() - asked)),
        (error: unknown) => done(failed(`${where}: ${messageOf(error)}`)),
      );
    });
  }, now);
}

/** Rejects with a reason that holds nothing of what was sent. A redirect is an answer like any other: nothing goes elsewhere. */
async function ask(settings: OAuth2, secret: string, ending: AbortSignal, way: OwnWay | undefined): Promise<TokenAnswer> {
  const timeout = AbortSignal.timeout(TOKEN_TIMEOUT_MS);
  const signal = AbortSignal.any([timeout, ending]);
  try {
    const response = await post(settings, secret, signal, way);
    return { status: response.statusCode ?? 0, text: await boundedText(response, MOST_BYTES) };
  } catch (error) {
    throw new Error(failureText(error, timeout, TOKEN_TIMEOUT_MS), { cause: error });
  }
}

async function post(settings: OAuth2, secret: string, signal: AbortSignal, way: OwnWay | undefined): Promise<IncomingMessage> {
  const url = new URL(settings.tokenEndpoint);
  const { headers, body } = tokenRequest(settings, { clientId: settings.clientId, clientSecret: secret });
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
