/** Checks that the rules of several kinds share. Each gives what is wrong, or undefined. The rules are those of Istio's admission webhook. */

import { isIp, parseRange } from '../../lib/ip.ts';
import { regexProblem } from '../../lib/regex.ts';
import type { RuleIssue } from '../kind.ts';
import type { PathStep } from '../resource.ts';

export type Path = readonly PathStep[];
export type Report = (issue: RuleIssue) => void;

const LABEL = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const WILDCARD_LABEL = /^(?:\*|(?:\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)$/;

/** Most host names at once; what it refuses is looked at label by label. */
const PLAIN_HOST = /^(?:[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;

/** A label of a DNS name (RFC 1123). */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && LABEL.test(text);
}

/** A host name, fully qualified or not; a trailing dot is allowed. */
export function hostProblem(host: string): string | undefined {
  return isPlainHost(host) ? undefined : (lengthProblem(host) ?? labelsProblem(host, host));
}

/** As `hostProblem`, and the first label may be or begin with a wildcard. */
export function wildcardHostProblem(host: string): string | undefined {
  if (isPlainHost(host)) return undefined;
  const problem = lengthProblem(host);
  if (problem) return problem;
  const dot = host.indexOf('.');
  const first = dot < 0 ? host : host.slice(0, dot);
  if (first.length > 63 || !WILDCARD_LABEL.test(first)) return `"${host}" is no host name: "${first}" is no label of one (nor a wildcard)`;
  return dot < 0 ? undefined : labelsProblem(host.slice(dot + 1), host);
}

/** A host name without a wildcard; false also of some that are right. */
export function isPlainHost(host: string): boolean {
  return host.length <= 255 && PLAIN_HOST.test(host);
}

function lengthProblem(host: string): string | undefined {
  if (host === '') return 'must not be empty';
  return host.length > 255 ? 'is no host name: it has more than 255 characters' : undefined;
}

function labelsProblem(text: string, host: string): string | undefined {
  const labels = text.split('.');
  if (labels.at(-1) === '' && labels.length > 1) labels.pop();
  for (const label of labels) if (!isDnsLabel(label)) return `"${host}" is no host name: "${label}" is no label of one`;
  return /^\d+$/.test(labels.at(-1)!) ? `"${host}" is no host name: its last label must not be a number` : undefined;
}

/** The `namespace/host` of Gateways (where the namespace may be missing) and of Sidecars (where it may be `~`). */
export function namespacedHostProblem(text: string, at: 'gateway' | 'sidecar'): string | undefined {
  const slash = text.indexOf('/');
  if (slash < 0)
    return at === 'gateway' ? servedHostProblem(text, at) : `"${text}" must have the form namespace/host, e.g. */${text} or ./${text}`;
  const namespace = text.slice(0, slash);
  const host = text.slice(slash + 1);
  if (namespace === '' || host === '') return `"${text}": neither namespace nor host may be empty`;
  const special = namespace === '*' || namespace === '.' || (namespace === '~' && at === 'sidecar');
  // A tilde before a namespace takes its hosts out of what others import.
  const name = at === 'sidecar' && namespace.startsWith('~') ? namespace.slice(1) : namespace;
  if (!special && !isDnsLabel(name)) return `"${namespace}" is no namespace`;
  return servedHostProblem(host, at);
}

/** Hosts of Gateways and Sidecars have at least two labels, and a wildcard stands for whole ones. */
function servedHostProblem(host: string, at: 'gateway' | 'sidecar'): string | undefined {
  if (host === '*' || (at === 'gateway' && isIp(host))) return undefined;
  const problem = wildcardHostProblem(host);
  if (problem) return problem;
  if (host.startsWith('*') && host[1] !== '.') return `"${host}": a wildcard must stand for whole labels, as in *.example.com`;
  return host.includes('.')
    ? undefined
    : `"${host}" is a short name, which stands for nothing here: write the name in full, e.g. ${host}.default.svc.cluster.local`;
}

/** An address or a CIDR range. */
export function rangeProblem(text: string): string | undefined {
  return parseRange(text) ? undefined : `"${text}" is neither an IP address nor a CIDR range`;
}

export function portProblem(port: number): string | undefined {
  return port >= 1 && port <= 65535 ? undefined : `must be a port from 1 to 65535, not ${port}`;
}

/** The part of a `unix://` address behind the scheme. */
export function unixPathProblem(path: string): string | undefined {
  if (path === '') return 'a unix address needs a path';
  if (path.startsWith('@')) return undefined;
  return path.startsWith('/') && !path.endsWith('/') ? undefined : `"${path}" is no absolute path of a file`;
}

const HTTP: ReadonlySet<string> = new Set(['http', 'http2', 'http_proxy', 'grpc', 'grpc-web']);
const TLS: ReadonlySet<string> = new Set(['https', 'tls']);
const OTHERS: ReadonlySet<string> = new Set(['tcp', 'udp', 'mongo', 'redis', 'mysql', 'hbone']);

export function isHttpProtocol(protocol: string): boolean {
  return HTTP.has(protocol.toLowerCase());
}

export function isTlsProtocol(protocol: string): boolean {
  return TLS.has(protocol.toLowerCase());
}

export function protocolProblem(protocol: string): string | undefined {
  const name = protocol.toLowerCase();
  if (HTTP.has(name) || TLS.has(name) || OTHERS.has(name)) return undefined;
  return `"${protocol}" is no protocol: use HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TLS, TCP, MONGO, REDIS or MYSQL`;
}

/** Labels as Kubernetes takes them. `path` is of the labels, or of the object that has them in `field`. */
export function labelsOf(labels: Readonly<Record<string, string>>, path: Path, report: Report, field?: string): void {
  for (const key in labels) {
    const value = labels[key]!;
    const name = key.slice(key.lastIndexOf('/') + 1);
    const at = () => [...path, ...(field === undefined ? [] : [field]), key];
    if (name.length > 63 || !/^[a-zA-Z0-9](?:[-\w.]*[a-zA-Z0-9])?$/.test(name))
      report({ path: at(), at: 'key', message: `"${key}" is no label key` });
    if (value.length > 63 || !/^(?:[a-zA-Z0-9](?:[-\w.]*[a-zA-Z0-9])?)?$/.test(value))
      report({ path: at(), message: `"${value}" is no label value` });
  }
}

/** A selector of workloads: keys must not be empty, wildcards are not supported, and one without labels selects everything. */
export function selectorOf(labels: Readonly<Record<string, string>> | undefined, path: Path, report: Report): void {
  if (!labels) return;
  const keys = Object.keys(labels);
  for (const key of keys) {
    if (key === '') report({ path: [...path, key], at: 'key', message: 'the key of a selector must not be empty' });
    if (key.includes('*') || labels[key]!.includes('*'))
      report({ path: [...path, key], message: `a selector takes no wildcard: "${key}=${labels[key]}"` });
  }
  if (keys.length === 0)
    report({ path, level: 'Warning', message: 'the selector has no labels, so it selects every workload of the namespace' });
}

/** `exportTo` lists `*`, `.`, `~` or namespaces, each once; `*` and `~` exclude any other entry. Only services may be exported to nobody (`~`). */
export function exportToOf(exportTo: readonly string[], namespace: string, report: Report, nobody = false): void {
  const seen = new Set<string>();
  exportTo.forEach((entry, index) => {
    const path = ['spec', 'exportTo', index];
    const key = entry === '.' ? namespace : entry;
    if (seen.has(key)) report({ path, message: `"${entry}" stands twice${entry === key ? '' : `: "." is the namespace ${namespace}`}` });
    else if (entry === '~' && !nobody) report({ path, message: '"~" is possible for ServiceEntries only' });
    else if (entry !== '*' && entry !== '~' && entry !== '.' && !isDnsLabel(entry))
      report({ path, message: `"${entry}" is neither a namespace nor one of * and .` });
    seen.add(key);
  });
  for (const alone of ['*', '~']) {
    if (seen.has(alone) && exportTo.length > 1) report({ path: ['spec', 'exportTo'], message: `"${alone}" must stand alone` });
  }
}

/** Istio takes expressions of up to 1024 characters. */
export function regexFault(pattern: string): string | undefined {
  if (pattern === '') return 'must not be empty';
  if (pattern.length > 1024) return `has ${pattern.length} characters, more than the 1024 allowed`;
  const fault = regexProblem(pattern);
  return fault && `is no regular expression of RE2: ${fault}`;
}
