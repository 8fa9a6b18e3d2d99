import { isShortName } from '../../lib/hostname.ts';
import { isIp } from '../../lib/ip.ts';
import type { AllowedRequests } from '../allow-list.ts';
import { type EgressPolicy, endOf } from '../egress-policy.ts';
import type { Rules } from '../kind.ts';
import { forwardProxy } from '../through.ts';
import { isDnsLabel, labelsOf, type Path, type Report, wildcardHostProblem } from './checks.ts';
import { clientCertificateOf, credentialsOf } from './secret-credentials.ts';

export const egressPolicyRules: Rules<EgressPolicy> = ({ spec }, report) => {
  const { from, to, through, proxy, tls, starts, expires } = spec;
  if (through === 'proxy' && proxy === undefined)
    report({ path: ['spec', 'through'], message: 'names no forward proxy: write proxy: HOST:PORT of its ServiceEntry beside it' });
  if (proxy !== undefined && forwardProxy(proxy) === undefined)
    report({ path: ['spec', 'proxy'], message: `"${proxy}" is not HOST:PORT of a ServiceEntry` });
  if (proxy !== undefined && (through ?? 'direct') === 'direct')
    report({ path: ['spec', 'proxy'], at: 'key', message: 'needs through: proxy, or gateway' });
  if (starts !== undefined && (!starts.includes('T') || endOf(starts) === undefined))
    report({ path: ['spec', 'starts'], message: `"${starts}" is no moment (2026-12-31T18:00:00Z)` });
  if (expires !== undefined && endOf(expires) === undefined)
    report({ path: ['spec', 'expires'], message: `"${expires}" is neither a day (2026-12-31) nor a moment (2026-12-31T18:00:00Z)` });
  callersOf(spec, report);
  from.forEach(({ namespace, labels, serviceAccounts }, index) => {
    const path = ['spec', 'from', index];
    labelsOf(labels, path, report, 'labels');
    if (namespace !== undefined && !isDnsLabel(namespace))
      report({ path: [...path, 'namespace'], message: `"${namespace}" is no namespace` });
    serviceAccounts.forEach((name, at) => {
      if (!name.split('.').every(isDnsLabel))
        report({ path: [...path, 'serviceAccounts', at], message: `"${name}" is no name of a service account` });
    });
  });
  to.forEach((destination, index) => {
    destination.hosts.forEach((host, at) => {
      const path = ['spec', 'to', index, 'hosts', at];
      const told = from.some(({ labels }) => Object.keys(labels).length > 0) && isShortName(host.replace(/\.$/, ''));
      const problem =
        allowedProblem(host, destination) ??
        (told ? `labels of callers need a name with a dot: ${SHORT}` : undefined) ??
        (through === 'gateway' ? gatewayProblem(host) : undefined) ??
        (proxy !== undefined && host.startsWith('*')
          ? 'a forward proxy is asked for hosts that are declared: write it in full'
          : undefined);
      if (problem) report({ path, message: `${host}: ${problem}` });
    });
    if (tls?.originate) originationOf(destination, ['spec', 'to', index], report);
    credentialsOf(spec, destination, ['spec', 'to', index, 'credentials'], report);
  });
  clientCertificateOf(spec, report);
};

/** A sidecar knows its labels and no identity, a gateway identities and no labels: a caller is judged by one of the two. */
function callersOf({ from, through }: EgressPolicy, report: Report): void {
  const byIdentity = from.findIndex(({ serviceAccounts }) => serviceAccounts.length > 0);
  if (byIdentity < 0) return;
  const path = ['spec', 'from', byIdentity, 'serviceAccounts'];
  if (through !== 'gateway')
    report({
      path,
      at: 'key',
      message: 'identities are seen at a gateway alone, so nothing could hold others off: write through: gateway, or labels',
    });
  else if (from.some(({ labels }) => Object.keys(labels).length > 0))
    report({
      path,
      at: 'key',
      message:
        'must not stand beside labels: those are judged at the sidecar, which sees no identity, and this at the gateway, which sees no labels',
    });
}

function originationOf(
  { ports, protocol, hosts }: AllowedRequests & { readonly hosts: readonly string[] },
  path: Path,
  report: Report,
): void {
  if (protocol !== undefined && protocol !== 'HTTP')
    report({ path: [...path, 'protocol'], message: `TLS is originated of plain HTTP, not of ${protocol}` });
  hosts.forEach((host, at) => {
    if (isIp(host) || host.startsWith('*') || isShortName(host.replace(/\.$/, '')))
      report({
        path: [...path, 'hosts', at],
        message: `${host}: TLS is originated for the full name of one host, by which its certificate is known`,
      });
  });
  if (protocol === undefined && ports.some((port) => port !== 80))
    report({ path: [...path, 'ports'], message: 'TLS is originated of plain HTTP: write protocol: HTTP' });
}

/** Why a gateway can not tell the host from others. */
function gatewayProblem(host: string): string | undefined {
  if (host.startsWith('*')) return 'a gateway that asks for identities needs the name of one host: write it in full, or through: direct';
  if (isIp(host)) return 'a gateway serves names: write one, or through: direct';
  return isShortName(host) ? 'it is a short name, which no gateway serves: write it in full' : undefined;
}

const SHORT = 'a short one is taken for a Service, so that nothing could hold others off';

/** A name, or a wildcard for whole labels. */
const NAME = /^(\*\.)?[^*]+$/;

/** Whether it is an address, a name, or `*.` and a name. */
export function isAllowedHost(host: string): boolean {
  return isIp(host) || (NAME.test(host) && wildcardHostProblem(host) === undefined && !/^[\d.]+$/.test(host));
}

/** Why a host can not be allowed as it is written, or undefined. */
export function allowedProblem(host: string, { ports, protocol, methods, paths }: AllowedRequests): string | undefined {
  if (host.includes('://')) return 'a host is written without a scheme; state protocol';
  if (host === '*') return 'all hosts can not be allowed at once: write the names, or the suffixes that are needed ("*.com")';
  if (!isAllowedHost(host.replace(/\.$/, ''))) return 'it is neither a name, *.suffix, nor an address; ports stand in ports';
  if (methods.length > 0 || paths.length > 0) {
    if (protocol !== undefined && protocol !== 'HTTP') return `methods and paths are seen in plain HTTP alone, not in ${protocol}`;
    if (isIp(host) || host.startsWith('*')) return 'methods and paths need the name of one host';
    if (isShortName(host.replace(/\.$/, ''))) return `methods and paths need a name with a dot: ${SHORT}`;
  }
  if (protocol === 'TCP' && ports.length === 0) return 'TCP needs ports';
  if (protocol === 'TCP' && host.startsWith('*')) return 'a wildcard needs a name in the connection, which TCP has not';
  return undefined;
}
