/** One document over HTTP or HTTPS, for the control plane itself: bounded in size, time and redirects. */
import type { IncomingMessage } from 'node:http';
import { SallyportError } from '../../lib/errors.ts';
import { boundedText, failureText, roots } from '../own-requests.ts';

const MOST_BYTES = 1024 * 1024;
const MOST_REDIRECTS = 5;

/**
 * The text that a GET of the address answers. Certificates are checked against the roots of Node and of the system.
 * Rejects with `keys-unavailable`, saying why.
 * @param timeoutMs for all of it, redirects included
 */
export async function download(address: string, timeoutMs: number): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  let at = addressOf(address);
  for (let redirects = 0; ; redirects++) {
    const response = await request(at, signal).catch((error: unknown) => unavailable(at, failureText(error, signal, timeoutMs)));
    const status = response.statusCode ?? 0;
    const location = response.headers.location;
    if (status >= 300 && status < 400 && location !== undefined) {
      response.destroy();
      if (redirects === MOST_REDIRECTS) unavailable(at, `more than ${MOST_REDIRECTS} redirects`);
      const next = URL.canParse(location, at.href)
        ? addressOf(new URL(location, at).href)
        : unavailable(at, 'it redirects to what is no URL');
      if (at.protocol === 'https:' && next.protocol !== 'https:') unavailable(at, `it redirects from https to ${next.href}`);
      at = next;
      continue;
    }
    if (status < 200 || status >= 300) {
      response.destroy();
      unavailable(at, `it answers ${status}`);
    }
    return await boundedText(response, MOST_BYTES).catch((error: unknown) => unavailable(at, failureText(error, signal, timeoutMs)));
  }
}

function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new SallyportError('keys-unavailable', `"${text}" is no http or https URL`);
}

function unavailable(at: URL, why: string): never {
  throw new SallyportError('keys-unavailable', `${at.origin}${at.pathname}: ${why}`);
}

function request(at: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = { signal, agent: false, headers: { accept: 'application/json', 'accept-encoding': 'identity' } } as const;
  const made =
    at.protocol === 'https:'
      ? process.getBuiltinModule('node:https').request(at, { ...options, ca: roots() }, resolve)
      : process.getBuiltinModule('node:http').request(at, options, resolve);
  made.on('error', reject).end();
  return promise;
}
