/** Answers the questions of the API over HTTP. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { productVersion } from '../lib/version.ts';
import { API, type Asking, type Context, type LongRoute, openEvents, ROUTES, type Route } from './api.ts';
import { wholeMesh } from './cut.ts';
import { openApi } from './openapi.ts';
import { HEADERS, problemOf, refuse, sendJson } from './replies.ts';

/** Of a body, bytes. */
const MOST_BODY = 2 * 1024 * 1024;

/** Rejects with what a question ends with. */
export async function answer(context: Context, url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = url.pathname.slice(API.length);
  if (path === '/openapi.json') {
    request.resume();
    return sendJson(response, 200, openApi(productVersion()));
  }
  const route = ROUTES.find((each) => each.path === path);
  if (!route) {
    request.resume();
    return refuse(response, 404, 'no-such-question', `there is no ${path}: ${API}/openapi.json says what there is`);
  }
  if (request.method !== route.method) {
    request.resume();
    return refuse(response, 405, 'read-only', `${path} is asked with ${route.method}`);
  }
  if (route.whole && context.guest?.sight.namespaces) {
    request.resume();
    throw wholeMesh();
  }
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const asking: Asking = {
    origin: request.headers.origin ?? '',
    query: url.searchParams,
    body: await bodyOf(route, request),
    signal: gone.signal,
  };
  if (route.kind === 'plain') sendJson(response, 200, await route.handle(context, asking));
  else if (route.kind === 'long') await answerLong(route, context, asking, response);
  else {
    const refusal = context.events.refusal(context.guest);
    if (refusal === undefined) openEvents(context, asking, request, response);
    else refuse(response, 503, 'busy', refusal);
  }
}

/** Rejects with `usage`, `too-large`. */
async function bodyOf(route: Route, request: IncomingMessage): Promise<unknown> {
  if (!route.body) {
    request.resume();
    return undefined;
  }
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    throw new SallyportError('usage', 'the body is application/json');
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MOST_BODY) throw new SallyportError('too-large', `the body has more than ${MOST_BODY} bytes`);
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch (error) {
    throw new SallyportError('usage', `the body is no JSON: ${messageOf(error)}`);
  }
}

async function answerLong(route: LongRoute, context: Context, asking: Asking, response: ServerResponse): Promise<void> {
  const question = route.question(context, asking);
  response.writeHead(200, { ...HEADERS, 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const line = (value: object) => response.write(`${JSON.stringify(value)}\n`);
  try {
    const found = await context.asker.ask(question, { signal: asking.signal, progress: (done) => line({ kind: 'progress', done }) });
    line({ kind: 'answer', answer: found });
  } catch (error) {
    line({ kind: 'problem', problem: problemOf(error) });
  }
  response.end();
}
