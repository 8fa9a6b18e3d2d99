/** Values by host name or wildcard; finds those that cover a name, or that a wildcard covers, without walking all of them. Names are in lower case. */
import { isWildcard } from './hostname.ts';

export class HostIndex<T> {
  readonly #exact = new Map<string, T[]>();
  /** Wildcards by the text after the star: `.example.com`, or the empty text for `*` alone. */
  readonly #wildcards = new Map<string, T[]>();
  /** Exact names and wildcards by each of their suffixes at a dot, for `coveredBy`. */
  readonly #bySuffix = new Map<string, T[]>();

  add(host: string, value: T): void {
    push(isWildcard(host) ? this.#wildcards : this.#exact, isWildcard(host) ? host.slice(1) : host, value);
    const name = isWildcard(host) ? host.slice(1) : host;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) push(this.#bySuffix, name.slice(dot), value);
    push(this.#bySuffix, '', value);
  }

  /** Values whose host covers `host` (itself, or a wildcard over it): the most specific first, then in the order added. */
  covering(host: string): T[] {
    const found: T[] = isWildcard(host) ? [] : [...(this.#exact.get(host) ?? [])];
    const name = isWildcard(host) ? host.slice(1) : host;
    const first = isWildcard(host) ? 0 : name.indexOf('.');
    for (let dot = first; dot >= 0; dot = name.indexOf('.', dot + 1)) found.push(...(this.#wildcards.get(name.slice(dot)) ?? []));
    if (name !== '') found.push(...(this.#wildcards.get('') ?? []));
    return found;
  }

  /** Values whose host `pattern` covers, in the order added. */
  coveredBy(pattern: string): readonly T[] {
    if (!isWildcard(pattern)) return this.#exact.get(pattern) ?? [];
    return this.#bySuffix.get(pattern.slice(1)) ?? [];
  }

  /** Values with exactly this host. */
  at(host: string): readonly T[] {
    return (isWildcard(host) ? this.#wildcards.get(host.slice(1)) : this.#exact.get(host)) ?? [];
  }

  /** Values whose host covers `host` or is covered by it: those of a wildcard that is `host` itself are met once. */
  overlapping(host: string): readonly T[] {
    if (!isWildcard(host)) return this.covering(host);
    return [...new Set([...this.covering(host), ...this.coveredBy(host)])];
  }

  /** Whether some value's host covers `host` or is covered by it. */
  overlaps(host: string): boolean {
    return (!isWildcard(host) && this.#exact.has(host)) || this.coveredBy(host).length > 0 || this.covering(host).length > 0;
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
