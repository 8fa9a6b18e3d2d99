/** What analysis finds with an object and not without it, in bounded time: what is said of it, and what is new of others. */
import { setTimeout as delay } from 'node:timers/promises';
import { analysisSteps } from '../../analysis/index.ts';
import type { MeshConfig } from '../../api/index.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { type Finding, formatPosition } from '../../lib/finding.ts';
import { type Origin, originText } from '../../lib/origin.ts';
import { createPace } from '../../lib/pace.ts';
import { buildRegistry } from '../../registry/index.ts';
import type { Mesh } from '../../translate/model.ts';

/** How long analysis may keep the thread from other work at a time, ms. */
const SLICE_MS = 10;

export class CausedFindings {
  /** Of the newest mesh that was asked about. */
  #live: { readonly mesh: Mesh; readonly keys: Promise<ReadonlySet<string>> } | undefined;

  /**
   * Undefined where it takes longer.
   * @param changed the mesh's objects with the change @param about what is changed @param boundMs how long may be waited
   */
  async of(mesh: Mesh, changed: Snapshot, about: Origin, boundMs: number): Promise<readonly Finding[] | undefined> {
    const until = performance.now() + boundMs;
    const timer = new AbortController();
    const late = delay(boundMs, undefined, { signal: timer.signal }).catch(() => undefined);
    const found = async () => {
      const before = await this.#keysOf(mesh);
      const after = await analysed(changed, mesh.config, () => performance.now() > until);
      const own = originText(about);
      return after?.filter((finding) => originText(finding.origin) === own || !before.has(keyOf(finding)));
    };
    try {
      return await Promise.race([found(), late]);
    } finally {
      timer.abort();
    }
  }

  /** Goes on where nobody waits any more: the next one who asks about this mesh has it. */
  #keysOf(mesh: Mesh): Promise<ReadonlySet<string>> {
    if (this.#live?.mesh !== mesh) {
      const keys = analysed(mesh.snapshot, mesh.config, () => false).then((findings = []) => new Set(findings.map(keyOf)));
      this.#live = { mesh, keys };
    }
    return this.#live.keys;
  }
}

/** Undefined once it is `over`. */
async function analysed(snapshot: Snapshot, mesh: MeshConfig, over: () => boolean): Promise<Finding[] | undefined> {
  const pace = createPace(SLICE_MS, () => performance.now());
  const { registry, findings: also } = buildRegistry(snapshot, mesh);
  const steps = analysisSteps({ snapshot, registry, mesh, now: Date.now() }, { also });
  while (!over()) {
    await pace();
    const { done, value } = steps.next();
    if (done) return value;
  }
  return undefined;
}

/** By its place: its words may change with what else there is, as a name that is proposed does. */
function keyOf({ code, origin, position }: Finding): string {
  return `${code} ${originText(origin)} ${position ? formatPosition(position) : ''}`;
}
