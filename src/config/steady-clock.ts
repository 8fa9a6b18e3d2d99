/** What time it is for what ends: never earlier than it was. */

/**
 * ms since the epoch by the system's clock, or by how long the process has run where that says more: a clock that is set back lengthens nothing that ends,
 * and one that is set forward ends it.
 */
export function steadyClock(wall: () => number = Date.now, running: () => number = () => performance.now()): () => number {
  const offset = wall() - running();
  let latest = 0;
  return () => {
    latest = Math.max(latest, wall(), offset + running());
    return latest;
  };
}

/** The process's own. */
export const steadyNow = steadyClock();
