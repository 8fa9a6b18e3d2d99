/** What `proxy --xds` answers whoever asks whether it is ready. */
import type { SocketAddress } from '../lib/socket-address.ts';
import { startReadyServer } from './ready-server.ts';
import type { RemoteEvent } from './remote.ts';

const STALE = 'stale: in force is what was kept of a control plane that cannot be had\n';

/** Follows the proxy's events. */
export class RemoteReadiness {
  #ready = false;
  #note = '';

  get ready(): boolean {
    return this.#ready;
  }

  /** What is said beside the status: what is refused, or that what is in force is old. */
  get note(): string {
    return this.#note;
  }

  see(event: RemoteEvent): void {
    if (event.kind === 'ready') this.#become(true, '');
    else if (event.kind === 'stale') this.#become(true, STALE);
    // What was kept stays in force where the control plane sends no better.
    else if (event.kind === 'not-ready')
      this.#become(this.#ready, event.refused.map(({ resource, message }) => `refused: ${resource}: ${message}\n`).join(''));
  }

  /** The proxy takes no new work. */
  end(): void {
    this.#become(false, '');
  }

  #become(ready: boolean, note: string): void {
    this.#ready = ready;
    this.#note = note;
  }

  /** Answers at this address; undefined for nowhere. Rejects as `startReadyServer`. */
  async serve(at: SocketAddress | undefined): Promise<{ close(): void } | undefined> {
    if (!at || at.port === 0) return undefined;
    return startReadyServer(
      at,
      () => this.#ready,
      () => this.#note,
    );
  }
}
