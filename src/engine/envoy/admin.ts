/** What the Envoy engine asks of Envoy's admin endpoint: which configuration is in force, and what was refused. */
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { SallyportError } from '../../lib/errors.ts';
import type { Refusal } from '../contract.ts';

/** How many updates each subscription has taken or refused. */
export interface UpdateCounts {
  readonly clusters: number;
  readonly listeners: number;
  readonly refusedClusters: number;
}

interface Stats {
  readonly [name: string]: number;
}

/** Between two questions, while a configuration comes into force. */
const POLL_MS = 15;

export class EnvoyAdmin {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async updates(): Promise<UpdateCounts> {
    return countsOf(await this.#stats());
  }

  /** Waits until an update later than `before` (the first, if undefined) is in force and nothing is warming; returns what was refused. */
  async inForce(before: UpdateCounts | undefined, timeoutMs: number): Promise<Refusal[]> {
    const end = performance.now() + timeoutMs;
    let last: Stats | undefined;
    for (;;) {
      last = await this.#stats().catch(() => undefined);
      if (last && isInForce(last, before)) break;
      if (performance.now() > end) return [await this.#whyLate(last, timeoutMs)];
      await delay(POLL_MS);
    }
    const refused = await this.#refusals();
    if (countsOf(last).refusedClusters > (before?.refusedClusters ?? 0)) {
      refused.push({
        resource: 'clusters',
        message: 'Envoy took only some of them; its warning "Error adding/updating cluster(s)" says which and why',
      });
    }
    return refused;
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
    const stats = await this.#stats();
    return isInForce(stats, undefined);
  }

  /** The path of the admin endpoint's socket. */
  get socketPath(): string {
    return this.#socketPath;
  }

  async reopenLogs(): Promise<void> {
    await this.#ask('POST', '/reopen_logs');
  }

  async #stats(): Promise<Stats> {
    const filter =
      '^(cluster_manager\\.(cds\\.update_|warming_clusters)|listener_manager\\.(lds\\.update_|total_listeners_warming)|server\\.state)';
    return parse(await this.#ask('GET', `/stats?filter=${encodeURIComponent(filter)}`));
  }

  async #refusals(): Promise<Refusal[]> {
    const found: Refusal[] = [];
    for (const [kind, resource] of [
      ['listener', 'dynamic_listeners'],
      ['cluster', 'dynamic_warming_clusters'],
    ]) {
      const dump = JSON.parse(await this.#ask('GET', `/config_dump?resource=${resource}`)) as { configs?: Dumped[] };
      for (const { name, error_state } of dump.configs ?? []) {
        if (error_state)
          found.push({ resource: `${kind} ${name ?? error_state.failed_configuration?.name}`, message: error_state.details ?? '' });
      }
    }
    return found;
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

interface Dumped {
  readonly name?: string;
  readonly error_state?: { readonly details?: string; readonly failed_configuration?: { readonly name?: string } };
}

function parse(text: string): Stats {
  const stats: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const colon = line.lastIndexOf(': ');
    if (colon > 0) stats[line.slice(0, colon)] = Number(line.slice(colon + 2));
  }
  return stats;
}

function countsOf(stats: Stats): UpdateCounts {
  const done = (prefix: string) => (stats[`${prefix}.update_success`] ?? 0) + (stats[`${prefix}.update_rejected`] ?? 0);
  return {
    clusters: done('cluster_manager.cds'),
    listeners: done('listener_manager.lds'),
    refusedClusters: stats['cluster_manager.cds.update_rejected'] ?? 0,
  };
}

function isInForce(stats: Stats, before: UpdateCounts | undefined): boolean {
  const now = countsOf(stats);
  return (
    stats['server.state'] === 0 &&
    now.clusters > (before?.clusters ?? 0) &&
    now.listeners > (before?.listeners ?? 0) &&
    !stats['cluster_manager.warming_clusters'] &&
    !stats['listener_manager.total_listeners_warming']
  );
}
