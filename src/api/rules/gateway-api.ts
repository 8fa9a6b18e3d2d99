/** What the Gateway API's CRDs demand by their validation rules (CEL), beside their schemas. */
import { isIp } from '../../lib/ip.ts';
import type { BackendTLSPolicy } from '../gateway-api/backend-tls-policy.ts';
import type { BackendObjectReference, HeaderModifier, ParentReference } from '../gateway-api/common.ts';
import type { KubernetesGateway, Listener } from '../gateway-api/gateway.ts';
import type { GRPCRoute } from '../gateway-api/grpc-route.ts';
import type { HTTPRoute, HTTPRouteFilter, HTTPRouteRule, PathModifier } from '../gateway-api/http-route.ts';
import type { ListenerSet } from '../gateway-api/listener-set.ts';
import type { TCPRoute, TLSRoute } from '../gateway-api/stream-routes.ts';
import type { Rules } from '../kind.ts';
import type { Path, Report } from './checks.ts';

export const kubernetesGatewayRules: Rules<KubernetesGateway> = ({ spec }, report) => {
  listenersOf(spec.listeners ?? [], report);
  const addresses = new Set<string>();
  spec.addresses.forEach(({ type, value }, index) => {
    const path = ['spec', 'addresses', index];
    if (!ADDRESS_TYPE.test(type))
      report({ path: [...path, 'type'], message: `"${type}" is no type of address: use IPAddress or Hostname` });
    if (!value) return;
    if (type === 'IPAddress' && !isIp(value))
      report({ path: [...path, 'value'], message: `"${value}" is no IP address; is its type Hostname?` });
    if (type === 'Hostname' && !HOSTNAME.test(value)) report({ path: [...path, 'value'], message: `"${value}" is no host name` });
    if ((type === 'IPAddress' || type === 'Hostname') && addresses.has(`${type} ${value}`))
      report({ path: [...path, 'value'], message: `"${value}" stands twice` });
    addresses.add(`${type} ${value}`);
  });
};

export const listenerSetRules: Rules<ListenerSet> = ({ spec }, report) => listenersOf(spec.listeners ?? [], report);

function listenersOf(listeners: readonly Listener[], report: Report): void {
  const names = new Set<string>();
  const served = new Set<string>();
  listeners.forEach((listener, index) => {
    const path = ['spec', 'listeners', index];
    listenerOf(listener, path, report);
    if (names.has(listener.name))
      report({ path: [...path, 'name'], message: `"${listener.name}" names another listener already: names must differ` });
    names.add(listener.name);
    const key = `${listener.port} ${listener.protocol} ${listener.hostname ?? ''}`;
    if (served.has(key)) report({ path, message: 'another listener has this port, protocol and hostname already' });
    served.add(key);
  });
}

const HOSTNAME = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** One of the API's own, or a domain and a path. */
const ADDRESS_TYPE =
  /^Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/;

function listenerOf({ protocol, hostname, tls }: Listener, path: Path, report: Report): void {
  if (tls && ['HTTP', 'TCP', 'UDP'].includes(protocol))
    report({ path: [...path, 'tls'], at: 'key', message: `a listener of ${protocol} takes no tls: use the protocol HTTPS or TLS` });
  if (hostname && ['TCP', 'UDP'].includes(protocol))
    report({ path: [...path, 'hostname'], message: `a listener of ${protocol} takes no hostname: bytes carry none` });
  if (protocol === 'HTTPS' && tls?.mode === 'Passthrough')
    report({ path: [...path, 'tls', 'mode'], message: 'a listener of HTTPS terminates TLS: use the protocol TLS to pass it on' });
  if (protocol === 'TLS' && !tls) report({ path, message: 'a listener of TLS needs tls with a mode: Passthrough or Terminate' });
  if (tls?.mode === 'Terminate' && tls.certificateRefs.length === 0 && Object.keys(tls.options).length === 0)
    report({ path: [...path, 'tls'], message: 'the mode Terminate needs certificateRefs (or options)' });
}

