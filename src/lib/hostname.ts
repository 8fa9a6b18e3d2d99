/** Host names as Istio's resources write them: exact, `*.suffix`, or `*`. Names are compared in lower case; callers pass them so. */

/**
 * The full name of a host in a route or rule: a name without dots is a Service of the object's own namespace (Istio's rule for short names).
 */
export function fullHostname(host: string, namespace: string, domain = 'cluster.local'): string {
  if (host === '' || host === '*' || host.includes('.')) return host;
  return `${host}.${namespace}.svc.${domain}`;
}

export function isWildcard(host: string): boolean {
  return host.startsWith('*');
}

/** Whether every name that `narrow` stands for is one that `wide` stands for. */
export function hostCovers(wide: string, narrow: string): boolean {
  if (wide === narrow || wide === '*') return true;
  if (!isWildcard(wide)) return false;
  const suffix = wide.slice(1);
  return isWildcard(narrow) ? narrow.slice(1).endsWith(suffix) : narrow.endsWith(suffix) && narrow.length > suffix.length;
}

/** Whether there is a name that both stand for. */
export function hostsOverlap(a: string, b: string): boolean {
  return hostCovers(a, b) || hostCovers(b, a);
}

/** Edits (insert, delete, replace, swap of neighbours) from one name to the other; stops counting beyond `limit`. */
export function editDistance(a: string, b: string, limit = 4): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
      if (cost < least) least = cost;
    }
    if (least > limit) return limit + 1;
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

/** The candidate that `name` most likely means: the nearest within a third of its length, at most `limit` edits. */
export function likelyName(name: string, candidates: Iterable<string>, limit = 3): string | undefined {
  const most = Math.min(limit, Math.max(1, Math.floor(name.length / 3)));
  let best: string | undefined;
  let distance = most + 1;
  for (const candidate of candidates) {
    if (candidate === name) continue;
    const d = editDistance(name, candidate, most);
    if (d < distance) [best, distance] = [candidate, d];
  }
  return best;
}
