import { hostCovers } from '../../lib/hostname.ts';
import { isIp } from '../../lib/ip.ts';
import type { Rules } from '../kind.ts';
import type { HttpMatchRequest, RouteDestination, StringMatch, TlsMatchAttributes, VirtualService } from '../virtual-service.ts';
import {
  exportToOf,
  hostProblem,
  isDnsLabel,
  labelsOf,
  type Path,
  portProblem,
  type Report,
  rangeProblem,
  regexFault,
  wildcardHostProblem,
} from './checks.ts';
import { destinationOf, isFine } from './destination.ts';
import { headersOf, httpRouteActions } from './http-route.ts';

export const virtualServiceRules: Rules<VirtualService> = ({ spec, metadata }, report) => {
  const delegate = spec.hosts.length === 0;
  const onMesh = spec.gateways.includes('mesh') || delegate;
  if (delegate) delegateOf(spec, report);
  else hostsOf(spec.hosts, onMesh, report);
  gatewaysOf(spec.gateways, ['spec'], report);
  if (spec.http.length + spec.tls.length + spec.tcp.length === 0) {
    report({ path: ['spec'], message: 'has no route: one of http, tls and tcp is needed' });
  }
  spec.http.forEach((route, index) => {
    const path = ['spec', 'http', index];
    httpRouteActions(route, delegate, path, report);
    route.match.forEach((match, at) => {
      httpMatch(match, onMesh && !delegate, [...path, 'match', at], report);
    });
    route.route.forEach((destination, at) => {
      if (destination.headers) headersOf(destination.headers, [...path, 'route', at, 'headers'], report);
    });
    weightsOf(route.route, path, report);
  });
  spec.tls.forEach((route, index) => {
    const path = ['spec', 'tls', index];
    if (route.match.length === 0) report({ path: [...path, 'match'], message: 'needs at least one match with sniHosts' });
    route.match.forEach((match, at) => {
      tlsMatch(match, [...path, 'match', at], report);
    });
    if (route.route.length === 0) report({ path, message: 'needs a route' });
    weightsOf(route.route, path, report);
  });
  spec.tcp.forEach((route, index) => {
    const path = ['spec', 'tcp', index];
    route.match.forEach((match, at) => {
      connectionMatch(match, [...path, 'match', at], report);
      if (match.sourceSubnet) problem([...path, 'match', at, 'sourceSubnet'], rangeProblem(match.sourceSubnet), report);
    });
    if (route.route.length === 0) report({ path, message: 'needs a route' });
    weightsOf(route.route, path, report);
  });
  exportToOf(spec.exportTo, metadata.namespace, report);
};

function problem(path: Path, message: string | undefined, report: Report): void {
  if (message) report({ path, message });
}

/** One without hosts serves as the delegate of another. */
function delegateOf(spec: VirtualService, report: Report): void {
  for (const field of ['gateways', 'tls', 'tcp'] as const) {
    if (spec[field].length > 0)
      report({
        path: ['spec', field],
        at: 'key',
        message: `stands in a VirtualService without hosts, i.e. a delegate, which may not have it; or hosts are missing`,
      });
  }
}

function hostsOf(hosts: readonly string[], onMesh: boolean, report: Report): void {
  let good = true;
  hosts.forEach((host, index) => {
    const message = wildcardHostProblem(host);
    if (!message && host !== '*') return;
    if (message && isIp(host)) return;
    const path = ['spec', 'hosts', index];
    if (message) report({ path, message });
    else if (host === '*' && onMesh)
      report({
        path,
        message: 'the host "*" is possible at gateways only: take mesh from the gateways, or name the hosts or their suffixes ("*.com")',
      });
    else return;
    good = false;
  });
  if (!good) return;
  for (let i = 0; i < hosts.length; i++) {
    for (let j = i + 1; j < hosts.length; j++) {
      if (hostCovers(hosts[i]!, hosts[j]!) || hostCovers(hosts[j]!, hosts[i]!)) {
        report({ path: ['spec', 'hosts', j], message: `"${hosts[j]}" and "${hosts[i]}" overlap: a VirtualService may hold a host once` });
      }
    }
  }
}

/** `path` is of the object whose field `gateways` it is. */
function gatewaysOf(gateways: readonly string[], path: Path, report: Report): void {
  gateways.forEach((name, index) => {
    if (name === 'mesh') return;
    const slash = name.indexOf('/');
    if (slash < 0) {
      const [gateway, namespace] = name.split('.');
      const message = hostProblem(name);
      if (!message && !namespace) return;
      const at = [...path, 'gateways', index];
      if (message) report({ path: at, message: `"${name}" is no name of a Gateway` });
      else if (namespace)
        report({ path: at, level: 'Warning', message: `"${name}" is the old form of a Gateway's name: write ${namespace}/${gateway}` });
      return;
    }
    const namespace = name.slice(0, slash);
    const gateway = name.slice(slash + 1);
    if (!isDnsLabel(namespace)) report({ path: [...path, 'gateways', index], message: `"${namespace}" is no namespace` });
    if (!isDnsLabel(gateway)) report({ path: [...path, 'gateways', index], message: `"${gateway}" is no name of a Gateway` });
  });
}

