/** What the Envoy engine asks of Envoy's admin endpoint: which configuration is in force, and what was refused. */
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { SallyportError } from '../../lib/errors.ts';
import type { Refusal } from '../contract.ts';

interface Stats {
  readonly [name: string]: number;
}

/** Counters of updates that were answered. */
const UPDATES = ['update_success', 'update_rejected'];
/** What tells how far a configuration has come. */
const PROGRESS =
  '^(cluster_manager\\.(cds\\.update_|warming_clusters)|listener_manager\\.(lds\\.update_|total_listeners_warming)|server\\.state)';
/** Before the statistics of all access loggers that send by gRPC. */
const LOG_STATS = 'access_logs.grpc_access_log.';
/** Between two questions, while a configuration comes into force. */
const POLL_MS = 15;

export class EnvoyAdmin {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The path of the admin endpoint's socket. */
  get socketPath(): string {
    return this.#socketPath;
  }

  /**
   * Waits until Envoy has answered what it is served and nothing is warming. Returns what is not in force by the end of the time.
   * @param answered asked again and again
   */
  async inForce(answered: () => boolean, timeoutMs: number): Promise<Refusal[]> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      // What came of an answer can be asked for once the answer has come.
      const before = answered();
      const stats = await this.#stats(PROGRESS).catch(() => undefined);
      if (stats && before && answered() && isInForce(stats)) return [];
      if (performance.now() > end) return [await this.#whyLate(stats, timeoutMs)];
      await delay(POLL_MS);
    }
  }

  /** Listeners drain: kept-alive connections are told to close. Resolves when no request runs any more, or after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    await this.#ask('POST', '/drain_listeners?graceful');
    const end = performance.now() + graceMs;
    while (performance.now() < end) {
      const text = await this.#ask('GET', '/stats?usedonly&filter=downstream_(rq|cx)_active$');
      // The admin endpoint counts its own request.
      const active = parse(text);
      const busy = Object.entries(active).some(([name, value]) => !name.startsWith('http.admin') && name.startsWith('http.') && value > 0);
      if (!busy) return;
      await delay(POLL_MS);
    }
  }

  /** Listeners stop slowly, in the time that Envoy was started with (`--drain-time-s`): clients are asked to go elsewhere, and new ones still served. */
  async startDraining(): Promise<void> {
    await this.#ask('POST', '/drain_listeners?graceful');
  }

  /** Whether Envoy serves what its control plane says: clusters and listeners have come, and nothing of the first ones is still warming. */
  async isReady(): Promise<boolean> {
    const stats = await this.#stats(PROGRESS);
    return (
      isInForce(stats) && ['cluster_manager.cds', 'listener_manager.lds'].every((of) => UPDATES.some((kind) => stats[`${of}.${kind}`]))
    );
  }

  async reopenLogs(): Promise<void> {
    await this.#ask('POST', '/reopen_logs');
  }

  /** Entries of access logs that went to services by gRPC, all together; and those that were given up, as a service did not take them in time. */
  async logEntries(): Promise<{ readonly written: number; readonly dropped: number }> {
    const stats = await this.#stats(`^${LOG_STATS.replaceAll('.', '\\.')}`);
    return { written: stats[`${LOG_STATS}logs_written`] ?? 0, dropped: stats[`${LOG_STATS}logs_dropped`] ?? 0 };
  }

  /** A value of Envoy's runtime, until it ends. */
  async setRuntime(key: string, value: string): Promise<void> {
    await this.#ask('POST', `/runtime_modify?${key}=${value}`);
  }

  async #stats(filter: string): Promise<Stats> {
    return parse(await this.#ask('GET', `/stats?filter=${encodeURIComponent(filter)}`));
  }

  async #whyLate(stats: Stats | undefined, timeoutMs: number): Promise<Refusal> {
    if (!stats) {
      throw new SallyportError('envoy-silent', `Envoy's admin endpoint ${this.#socketPath} does not answer.`);
    }
    const warming = [];
    if (stats['listener_manager.total_listeners_warming']) warming.push(`${stats['listener_manager.total_listeners_warming']} listeners`);
    if (stats['cluster_manager.warming_clusters']) warming.push(`${stats['cluster_manager.warming_clusters']} clusters`);
    return {
      resource: 'configuration',
      message: `not wholly in force after ${timeoutMs / 1000} s: Envoy still warms ${warming.join(' and ') || 'up'}`,
    };
  }

  #ask(method: string, path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socketPath = this.#socketPath;
      const asked = request({ socketPath, method, path, agent: false, timeout: 5000 }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
        answer.on('error', reject);
      });
      asked.on('timeout', () => asked.destroy(new Error(`no answer from ${socketPath}`)));
      asked.on('error', reject);
      asked.end();
    });
  }
}

function parse(text: string): Stats {
  const stats: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const colon = line.lastIndexOf(': ');
    if (colon > 0) stats[line.slice(0, colon)] = Number(line.slice(colon + 2));
  }
  return stats;
}

function isInForce(stats: Stats): boolean {
  return stats['server.state'] === 0 && !stats['cluster_manager.warming_clusters'] && !stats['listener_manager.total_listeners_warming'];
}
