/** The choice of a virtual host by the authority. Envoy's order: exact, longest suffix wildcard (`*.com`), longest prefix wildcard (`www.*`), `*`. */
import { SallyportError } from '../../lib/errors.ts';
import { portStart } from '../authority.ts';

export interface HostTable<T> {
  match(authority: string): T | undefined;
}

/** Throws `xds-invalid` if two entries have a domain, or a domain has a wildcard inside. */
export function compileHosts<T>(
  entries: readonly { readonly name: string; readonly domains: readonly string[]; readonly value: T }[],
  ignorePort: boolean,
): HostTable<T> {
  const exact = new Map<string, T>();
  const suffixes = new Map<string, T>();
  const prefixes = new Map<string, T>();
  let any: T | undefined;
  for (const { name, domains, value } of entries) {
    for (const given of domains) {
      const domain = given.toLowerCase();
      const fail = () => new SallyportError('xds-invalid', `virtual host "${name}": the domain "${given}" is there twice`);
      if (domain === '*') {
        if (any !== undefined) throw fail();
        any = value;
        continue;
      }
      const [map, key] = domain.startsWith('*')
        ? ([suffixes, domain.slice(1)] as const)
        : domain.endsWith('*')
          ? ([prefixes, domain.slice(0, -1)] as const)
          : ([exact, domain] as const);
      if (key.includes('*'))
        throw new SallyportError('xds-invalid', `virtual host "${name}": the domain "${given}" may have one wildcard, at its start or end`);
      if (map.has(key)) throw fail();
      map.set(key, value);
    }
  }
  const suffixLengths = lengths(suffixes);
  const prefixLengths = lengths(prefixes);
  return {
    match(authority) {
      // Domains are in lower case, so an authority that hits as it was sent needs no conversion.
      if (!ignorePort) {
        const hit = exact.get(authority);
        if (hit !== undefined) return hit;
      }
      // An empty Host field: no name, so only a host for all names serves it.
      if (authority === '') return any;
      let host = authority.toLowerCase();
      if (ignorePort) {
        const colon = portStart(host);
        if (colon >= 0) host = host.slice(0, colon);
      }
      const hit = exact.get(host);
      if (hit !== undefined) return hit;
      // A wildcard stands for at least one character.
      for (const length of suffixLengths) {
        const wildcard = length < host.length ? suffixes.get(host.slice(-length)) : undefined;
        if (wildcard !== undefined) return wildcard;
      }
      for (const length of prefixLengths) {
        const wildcard = length < host.length ? prefixes.get(host.slice(0, length)) : undefined;
        if (wildcard !== undefined) return wildcard;
      }
      return any;
    },
  };
}

function lengths(map: ReadonlyMap<string, unknown>): number[] {
  return [...new Set([...map.keys()].map((key) => key.length))].sort((a, b) => b - a);
}