/** Istio reads `@request.auth.claims.…` in place of a header's name as a claim of the request's token. */
const isClaim = (name: string) => /^\[?@request\.auth\.claims[\].[]/.test(name);

function httpMatch(match: HttpMatchRequest, onMesh: boolean, path: Path, report: Report): void {
  for (const field of STRING_FIELDS) {
    const value = match[field];
    // A path may begin with anything.
    if (value && mayBeWrong(value) && !(field === 'uri' && value.prefix === '')) stringMatch(value, [...path, field], report);
  }
  for (const name in match.queryParams) {
    const value = match.queryParams[name]!;
    if (mayBeWrong(value)) stringMatch(value, [...path, 'queryParams', name], report);
  }
  for (const field of HEADER_FIELDS) {
    for (const name in match[field]) {
      const value = match[field][name]!;
      if (PLAIN_NAME.test(name) && !mayBeWrong(value)) continue;
      const at = [...path, field, name];
      if (isClaim(name)) {
        if (onMesh)
          report({ path: at, at: 'key', message: 'claims of tokens can be matched at gateways only: take mesh from the gateways' });
      } else if (!HEADER_NAME.test(name)) {
        report({ path: at, at: 'key', message: `"${name}" is no name of a header` });
      }
      // Here it stands for any value.
      if (field === 'withoutHeaders' && value.regex === '*') continue;
      stringMatch(value, at, report);
    }
  }
  if (match.port) problem([...path, 'port'], portProblem(match.port), report);
  labelsOf(match.sourceLabels, path, report, 'sourceLabels');
  gatewaysOf(match.gateways, path, report);
  if (match.sourceNamespace && !isDnsLabel(match.sourceNamespace)) {
    report({ path: [...path, 'sourceNamespace'], message: `"${match.sourceNamespace}" is no namespace` });
  }
}

const STRING_FIELDS = ['uri', 'scheme', 'method', 'authority'] as const;
const HEADER_FIELDS = ['headers', 'withoutHeaders'] as const;
const PLAIN_NAME = /^[-_A-Za-z0-9]+$/;
/** A token of HTTP, or a pseudo-header. */
const HEADER_NAME = /^(?:[-!#$%&'*+.^_`|~A-Za-z0-9]+|:(?:method|scheme|authority|path|status))$/;

/** What most matches are not: `stringMatch` looks at those that are. */
function mayBeWrong({ prefix, regex }: StringMatch): boolean {
  return prefix === '' || regex !== undefined;
}

function stringMatch(match: StringMatch, path: Path, report: Report): void {
  if (match.prefix === '') report({ path: [...path, 'prefix'], message: 'must not be empty' });
  if (match.regex === undefined) return;
  problem([...path, 'regex'], regexFault(match.regex), report);
}

interface ConnectionMatch {
  readonly destinationSubnets: readonly string[];
  readonly port?: number;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly gateways: readonly string[];
}

function connectionMatch(match: ConnectionMatch, path: Path, report: Report): void {
  match.destinationSubnets.forEach((subnet, index) => {
    problem([...path, 'destinationSubnets', index], rangeProblem(subnet), report);
  });
  if (match.port) problem([...path, 'port'], portProblem(match.port), report);
  labelsOf(match.sourceLabels, path, report, 'sourceLabels');
  gatewaysOf(match.gateways, path, report);
}

function tlsMatch(match: TlsMatchAttributes, path: Path, report: Report): void {
  if (match.sniHosts.length === 0) report({ path: [...path, 'sniHosts'], message: 'needs at least one host' });
  match.sniHosts.forEach((sni, index) => {
    const at = [...path, 'sniHosts', index];
    if (isIp(sni)) {
      report({ path: at, level: 'Warning', message: `"${sni}": clients send no address as SNI (RFC 6066, section 3)` });
      return;
    }
    const message = wildcardHostProblem(sni);
    if (message) report({ path: at, message });
  });
  connectionMatch(match, path, report);
}

/** `path` is of the rule whose destinations these are. */
function weightsOf(destinations: readonly RouteDestination[], path: Path, report: Report): void {
  let total = 0;
  destinations.forEach(({ destination, weight }, index) => {
    if (!isFine(destination)) destinationOf(destination, [...path, 'route', index, 'destination'], report);
    if (weight < 0) report({ path: [...path, 'route', index, 'weight'], message: `must not be negative, but is ${weight}` });
    total += weight;
  });
  if (destinations.length > 1 && total === 0)
    report({ path: [...path, 'route'], message: 'the weights of several destinations must not all be 0 or missing' });
}
