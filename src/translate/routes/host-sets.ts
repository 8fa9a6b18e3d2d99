/** Choosing among lists of hosts that may hold wildcards. */
import { hostCovers } from '../../lib/hostname.ts';

/** The hosts that both lists cover: of two that overlap, the narrower. In the order of `a`, each once. */
export function intersectHosts(a: readonly string[], b: readonly string[]): string[] {
  const result = new Set<string>();
  for (const left of a) {
    for (const right of b) {
      if (hostCovers(right, left)) result.add(left);
      else if (hostCovers(left, right)) result.add(right);
    }
  }
  return [...result];
}
