/** Lookups in the name table that comes over xDS: the addresses of registered hosts, wildcards included. Pure. */
import type { NameTable } from './gen/istio/nds_pb.js';

export interface NameIndex {
  /** Addresses of a host name (no trailing dot, any case); undefined where the table does not know it. */
  lookup(name: string): readonly string[] | undefined;
  readonly size: number;
}

/** Exact names win over wildcards, longer wildcards over shorter ones; a wildcard stands for one label or more. */
export function indexNames(table: NameTable): NameIndex {
  const exact = new Map<string, readonly string[]>();
  const wildcards = new Map<string, readonly string[]>();
  const add = (host: string, ips: readonly string[]) => {
    const name = host.toLowerCase().replace(/\.$/, '');
    const map = name.startsWith('*.') ? wildcards : exact;
    const key = name.startsWith('*.') ? name.slice(2) : name;
    if (!map.has(key)) map.set(key, ips);
  };
  const entries = Object.entries(table.table).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [host, info] of entries) add(host, info.ips);
  // Alternative names never shadow a host's own.
  for (const [, info] of entries) for (const host of info.altHosts) add(host, info.ips);
  return {
    size: entries.length,
    lookup(text) {
      const name = text.toLowerCase();
      const found = exact.get(name);
      if (found) return found;
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        const wildcard = wildcards.get(name.slice(dot + 1));
        if (wildcard) return wildcard;
      }
      return undefined;
    },
  };
}
