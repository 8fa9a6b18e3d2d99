/** What a pod's embedded data plane, which has no agent, answers at the port that an agent has: the metrics of the proxy, and the application's probes. */
import { request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { listening } from '../lib/listen.ts';
import { createLocalServer } from '../lib/local-server.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { type AppProbes, probeApp } from './app-probes.ts';

export interface PodServerOptions {
  readonly at: SocketAddress;
  readonly probes: AppProbes;
  /** Address of the pod. */
  readonly pod: string;
  /** The proxy's admin server, whose `/stats/prometheus` is passed on; nothing else of it is. */
  readonly admin: SocketAddress;
}

const METRICS = '/stats/prometheus';
const PATIENCE_MS = 5000;

/** Rejects as `listening`. */
export async function startPodServer({ at, probes, pod, admin }: PodServerOptions): Promise<{ close(): void }> {
  const server = createLocalServer((request, answer) => {
    request.resume();
    const path = request.method === 'GET' ? (request.url?.split('?')[0] ?? '') : '';
    const probe = probes.get(path);
    if (path === METRICS) passOn(admin, answer);
    else if (!probe) answer.writeHead(404).end();
    else
      void probeApp(probe, pod, request.headers['user-agent']).then((status) => {
        answer.writeHead(status).end();
      });
  });
  const { address: host, port } = at;
  await listening(server, { host, port }, { ip: host, port }, { what: 'cannot serve metrics and probes', option: '--metrics-address' });
  return {
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function passOn({ address: host, port }: SocketAddress, answer: ServerResponse): void {
  const failed = () => (answer.headersSent ? answer.destroy() : answer.writeHead(503).end());
  const asked = ask({ host, port, path: METRICS, agent: false, timeout: PATIENCE_MS }, (given: IncomingMessage) => {
    answer.writeHead(given.statusCode ?? 503, { 'content-type': given.headers['content-type'] ?? 'text/plain' });
    given.on('error', failed).pipe(answer);
  });
  asked
    .on('timeout', () => asked.destroy(new Error('no answer')))
    .on('error', failed)
    .end();
}
