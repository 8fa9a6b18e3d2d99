/** Choosing among lists of hosts that may hold wildcards. */
import { hostCovers, hostsOverlap, isWildcard } from '../../lib/hostname.ts';

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

interface Entry<T> {
  readonly host: string;
  readonly value: T;
  readonly order: number;
}

/** Values by host. Wildcards are few: only they are looked through one by one, so that a mesh of thousands of hosts stays quick. */
export class HostMap<T> {
  private readonly exact = new Map<string, Entry<T>[]>();
  private readonly wildcards: Entry<T>[] = [];
  private size = 0;

  /** Values of one host stay in the order in which they were added. */
  add(host: string, value: T): void {
    const entry = { host, value, order: this.size++ };
    const list = isWildcard(host) ? this.wildcards : this.exact.get(host);
    if (list) list.push(entry);
    else this.exact.set(host, [entry]);
  }

  /** The first value of the most specific host that covers `host`: the name itself, else the longest wildcard. */
  best(host: string): T | undefined {
    const named = this.exact.get(host)?.[0];
    if (named) return named.value;
    let best: Entry<T> | undefined;
    for (const entry of this.wildcards) {
      if (hostCovers(entry.host, host) && (best === undefined || entry.host.length > best.host.length)) best = entry;
    }
    return best?.value;
  }

  /** The values of all hosts that have a name in common with `host`, each once, in the order in which they were added. */
  overlapping(host: string): T[] {
    const exact = isWildcard(host) ? [...this.exact.values()].flat().filter((entry) => hostCovers(host, entry.host)) : this.exact.get(host);
    const found = [...(exact ?? []), ...this.wildcards.filter((entry) => hostsOverlap(entry.host, host))];
    return [...new Set(found.sort((a, b) => a.order - b.order).map((entry) => entry.value))];
  }
}
