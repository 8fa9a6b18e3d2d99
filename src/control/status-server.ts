/** Readiness and the version in force, for whoever runs or deploys a proxy: Istio's health port. */
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Audit } from '../audit/audit.ts';
import { findingJson } from '../lib/finding-form.ts';
import { listening } from '../lib/listen.ts';
import { createLocalServer } from '../lib/local-server.ts';
import { auditJson, auditMetrics } from './audit-status.ts';
import { metricsText } from './finding-metrics.ts';
import type { Report } from './report.ts';

export interface StatusServerOptions {
  readonly address: string;
  /** 0 for any free one. */
  readonly port: number;
  /** What is in force; undefined until the first configuration is. */
  readonly report: () => Report | undefined;
  /** What there is to say beyond the report. */
  readonly more?: (() => object) | undefined;
  readonly audit?: Audit | undefined;
  /** Reads the files again and resolves when what they say is in force. */
  readonly reload: () => Promise<Report>;
}

export interface StatusServer {
  readonly port: number;
  close(): void;
}

/**
 * `GET /healthz/ready`: 200 once a configuration is in force, else 503. `GET /status`: what is in force, as JSON. `GET /metrics`: findings and proxies, for
 * Prometheus. `POST /reload`, from this machine alone: reads the files now and answers as `/status` when every proxy serves them.
 */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { audit } = options;
  const server = createLocalServer((request, answer) => {
    const route = `${request.method} ${request.url?.split('?')[0]}`;
    const report = options.report();
    request.resume();
    if (route === 'GET /healthz/ready') reply(answer, report ? 200 : 503, undefined);
    else if (route === 'GET /status')
      reply(answer, report ? 200 : 503, report && { ...statusJson(report), ...(audit && auditJson(audit)), ...options.more?.() });
    else if (route === 'GET /metrics')
      replyText(answer, report ? 200 : 503, report ? metricsText(report) + (audit ? auditMetrics(audit) : '') : '');
    else if (route !== 'POST /reload')
      reply(answer, 404, { error: 'there are GET /healthz/ready, GET /status, GET /metrics and POST /reload' });
    else if (!isLoopback(request.socket.remoteAddress)) reply(answer, 403, { error: 'a reload can be asked for from this machine only' });
    else {
      options.reload().then(
        (done) => reply(answer, 200, { ...statusJson(done), ...options.more?.() }),
        (error: unknown) => reply(answer, 500, { error: String(error) }),
      );
    }
  });
  const { address: host, port } = options;
  await listening(server, { host, port }, { ip: host, port }, { what: 'cannot serve status', option: '--status-address' });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function statusJson(report: Report): object {
  return {
    snapshot: report.snapshot,
    findings: report.findings.map(findingJson),
    proxies: report.proxies.map(({ identity, version, refusals }) => ({
      name: identity.name,
      namespace: identity.namespace,
      version,
      refusals,
    })),
  };
}

function reply(answer: ServerResponse, status: number, body: unknown): void {
  answer.writeHead(status, body === undefined ? {} : { 'content-type': 'application/json' });
  answer.end(body === undefined ? undefined : `${JSON.stringify(body)}\n`);
}

function replyText(answer: ServerResponse, status: number, text: string): void {
  answer.writeHead(status, { 'content-type': 'text/plain; version=0.0.4; charset=UTF-8' });
  answer.end(text);
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.'));
}
