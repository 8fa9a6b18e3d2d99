/** What `sallyport analyze` says of the mesh that is in force: found beside the traffic and the next change, which do not wait for it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Finding } from '../lib/finding.ts';
import { createPace } from '../lib/pace.ts';
import type { Mesh } from '../translate/model.ts';

/** NetworkPolicies and the injection of sidecars: they mean nothing on one machine. */
const CLUSTER_ONLY = ['SP1023', 'IST0102', 'IST0103', 'IST0146', 'IST0147', 'IST0148', 'IST0158'];

/** After a change it is waited for so many ms whether another follows: only the newest state need be analysed. */
const QUIET_MS = 500;
/** How long analysis may keep the thread from other work at a time, in ms. */
const SLICE_MS = 10;

export class BackgroundAnalysis {
  readonly #done: (findings: readonly Finding[], mesh: Mesh) => void;
  readonly #pace = createPace(SLICE_MS, () => performance.now());
  /** The newest mesh that is to be analysed; those before it are left alone. */
  #wanted: Mesh | undefined;
  #running = false;
  #first = true;

  /** @param done gets what was found of a mesh, unless a newer one has come since */
  constructor(done: (findings: readonly Finding[], mesh: Mesh) => void) {
    this.#done = done;
  }

  /** Returns at once. */
  want(mesh: Mesh): void {
    this.#wanted = mesh;
    if (!this.#running) void this.#run();
  }

  /** Nothing is found any more. */
  close(): void {
    this.#wanted = undefined;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#wanted) {
      const mesh = this.#wanted;
      if (!this.#first) await delay(QUIET_MS, undefined, { ref: false });
      if (this.#wanted !== mesh) continue;
      this.#first = false;
      const findings = await this.#analyse(mesh);
      if (findings === undefined || this.#wanted !== mesh) continue;
      this.#wanted = undefined;
      this.#done(findings, mesh);
    }
    this.#running = false;
  }

  /** In steps, with room for whatever else happens in between; undefined as soon as it is not wanted any more. */
  async #analyse(mesh: Mesh): Promise<readonly Finding[] | undefined> {
    const { analysisSteps } = await import('../analysis/index.ts');
    const { snapshot, registry, config } = mesh;
    const steps = analysisSteps(
      { snapshot, registry, mesh: config, now: Date.now() },
      { suppress: CLUSTER_ONLY.map((code) => `${code}=*`) },
    );
    while (this.#wanted === mesh) {
      await this.#pace();
      const { done, value } = steps.next();
      if (done) return value;
    }
    return undefined;
  }
}
