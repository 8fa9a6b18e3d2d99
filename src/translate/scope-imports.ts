/** What the hosts of one egress entry of a Sidecar take in. Exact hosts are looked up: an entry may name hundreds, of thousands of services. */
import { hostCovers, hostsOverlap, isWildcard } from '../lib/hostname.ts';
import { type SidecarImport, sidecarImport } from '../registry/sidecar-import.ts';

export interface Imports {
  /** Whether a service of this namespace and host is imported. */
  takeService(namespace: string, host: string): boolean;
  /** Whether all of its hosts are exact and of a namespace that is named. */
  readonly exact: boolean;
  /** Whether a VirtualService of this namespace that has the host is. */
  takeHost(namespace: string, host: string): boolean;
}

export function importsOf(hosts: readonly string[], namespace: string): Imports {
  const all = hosts.map((host) => sidecarImport(host, namespace));
  const wildcards = all.filter(({ host }) => isWildcard(host));
  const exact = new Map<string, SidecarImport[]>();
  for (const each of all) {
    if (isWildcard(each.host)) continue;
    const same = exact.get(each.host);
    if (same) same.push(each);
    else exact.set(each.host, [each]);
  }
  const excluding = all.filter((_, i) => /^~/.test(hosts[i]!));
  const isExcluded = (from: string, host: string) => excluding.some((each) => each.excludes(from) && hostCovers(each.host, host));
  const named = (from: string, host: string) => exact.get(host)?.some((each) => each.takes(from)) ?? false;
  return {
    exact: all.every(({ host }, i) => /^~/.test(hosts[i]!) || (!isWildcard(host) && !/^\*\//.test(hosts[i]!))),
    takeService: (from, host) =>
      !isExcluded(from, host) && (named(from, host) || wildcards.some((each) => each.takes(from) && hostCovers(each.host, host))),
    takeHost: (from, host) =>
      !isExcluded(from, host) &&
      (named(from, host) || (isWildcard(host) ? all : wildcards).some((each) => each.takes(from) && hostsOverlap(each.host, host))),
  };
}
