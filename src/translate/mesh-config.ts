import type { MeshConfig } from '../api/index.ts';

/** So many are told apart at a time: of each mesh that is compared one, and of each workload that sends spans, which name it. */
const MOST = 1024;

const known = new Map<string, WeakRef<MeshConfig>>();
const same = new WeakMap<MeshConfig, MeshConfig>();

/** One object for configurations that say the same: they are decoded anew with every snapshot, and results are kept by what they were made from. */
export function sameConfig(config: MeshConfig): MeshConfig {
  let found = same.get(config);
  if (!found) {
    const text = JSON.stringify(config);
    found = known.get(text)?.deref() ?? config;
    known.delete(text);
    known.set(text, new WeakRef(found));
    if (known.size > MOST) known.delete(known.keys().next().value!);
    same.set(config, found);
  }
  return found;
}
