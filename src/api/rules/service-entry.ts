import { isIp } from '../../lib/ip.ts';
import { BIND, BIND_MODES, isBindMode } from '../bind.ts';
import type { Rules } from '../kind.ts';
import { PRIVATE_ADDRESSES, wrongRanges } from '../private-addresses.ts';
import type { ServiceEntry } from '../service-entry.ts';
import type { WorkloadEntry } from '../workload-entry.ts';
import {
  exportToOf,
  hostProblem,
  isDnsLabel,
  isHttpProtocol,
  isTlsProtocol,
  labelsOf,
  type Path,
  protocolProblem,
  type Report,
  rangeProblem,
  selectorOf,
  unixPathProblem,
  wildcardHostProblem,
} from './checks.ts';

const ALL_HOSTS =
  'a ServiceEntry needs hosts, not "*", which Istio takes of none. Write the suffixes that are needed ("*.com", "*.org") with resolution DYNAMIC_DNS; ' +
  'to lead them through a gateway, write the same in its hosts and in the VirtualService';

export const serviceEntryRules: Rules<ServiceEntry> = ({ spec, metadata }, report) => {
  const { hosts, addresses, ports, resolution, endpoints, workloadSelector } = spec;
  selectorOf(workloadSelector?.labels, ['spec', 'workloadSelector'], report);
  if (workloadSelector && endpoints.length > 0)
    report({ path: ['spec', 'endpoints'], at: 'key', message: 'must not stand beside workloadSelector' });
  hosts.forEach((host, index) => {
    const message = host === '*' ? ALL_HOSTS : wildcardHostProblem(host);
    if (message) report({ path: ['spec', 'hosts', index], message });
  });
  addresses.forEach((address, index) => {
    const message = rangeProblem(address);
    if (message) report({ path: ['spec', 'addresses', index], message });
    else if (address.includes('/') && resolution !== 'NONE' && resolution !== 'STATIC') {
      report({ path: ['spec', 'addresses', index], message: `a CIDR range needs resolution NONE or STATIC, not ${resolution}` });
    }
  });
  portsOf(spec, report);
  if (resolution === 'NONE' || resolution === 'DYNAMIC_DNS') {
    if (endpoints.length > 0) report({ path: ['spec', 'endpoints'], at: 'key', message: `must not stand beside resolution ${resolution}` });
    if (resolution === 'NONE' && workloadSelector)
      report({ path: ['spec', 'workloadSelector'], at: 'key', level: 'Warning', message: 'has no effect with resolution NONE' });
  } else if (resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN') {
    dnsOf(spec, report);
  }
  endpointsOf(spec, report);
  if (resolution === 'DYNAMIC_DNS') dynamicDnsOf(spec, report);
  if (resolution !== 'NONE' && hosts.length > 1) {
    const index = ports.findIndex(({ protocol }) => !isHttpProtocol(protocol) && !isTlsProtocol(protocol));
    if (index >= 0) {
      report({
        path: ['spec', 'ports', index],
        message: `several hosts on a port that is neither HTTP nor TLS can't be told apart: make one ServiceEntry of each, or set the port's protocol`,
      });
    }
  }
  exportToOf(spec.exportTo, metadata.namespace, report, true);
  const mode = metadata.annotations[BIND];
  if (mode !== undefined && !isBindMode(mode))
    report({ path: ['metadata', 'annotations', BIND], message: `"${mode}" is none of ${BIND_MODES.join(', ')}` });
  for (const range of wrongRanges(metadata))
    report({ path: ['metadata', 'annotations', PRIVATE_ADDRESSES], message: `"${range}" is neither an IP address nor a CIDR range` });
};

function portsOf({ ports }: ServiceEntry, report: Report): void {
  const names = new Set<string>();
  const numbers = new Set<number>();
  ports.forEach((port, index) => {
    const path = ['spec', 'ports', index];
    if (!isDnsLabel(port.name)) report({ path: [...path, 'name'], message: `"${port.name}" is no name of a port` });
    if (names.has(port.name)) report({ path: [...path, 'name'], message: `"${port.name}" names another port already` });
    if (numbers.has(port.number)) report({ path: [...path, 'number'], message: `port ${port.number} is listed already` });
    names.add(port.name);
    numbers.add(port.number);
    const protocol = port.protocol && protocolProblem(port.protocol);
    if (protocol) report({ path: [...path, 'protocol'], message: protocol });
  });
}

