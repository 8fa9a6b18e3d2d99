/** What the agent answers to a cluster: whether Envoy is ready, and the metrics of Envoy, of itself and of the application, as Istio's agent does. */
import { get as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { JsonObject } from '@bufbuild/protobuf';
import { istioMetrics } from '../engine/envoy/istio-metrics.ts';
import { listening } from '../lib/listen.ts';
import { createLocalServer } from '../lib/local-server.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { type AppProbes, probeApp } from './app-probes.ts';
import { wholeLines } from './whole-lines.ts';

export interface AgentServersOptions {
  /** `/healthz/ready`; port 0 for none. */
  readonly status: SocketAddress;
  /** `/stats/prometheus` and `/healthz/ready`; port 0 for none. */
  readonly metrics: SocketAddress;
  /** URL of the application's own metrics. */
  readonly appMetrics: string | undefined;
  /** Probes of the application that are made here. */
  readonly probes: AppProbes;
  /** Of the pod. */
  readonly address: string;
  /** Path of Envoy's admin socket. */
  readonly admin: string;
  /** Of Envoy's xDS node, for the labels of Istio's metrics. */
  readonly nodeMetadata: JsonObject;
  /** Undefined if Envoy is ready, else why not. */
  readonly notReady: () => Promise<string | undefined>;
  /** ms since the epoch */
  readonly notAfter: () => number | undefined;
}

type Route = (answer: ServerResponse, request: IncomingMessage) => Promise<unknown>;

export interface AgentServers {
  close(): void;
}

/** The text form alone: of two OpenMetrics texts no one can be made by writing one after the other. */
const FORM = 'text/plain;version=0.0.4';
const PATIENCE_MS = 5000;
/** Of a scraper that does not say how long it waits, and what it is taken to wait at most, s. */
const SCRAPE_S = 10;
const MOST_SCRAPE_S = 60;
/** Less than the scraper's time: one that gives up has nothing at all, not even what Envoy says. */
const SHARE = 0.9;

/** Rejects as `listening`. */
export async function startAgentServers(options: AgentServersOptions): Promise<AgentServers> {
  const { status, metrics } = options;
  let failures = 0;
  const answerMetrics = async (answer: ServerResponse, request: IncomingMessage) => {
    const end = AbortSignal.timeout(scrapeMs(request));
    answer.writeHead(200, { 'content-type': `${FORM}; charset=utf-8` });
    answer.write(ownMetrics(options.notAfter(), failures));
    const failed = () => {
      failures += 1;
    };
    await copied({ socketPath: options.admin, path: '/stats/prometheus' }, answer, istioMetrics(options.nodeMetadata), end).catch(failed);
    if (options.appMetrics) await copied(options.appMetrics, answer, wholeLines(), end).catch(failed);
    answer.end();
  };
  const ready = (answer: ServerResponse) =>
    options.notReady().then(
      (why) => answer.writeHead(why === undefined ? 200 : 503, { 'content-type': 'text/plain' }).end(why === undefined ? '' : `${why}\n`),
      (error: unknown) => answer.writeHead(503, { 'content-type': 'text/plain' }).end(`${String(error)}\n`),
    );
  const probes: Record<string, Route> = {};
  for (const [path, probe] of options.probes)
    probes[`GET ${path}`] = async (answer, request) => {
      const status = await probeApp(probe, options.address, request.headers['user-agent']);
      answer.writeHead(status, { 'content-type': 'text/plain' }).end();
    };
  const serverOf = (routes: Readonly<Record<string, Route>>) =>
    createLocalServer((request, answer) => {
      request.resume();
      const route = routes[`${request.method} ${request.url?.split('?')[0]}`];
      if (route) void route(answer, request).catch(() => answer.destroy());
      else answer.writeHead(404, { 'content-type': 'text/plain' }).end(`there are ${Object.keys(routes).join(' and ')}\n`);
    });
  const servers = [
    { at: status, option: '--status-address', server: serverOf({ 'GET /healthz/ready': ready }) },
    {
      at: metrics,
      option: '--metrics-address',
      server: serverOf({ 'GET /stats/prometheus': answerMetrics, 'GET /healthz/ready': ready, ...probes }),
    },
  ].filter(({ at }) => at.port > 0);
  const close = () => {
    for (const { server } of servers) {
      server.close();
      server.closeAllConnections();
    }
  };
  try {
    for (const { server, at, option } of servers)
      await listening(
        server,
        { host: at.address, port: at.port },
        { ip: at.address, port: at.port },
        { what: 'cannot serve status', option },
      );
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

/** How long a page may take, ms. */
function scrapeMs({ headers }: IncomingMessage): number {
  const said = Number(headers['x-prometheus-scrape-timeout-seconds']);
  return Math.min(said > 0 ? said : SCRAPE_S, MOST_SCRAPE_S) * SHARE * 1000;
}

/**
 * Writes what a server answers, as `through` makes it, and a line end behind it. Rejects where it does not answer, or with something else than 200, and when
 * it is to end.
 */
async function copied(
  source: string | { readonly socketPath: string; readonly path: string },
  answer: ServerResponse,
  through: Transform,
  signal: AbortSignal,
): Promise<void> {
  const options = { agent: false, signal, timeout: PATIENCE_MS, headers: { accept: FORM, host: 'localhost' } } as const;
  const given = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked =
      typeof source === 'string'
        ? ask(source, { agent: false, signal, timeout: PATIENCE_MS, headers: { accept: FORM } }, resolve)
        : ask({ ...options, ...source }, resolve);
    asked.on('timeout', () => asked.destroy(new Error('no answer')));
    asked.on('error', reject);
  });
  if (given.statusCode !== 200) {
    given.destroy();
    throw new Error(`answered ${given.statusCode}`);
  }
  await pipeline(given, through, answer, { end: false });
  answer.write('\n');
}

function ownMetrics(notAfter: number | undefined, failures: number): string {
  const expiry =
    notAfter === undefined
      ? []
      : [
          '# HELP sallyport_agent_certificate_expiry_timestamp_seconds When the certificate of the workload ends.',
          '# TYPE sallyport_agent_certificate_expiry_timestamp_seconds gauge',
          `sallyport_agent_certificate_expiry_timestamp_seconds ${Math.floor(notAfter / 1000)}`,
        ];
  return `${[
    ...expiry,
    '# HELP sallyport_agent_scrape_failures_total Metrics of Envoy or the application that could not be had.',
    '# TYPE sallyport_agent_scrape_failures_total counter',
    `sallyport_agent_scrape_failures_total ${failures}`,
  ].join('\n')}\n`;
}
