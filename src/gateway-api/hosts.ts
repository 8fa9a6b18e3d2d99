/** Hosts of routes and listeners. */
import { hostCovers } from '../lib/hostname.ts';

/** Of each pair that overlaps the narrower, each once; no hosts stand for every host. */
export function commonHosts(routeHosts: readonly string[], listenerHost: string | undefined): readonly string[] {
  if (listenerHost === undefined) return routeHosts.length > 0 ? routeHosts : ['*'];
  if (routeHosts.length === 0) return [listenerHost];
  const common = routeHosts.flatMap((host) => {
    if (hostCovers(listenerHost, host)) return [host];
    return hostCovers(host, listenerHost) ? [listenerHost] : [];
  });
  return [...new Set(common)];
}

const CLUSTER_DOMAIN = 'cluster.local';

export function serviceHost(name: string, namespace: string): string {
  return `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`;
}

/** The Service that a host names: its full name, or a name without dots in `namespace`. */
export function serviceOfHost(host: string, namespace: string): { readonly name: string; readonly namespace: string } | undefined {
  if (!host.includes('.')) return { name: host, namespace };
  const [name, owner, ...rest] = host.split('.');
  return name && owner && rest.join('.') === `svc.${CLUSTER_DOMAIN}` ? { name, namespace: owner } : undefined;
}
