/** The admin server: Envoy's endpoints over the data plane, so that istioctl, dashboards and habits carry over. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { FLOWS_PATH } from '../flows/stream.ts';
import { messageOf } from '../lib/errors.ts';
import { listening } from '../lib/listen.ts';
import { createLocalServer } from '../lib/local-server.ts';
import { type StatsSnapshot, sinceSnapshot } from '../proxy/stats/index.ts';
import type { Answer } from './endpoints.ts';
import type { AdminSource } from './model.ts';

export interface AdminServer {
  /** The port that was bound. */
  readonly port: number;
  close(): Promise<void>;
}

export interface AdminAddress {
  readonly address: string;
  /** 0 for any free one. */
  readonly port: number;
}

/**
 * Starts the server. What it answers with, `load` and the endpoints with the types that they print, is loaded with the first request: most proxies are
 * never asked. Rejects with the code of `listenError` if the address cannot be had.
 */
export function createAdmin(load: () => Promise<AdminSource>, at: AdminAddress): Promise<AdminServer> {
  let loading: Promise<AdminSource> | undefined;
  const server = createLocalServer((request, response) => {
    request.resume();
    loading ??= load().then((given) => (given.resetCounters ? given : withReset(given)));
    loading
      .then(async (source) => {
        if (source.flows && request.url?.split('?')[0] === FLOWS_PATH) source.flows(request, response);
        else send(request, response, await answer(source, request));
      })
      .catch((error: unknown) => send(request, response, { status: 500, text: `${messageOf(error)}\n` }));
  });
  return serveAdmin(server, at);
}

/** Counters that only grow, set back by remembering where they stood. */
function withReset(source: AdminSource): AdminSource {
  let base: StatsSnapshot | undefined;
  return {
    ...source,
    stats: async () => (base ? sinceSnapshot(await source.stats(), base) : source.stats()),
    resetCounters: async () => {
      base = await source.stats();
    },
  };
}

async function answer(source: AdminSource, request: IncomingMessage): Promise<Answer> {
  const { ENDPOINTS, helpText } = await import('./endpoints.ts');
  const url = new URL(request.url ?? '/', 'http://admin');
  const endpoint = ENDPOINTS[url.pathname];
  if (!endpoint) return { status: 404, text: `invalid path. ${helpText()}` };
  if (endpoint.mutates ? request.method !== 'POST' : !['GET', 'HEAD', 'POST'].includes(request.method ?? '')) {
    return { status: 405, text: 'Method Not Allowed', headers: { allow: endpoint.mutates ? 'POST' : 'GET, HEAD, POST' } };
  }
  return endpoint.handle(source, url.searchParams);
}

function send(request: IncomingMessage, response: ServerResponse, { status = 200, json, text, headers, after, contentType }: Answer): void {
  response.writeHead(status, {
    'content-type': contentType ?? (json === undefined ? 'text/plain; charset=UTF-8' : 'application/json'),
    'cache-control': 'no-cache, max-age=0',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  if (request.method === 'HEAD') response.end(after);
  else if (json !== undefined) response.end(`${JSON.stringify(json, undefined, 1)}\n`, after);
  else if (text === undefined || typeof text === 'string') response.end(text ?? '', after);
  // A client that goes away in between has had enough.
  else pipeline(Readable.from(joined(text)), response, () => after?.());
}

const PIECE = 64 * 1024;

/** Pieces of a size that is worth a write. */
function* joined(pieces: Iterable<string>): Generator<string> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < PIECE) continue;
    yield text;
    text = '';
  }
  yield text;
}

/** Has the server listen. Rejects with the code of `listenError` if the address cannot be had. */
export async function serveAdmin(server: Server, { address, port }: AdminAddress): Promise<AdminServer> {
  await listening(server, { host: address, port }, { ip: address, port }, { what: 'admin server', option: '--admin-address' });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
