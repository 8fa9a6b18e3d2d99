/**
 * The admin address of a proxy whose engine is Envoy. Envoy's own admin endpoint answers whoever asks, with any Host and Origin, and ends at a POST: it
 * listens on a unix socket in a folder of this user's, and this server passes on what comes from tools.
 */
import { request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import type { JsonObject } from '@bufbuild/protobuf';
import { type AdminAddress, type AdminServer, type AdminSource, serveAdmin } from '../../admin/index.ts';
import { FLOWS_PATH } from '../../flows/stream.ts';
import { createLocalServer } from '../../lib/local-server.ts';
import { istioMetrics } from './istio-metrics.ts';

interface FrontOptions {
  /** Answers `GET /flows`, which Envoy does not have. */
  readonly flows: AdminSource['flows'];
  /** Metadata of Envoy's xDS node: metrics are then shown as Istio's. */
  readonly node?: JsonObject | undefined;
}

/** Rejects as `serveAdmin`. */
export function createAdminFront(socketPath: string, at: AdminAddress, { flows, node }: FrontOptions): Promise<AdminServer> {
  const server = createLocalServer((request, response) => {
    if (flows && request.url?.split('?')[0] === FLOWS_PATH) flows(request, response);
    else passOn(socketPath, request, response, node);
  });
  return serveAdmin(server, at);
}

const METRICS = '/stats/prometheus';

function passOn(socketPath: string, request: IncomingMessage, response: ServerResponse, node: JsonObject | undefined): void {
  const { method, url: path } = request;
  // Bodies mean nothing to Envoy's endpoints; what they take stands in the query.
  request.resume();
  const asked = ask({ socketPath, method, path, agent: false, headers: { host: 'localhost' } }, (answer) => {
    const { 'content-type': type = 'text/plain; charset=UTF-8', allow } = answer.headers;
    response.writeHead(answer.statusCode ?? 502, {
      'content-type': type,
      ...(allow === undefined ? {} : { allow }),
      'cache-control': 'no-cache, max-age=0',
      'x-content-type-options': 'nosniff',
    });
    const shown = node && path?.split('?')[0] === METRICS ? [answer, istioMetrics(node)] : [answer];
    pipeline([...shown, response], () => undefined);
  });
  asked.on('error', (error) => {
    if (response.headersSent) response.destroy();
    else response.writeHead(503, { 'content-type': 'text/plain; charset=UTF-8' }).end(`Envoy does not answer: ${error.message}\n`);
  });
  response.on('close', () => asked.destroy());
  asked.end();
}
