/**
 * What EgressPolicies mean, read off the objects themselves: beside `index.ts`, which makes Istio's objects of them, and with none of its parts, so that
 * the one can be held against the other. Pure.
 */
import type { EgressDestination, EgressPolicy } from '../api/egress-policy.ts';
import { endOf } from '../api/egress-policy.ts';
import type { ResourceOf } from '../api/index.ts';
import { isIp, parseIp, sameIp } from '../lib/ip.ts';

/** Who calls. */
export interface AskedCaller {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
}

/** What is called. */
export interface AskedCall {
  /** A name or an address, in lower case. */
  readonly host: string;
  readonly port: number;
  /** What the application speaks. */
  readonly speaks: 'HTTP' | 'TLS' | 'bytes';
  /** Of HTTP. */
  readonly method?: string;
  /** Of HTTP, normalised and without the query. */
  readonly path?: string;
}

/** The policies that allow a call, of those that are in force. @param now ms since the epoch */
export function permitting(
  policies: readonly ResourceOf<'EgressPolicy'>[],
  now: number,
  caller: AskedCaller,
  call: AskedCall,
): ResourceOf<'EgressPolicy'>[] {
  return policies.filter(
    (policy) =>
      holds(policy.spec, now) && isOf(policy, caller) && policy.spec.to.some((destination) => isTo(destination, policy.spec, call)),
  );
}

function holds({ starts, expires }: EgressPolicy, now: number): boolean {
  return (starts === undefined || Date.parse(starts) <= now) && (expires === undefined || now < endOf(expires)!);
}

/** Whether the caller is one of those whom the policy allows something. */
export function isOf({ metadata: { namespace: own }, spec: { from } }: ResourceOf<'EgressPolicy'>, caller: AskedCaller): boolean {
  if (from.length === 0) return caller.namespace === own;
  return from.some(
    ({ namespace, labels, serviceAccounts }) =>
      caller.namespace === (namespace || own) &&
      Object.entries(labels).every(([key, value]) => caller.labels[key] === value) &&
      (serviceAccounts.length === 0 || serviceAccounts.includes(caller.serviceAccount || 'default')),
  );
}

function isTo(destination: EgressDestination, { tls }: EgressPolicy, call: AskedCall): boolean {
  const { hosts, ports, methods, paths } = destination;
  const byRequest = methods.length > 0 || paths.length > 0;
  const stated = byRequest || tls?.originate ? 'HTTP' : destination.protocol;
  const usual = stated === 'HTTP' ? [80] : stated === 'TLS' ? [443] : [80, 443];
  if (!(ports.length > 0 ? ports : usual).includes(call.port)) return false;
  const named = hosts.find((host) => isNamed(host.toLowerCase().replace(/\.$/, ''), call.host));
  if (named === undefined) return false;
  const isAddress = /^[\d.]+$|:/.test(named);
  const protocol = isAddress ? 'TCP' : (stated ?? (call.port === 80 ? 'HTTP' : call.port === 443 || named.startsWith('*') ? 'TLS' : 'TCP'));
  // What is allowed as bytes may be of any protocol.
  if (protocol !== 'TCP' && protocol !== call.speaks) return false;
  if (methods.length > 0 && !methods.includes(call.method ?? '')) return false;
  return paths.length === 0 || paths.some((path) => isPath(path, call.path ?? ''));
}

function isNamed(host: string, name: string): boolean {
  if (isIp(host)) return isIp(name) && sameIp(parseIp(host)!, parseIp(name)!);
  return host.startsWith('*.') ? name.endsWith(host.slice(1)) && name.length > host.length - 1 : name === host;
}

function isPath(wanted: string, path: string): boolean {
  return wanted.endsWith('*') ? path.startsWith(wanted.slice(0, -1)) : path === wanted;
}
