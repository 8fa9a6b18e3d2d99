import { isIp } from '../../lib/ip.ts';
import type { Rules } from '../kind.ts';
import type { IstioEgressListener, IstioIngressListener, Sidecar } from '../sidecar.ts';
import {
  hostProblem,
  isDnsLabel,
  isHttpProtocol,
  namespacedHostProblem,
  type Path,
  portProblem,
  protocolProblem,
  type Report,
  selectorOf,
  unixPathProblem,
} from './checks.ts';
import { destinationOf } from './destination.ts';
import { tlsOf } from './gateway.ts';
import { connectionPoolOf } from './traffic-policy.ts';

const UNIX = 'unix://';
const LOCAL: ReadonlySet<string> = new Set(['', '127.0.0.1', '0.0.0.0', '[::1]', '[::]']);

export const sidecarRules: Rules<Sidecar> = ({ spec, metadata }, report) => {
  const { ingress, egress, outboundTrafficPolicy, inboundConnectionPool } = spec;
  selectorOf(spec.workloadSelector?.labels, ['spec', 'workloadSelector'], report);
  if (ingress.length === 0 && egress.length === 0 && !outboundTrafficPolicy && !inboundConnectionPool) {
    report({ path: ['spec'], message: 'is empty: it needs egress, ingress, outboundTrafficPolicy or inboundConnectionPool' });
  }
  const ports = new Set<number>();
  ingress.forEach((listener, index) => {
    const path = ['spec', 'ingress', index];
    ingressOf(listener, path, report);
    onePort(listener.port.number, ports, path, report);
  });
  connectionPoolOf(inboundConnectionPool, ['spec', 'inboundConnectionPool'], report);
  egressOf(egress, metadata.namespace, report);
  const proxy = outboundTrafficPolicy?.egressProxy;
  if (!proxy) return;
  const path = ['spec', 'outboundTrafficPolicy', 'egressProxy'];
  if (outboundTrafficPolicy?.mode !== 'ALLOW_ANY') report({ path, at: 'key', message: 'needs mode ALLOW_ANY' });
  if (!proxy.port) report({ path, message: 'needs a port' });
  const host = hostProblem(proxy.host);
  if (host) report({ path: [...path, 'host'], message: host });
  else destinationOf(proxy, path, report);
};

function onePort(number: number, seen: Set<number>, path: Path, report: Report): void {
  if (seen.has(number)) report({ path: [...path, 'port', 'number'], message: `port ${number} has a listener already` });
  seen.add(number);
}

function ingressOf(listener: IstioIngressListener, path: Path, report: Report): void {
  const { port, tls, defaultEndpoint } = listener;
  portOf(port, path, report);
  bindOf(listener.bind, path, report);
  const number = portProblem(port.number);
  if (number) report({ path: [...path, 'port', 'number'], message: number });
  if (defaultEndpoint) {
    const message = endpointProblem(defaultEndpoint);
    if (message) report({ path: [...path, 'defaultEndpoint'], message });
  }
  if (tls) {
    const refuse = (field: string, message: string) => report({ path: [...path, 'tls', field], at: 'key', message });
    if (tls.subjectAltNames.length > 0) refuse('subjectAltNames', 'is not supported on sidecars');
    if (tls.httpsRedirect) refuse('httpsRedirect', 'is not supported on sidecars');
    if (tls.credentialName) refuse('credentialName', 'is not supported on sidecars');
    if (tls.mode === 'ISTIO_MUTUAL' || tls.mode === 'AUTO_PASSTHROUGH') refuse('mode', `${tls.mode} is not possible on sidecars`);
    else tlsOf(tls, [...path, 'tls'], report);
  }
  connectionPoolOf(listener.connectionPool, [...path, 'connectionPool'], report);
  if (listener.connectionPool?.http && !isHttpProtocol(port.protocol)) {
    report({
      path: [...path, 'connectionPool', 'http'],
      at: 'key',
      level: 'Warning',
      message: `has no effect on a port of protocol ${port.protocol || 'TCP'}`,
    });
  }
}

function endpointProblem(endpoint: string): string | undefined {
  if (endpoint.startsWith(UNIX)) return unixPathProblem(endpoint.slice(UNIX.length));
  const colon = endpoint.lastIndexOf(':');
  const port = endpoint.slice(colon + 1);
  if (colon < 0 || !LOCAL.has(endpoint.slice(0, colon)) || !/^\d+$/.test(port)) {
    return `"${endpoint}" must be 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///PATH`;
  }
  return portProblem(Number(port));
}

function portOf(port: IstioIngressListener['port'], path: Path, report: Report): void {
  if (port.name && !isDnsLabel(port.name)) report({ path: [...path, 'port', 'name'], message: `"${port.name}" is no name of a port` });
  const protocol = port.protocol && protocolProblem(port.protocol);
  if (protocol) report({ path: [...path, 'port', 'protocol'], message: protocol });
  if (port.targetPort) report({ path: [...path, 'port', 'targetPort'], at: 'key', message: 'has no effect on Sidecars: remove it' });
}

function bindOf(bind: string | undefined, path: Path, report: Report): void {
  if (bind && !isIp(bind)) report({ path: [...path, 'bind'], message: `"${bind}" is no IP address` });
}

function egressOf(egress: readonly IstioEgressListener[], namespace: string, report: Report): void {
  const ports = new Set<number>();
  const sockets = new Set<string>();
  egress.forEach((listener, index) => {
    const path = ['spec', 'egress', index];
    const { port, bind = '' } = listener;
    if (!port) {
      if (index !== egress.length - 1)
        report({ path, message: 'a listener without a port holds for all other ports, so there is one at most and it stands last' });
    } else {
      portOf(port, path, report);
      if (port.number !== 0) {
        bindOf(bind, path, report);
        const number = portProblem(port.number);
        if (number) report({ path: [...path, 'port', 'number'], message: number });
        onePort(port.number, ports, path, report);
      } else {
        const message = bind.startsWith(UNIX) ? unixPathProblem(bind.slice(UNIX.length)) : 'port 0 needs a unix address to bind to';
        if (message) report({ path: [...path, 'bind'], message });
        if (listener.captureMode === 'IPTABLES')
          report({ path: [...path, 'captureMode'], message: 'must be DEFAULT or NONE with a unix address' });
        if (sockets.has(bind)) report({ path: [...path, 'bind'], message: `"${bind}" has a listener already` });
        sockets.add(bind);
      }
    }
    hostsOf(listener.hosts, namespace, [...path, 'hosts'], report);
  });
}

function hostsOf(hosts: readonly string[], namespace: string, path: Path, report: Report): void {
  if (hosts.length === 0) report({ path, message: 'needs at least one host' });
  const seen = new Set<string>();
  hosts.forEach((host, index) => {
    const message = namespacedHostProblem(host, 'sidecar');
    const full = host.replace(/^\.\//, `${namespace}/`);
    if (message) report({ path: [...path, index], message });
    else if (seen.has(full) || seen.has(`${full.slice(0, full.indexOf('/'))}/*`))
      report({ path: [...path, index], level: 'Warning', message: `"${host}" is covered by an earlier host` });
    seen.add(full);
  });
  if (seen.has('*/*') && hosts.length > 1)
    report({ path, level: 'Warning', message: '"*/*" selects everything, so the other hosts have no effect' });
}