function dnsOf({ resolution, endpoints }: ServiceEntry, report: Report): void {
  if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1)
    report({ path: ['spec', 'endpoints', 1], message: 'resolution DNS_ROUND_ROBIN takes one endpoint at most' });
}

const READABLE: ReadonlySet<string> = new Set(['HTTP', 'HTTP2', 'GRPC', 'TLS']);

/** The name that a client asks for is resolved, so there must be one that the proxy can read: HTTP's or TLS's. */
function dynamicDnsOf({ hosts, ports, workloadSelector }: ServiceEntry, report: Report): void {
  hosts.forEach((host, index) => {
    if (!host.startsWith('*'))
      report({ path: ['spec', 'hosts', index], message: `"${host}" is no wildcard, and resolution DYNAMIC_DNS takes no other: use DNS` });
  });
  if (workloadSelector) report({ path: ['spec', 'workloadSelector'], at: 'key', message: 'must not stand beside resolution DYNAMIC_DNS' });
  ports.forEach(({ protocol }, index) => {
    if (!READABLE.has(protocol.toUpperCase()))
      report({
        path: ['spec', 'ports', index, 'protocol'],
        message: `resolution DYNAMIC_DNS needs HTTP, HTTP2, GRPC or TLS, whose host names can be read${isTlsProtocol(protocol) ? ': write TLS' : ''}`,
      });
  });
}

function endpointsOf({ ports, resolution, endpoints }: ServiceEntry, report: Report): void {
  const names = new Set(ports.map(({ name }) => name));
  endpoints.forEach((endpoint, index) => {
    const path = ['spec', 'endpoints', index];
    workloadEntryOf(endpoint, resolution !== 'STATIC', path, report);
    for (const name in endpoint.ports) {
      if (!names.has(name))
        report({
          path: [...path, 'ports', name],
          at: 'key',
          message: `the ServiceEntry has no port ${name}; it has ${[...names].join(', ')}`,
        });
    }
    if (endpoint.address.startsWith('unix://')) {
      if (resolution !== 'STATIC')
        report({ path: [...path, 'address'], message: `a unix address needs resolution STATIC, not ${resolution}` });
      if (ports.length !== 1)
        report({ path: [...path, 'address'], message: `a unix address serves exactly one port, not ${ports.length}` });
    }
  });
}

function workloadEntryOf(entry: WorkloadEntry, names: boolean, path: Path, report: Report): void {
  const { address } = entry;
  const at = [...path, 'address'];
  if (address === '') {
    if (entry.network === '') report({ path, message: 'needs an address' });
    else report({ path, level: 'Warning', message: `has no address, only the network "${entry.network}"` });
  } else if (address.startsWith('unix://')) {
    const message = unixPathProblem(address.slice('unix://'.length));
    if (message) report({ path: at, message });
    if (Object.keys(entry.ports).length > 0)
      report({ path: [...path, 'ports'], at: 'key', message: 'must not stand beside a unix address' });
  } else if (!isIp(address)) {
    if (!names) report({ path: at, message: `"${address}" is no IP address, which resolution STATIC needs` });
    else if (hostProblem(address)) report({ path: at, message: `"${address}" is neither an IP address nor a host name` });
  }
  for (const name in entry.ports)
    if (!isDnsLabel(name)) report({ path: [...path, 'ports', name], at: 'key', message: `"${name}" is no name of a port` });
  labelsOf(entry.labels, [...path, 'labels'], report);
}

/** A WorkloadEntry of its own may hold an address or a name. */
export const workloadEntryRules: Rules<WorkloadEntry> = ({ spec }, report) => {
  workloadEntryOf(spec, true, ['spec'], report);
};
