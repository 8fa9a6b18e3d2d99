/** Host names as Istio's resources write them: exact, `*.suffix`, or `*`. Names are compared in lower case; callers pass them so. */
import { formatIp, isIp, parseIp } from './ip.ts';

/**
 * The full name of a host in a route or rule: a name without dots is a Service of the object's own namespace (Istio's rule for short names).
 */
export function fullHostname(host: string, namespace: string, domain = 'cluster.local'): string {
  if (host === '' || host === '*' || host.includes('.')) return host;
  return `${host}.${namespace}.svc.${domain}`;
}

/** As hosts are compared: names in lower case without the trailing dot, addresses in the one way of writing them. */
export function plainHost(written: string): string {
  const words = written.includes('%') ? undefined : parseIp(written);
  return words ? formatIp(words) : written.toLowerCase().replace(/\.$/, '');
}

/** A name without a dot: VirtualServices, DestinationRules and Gateways take it for a Service, so that none of them can be written for a host that is called so. */
export function isShortName(host: string): boolean {
  return !host.includes('.') && !isIp(host);
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