export const kubernetesHttpRouteRules: Rules<HTTPRoute> = ({ spec }, report) => {
  parents(spec.parentRefs, report);
  spec.rules.forEach((rule, index) => {
    const path = ['spec', 'rules', index];
    httpFilters(rule, rule.filters, [...path, 'filters'], report);
    backends(rule.backendRefs, path, report);
    rule.backendRefs.forEach((backend, at) => {
      httpFilters(rule, backend.filters, [...path, 'backendRefs', at, 'filters'], report);
    });
    if (rule.backendRefs.length > 0 && rule.filters.some(({ type }) => type === 'RequestRedirect'))
      report({ path: [...path, 'backendRefs'], at: 'key', message: 'must not stand beside a RequestRedirect, which answers by itself' });
    rule.matches.forEach((match, at) => {
      const problem = match.path.type === 'RegularExpression' ? undefined : pathProblem(match.path.value);
      if (problem) report({ path: [...path, 'matches', at, 'path', 'value'], message: problem });
    });
    const { request, backendRequest } = rule.timeouts ?? {};
    if (request && backendRequest && backendRequest > request)
      report({ path: [...path, 'timeouts', 'backendRequest'], message: 'must not be longer than the timeout `request`' });
  });
};

function pathProblem(value: string): string | undefined {
  if (!value.startsWith('/')) return `"${value}" must begin with /`;
  for (const part of ['//', '/./', '/../', '%2f', '%2F', '#'])
    if (value.includes(part)) return `must not hold "${part}": no request has it after normalisation`;
  if (value.endsWith('/..') || value.endsWith('/.')) return 'must not end with a dot segment';
  return /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/.test(value) ? undefined : `"${value}" holds characters that no path has`;
}

/** The field of a filter that its type demands. */
const FIELD_OF = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
} as const;

type AnyFilter = Partial<HTTPRouteFilter> & Pick<HTTPRouteFilter, 'type'>;

function filters(list: readonly AnyFilter[], path: Path, report: Report): void {
  const seen = new Set<string>();
  list.forEach((filter, index) => {
    const wanted = FIELD_OF[filter.type];
    if (filter[wanted] === undefined) report({ path: [...path, index], message: `a filter of type ${filter.type} needs ${wanted}` });
    for (const field of Object.values(FIELD_OF))
      if (field !== wanted && filter[field] !== undefined)
        report({ path: [...path, index, field], at: 'key', message: `does not belong to a filter of type ${filter.type}` });
    if (seen.has(filter.type) && filter.type !== 'RequestMirror' && filter.type !== 'ExtensionRef')
      report({ path: [...path, index, 'type'], message: `${filter.type} must not be repeated` });
    seen.add(filter.type);
    for (const field of ['requestHeaderModifier', 'responseHeaderModifier'] as const)
      if (filter[field]) headerNames(filter[field], [...path, index, field], report);
    if (filter.requestMirror) mirrorOf(filter.requestMirror, [...path, index, 'requestMirror'], report);
  });
}

function mirrorOf({ backendRef, fraction }: NonNullable<AnyFilter['requestMirror']>, path: Path, report: Report): void {
  portOf(backendRef, [...path, 'backendRef'], report);
  if (fraction && fraction.numerator > fraction.denominator)
    report({ path: [...path, 'fraction', 'numerator'], message: 'must not be greater than the denominator' });
}

function headerNames({ set, add, remove }: HeaderModifier, path: Path, report: Report): void {
  for (const [field, list] of [
    ['set', set],
    ['add', add],
  ] as const) {
    const seen = new Set<string>();
    list.forEach(({ name }, index) => {
      if (seen.has(name.toLowerCase())) report({ path: [...path, field, index, 'name'], message: `"${name}" stands twice` });
      seen.add(name.toLowerCase());
    });
  }
  if (new Set(remove).size < remove.length) report({ path: [...path, 'remove'], message: 'names a header twice' });
}

function httpFilters(rule: HTTPRouteRule, list: readonly HTTPRouteFilter[], path: Path, report: Report): void {
  filters(list, path, report);
  const types = list.map(({ type }) => type);
  if (types.includes('RequestRedirect') && types.includes('URLRewrite'))
    report({ path, message: 'RequestRedirect and URLRewrite exclude each other' });
  list.forEach((filter, index) => {
    const field = filter.requestRedirect ? 'requestRedirect' : 'urlRewrite';
    const modifier = (filter.requestRedirect ?? filter.urlRewrite)?.path;
    if (modifier) pathModifier(rule, modifier, [...path, index, field, 'path'], report);
    const code = filter.requestRedirect?.statusCode;
    if (code && ![301, 302, 303, 307, 308].includes(code))
      report({ path: [...path, index, 'requestRedirect', 'statusCode'], message: 'must be 301, 302, 303, 307 or 308' });
  });
}

