/** Which ports a host is allowed at, and what is spoken there. Pure. */
import type { AllowedRequests } from '../api/allow-list.ts';
import { isIp } from '../lib/ip.ts';
import type { AllowedPort, Protocol } from './plan.ts';

/** The ports that an entry of a list or policy stands for; that nothing is wrong with it says `allowedProblem`. */
export function portsOf(host: string, { ports, protocol: stated, methods, paths }: AllowedRequests): AllowedPort[] {
  const byRequest = methods.length > 0 || paths.length > 0;
  const protocol = byRequest ? 'HTTP' : stated;
  const numbers = ports.length > 0 ? ports : protocol === 'HTTP' ? [80] : protocol === 'TLS' ? [443] : [80, 443];
  const allowed = allowedPorts(host, numbers, protocol);
  return byRequest ? allowed.map((port) => ({ ...port, only: [{ methods, paths }] })) : allowed;
}

export function allowedPorts(host: string, ports: readonly number[], protocol: Protocol | undefined): AllowedPort[] {
  return ports.map((port) => ({ port, protocol: protocolOf(host, port, protocol) }));
}

function protocolOf(host: string, port: number, protocol: Protocol | undefined): Protocol {
  // Of an address nothing in the connection need say which host is meant.
  if (isIp(host)) return 'TCP';
  return protocol ?? (port === 80 ? 'HTTP' : port === 443 || host.startsWith('*') ? 'TLS' : 'TCP');
}