function pathModifier({ matches }: HTTPRouteRule, modifier: PathModifier, path: Path, report: Report): void {
  const [wanted, other] =
    modifier.type === 'ReplaceFullPath'
      ? (['replaceFullPath', 'replacePrefixMatch'] as const)
      : (['replacePrefixMatch', 'replaceFullPath'] as const);
  if (modifier[wanted] === undefined) report({ path, message: `the type ${modifier.type} needs ${wanted}` });
  if (modifier[other] !== undefined) report({ path: [...path, other], at: 'key', message: `does not belong to the type ${modifier.type}` });
  // Without a match the rule matches the prefix /.
  const single = matches.length === 0 || (matches.length === 1 && matches[0]!.path.type === 'PathPrefix');
  if (modifier.type === 'ReplacePrefixMatch' && !single)
    report({
      path,
      message: 'ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix: it says which prefix is replaced',
    });
}

function backends(list: readonly BackendObjectReference[], path: Path, report: Report): void {
  list.forEach((backend, index) => {
    portOf(backend, [...path, 'backendRefs', index], report);
  });
}

function portOf(backend: BackendObjectReference, path: Path, report: Report): void {
  if (backend.group === '' && backend.kind === 'Service' && !backend.port) report({ path, message: 'a Service needs a port here' });
}

/** Of several references to one parent each must say which part of it is meant. */
function parents(list: readonly ParentReference[], report: Report): void {
  const seen = new Map<string, ParentReference[]>();
  list.forEach((parent, index) => {
    const key = [parent.group, parent.kind, parent.namespace ?? '', parent.name].join('/');
    const others = seen.get(key) ?? [];
    const same = others.some((other) => other.sectionName === parent.sectionName && other.port === parent.port);
    const open = others.some(
      (other) => (other.sectionName === undefined) !== (parent.sectionName === undefined) && !other.port && !parent.port,
    );
    if (same || open)
      report({
        path: ['spec', 'parentRefs', index],
        message: `${parent.kind} ${parent.name} is referred to already: several references to one parent need a sectionName (or port) each, and different ones`,
      });
    seen.set(key, [...others, parent]);
  });
}

const GRPC_SERVICE = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i;
const GRPC_METHOD = /^[A-Za-z_][A-Za-z_0-9]*$/;

export const grpcRouteRules: Rules<GRPCRoute> = ({ spec }, report) => {
  parents(spec.parentRefs, report);
  spec.rules.forEach((rule, index) => {
    const path = ['spec', 'rules', index];
    filters(rule.filters, [...path, 'filters'], report);
    backends(rule.backendRefs, path, report);
    rule.backendRefs.forEach((backend, at) => {
      filters(backend.filters, [...path, 'backendRefs', at, 'filters'], report);
    });
    rule.matches.forEach(({ method }, at) => {
      if (!method) return;
      const where = [...path, 'matches', at, 'method'];
      if (!method.service && !method.method) report({ path: where, message: 'needs a service or a method' });
      if (method.type !== 'Exact') return;
      if (method.service && !GRPC_SERVICE.test(method.service))
        report({ path: [...where, 'service'], message: `"${method.service}" is no name of a service` });
      if (method.method && !GRPC_METHOD.test(method.method))
        report({ path: [...where, 'method'], message: `"${method.method}" is no name of a method` });
    });
  });
};

export const streamRouteRules: Rules<TLSRoute | TCPRoute> = ({ spec }, report) => {
  parents(spec.parentRefs, report);
  (spec.rules ?? []).forEach((rule, index) => {
    backends(rule.backendRefs, ['spec', 'rules', index], report);
  });
};

export const backendTlsPolicyRules: Rules<BackendTLSPolicy> = ({ spec }, report) => {
  const { validation } = spec;
  const path = ['spec', 'validation'];
  spec.targetRefs.forEach(({ group, kind, name, sectionName }, index) => {
    const same = spec.targetRefs.filter((other) => other.group === group && other.kind === kind && other.name === name);
    if (same.length < 2) return;
    const at = ['spec', 'targetRefs', index];
    if (!sectionName) report({ path: at, message: `needs a sectionName: ${kind} ${name} stands here more than once` });
    else if (same.some((other) => other !== spec.targetRefs[index] && other.sectionName === sectionName))
      report({ path: [...at, 'sectionName'], message: `"${sectionName}" of ${kind} ${name} stands twice` });
  });
  const refs = validation.caCertificateRefs.length > 0;
  if (refs === (validation.wellKnownCACertificates !== undefined))
    report({ path, message: 'needs either caCertificateRefs or wellKnownCACertificates' });
  validation.subjectAltNames.forEach(({ type, hostname, uri }, index) => {
    if ((type === 'Hostname') !== (hostname !== undefined) || (type === 'URI') !== (uri !== undefined))
      report({ path: [...path, 'subjectAltNames', index], message: 'needs the one field that its type names' });
  });
};
