import type { HttpMatchRequest, ResourceOf, StringMatch } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { fullHostname, hostCovers, plainHost } from '../../lib/hostname.ts';
import { isIp } from '../../lib/ip.ts';
import type { Context } from '../context.ts';

type VirtualService = ResourceOf<'VirtualService'>;

/** What is wrong with a condition, and the change that mends it. */
interface Fault {
  readonly field: 'uri' | 'method' | 'scheme' | 'authority';
  readonly text: string;
}

/** SP1063: http matches with a condition that no request meets. */
export function neverMatching(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    // Routes of the Kubernetes Gateway API have their own rules for what may be written.
    if (virtualService.derivedFrom) continue;
    for (const [i, { match }] of virtualService.spec.http.entries())
      for (const [j, each] of match.entries()) checkMatch(context, virtualService, each, ['spec', 'http', i, 'match', j]);
  }
}

function checkMatch(context: Context, virtualService: VirtualService, match: HttpMatchRequest, path: readonly PathStep[]): void {
  const found = uriFault(match.uri) ?? methodFault(match.method) ?? schemeFault(match.scheme) ?? authorityFault(virtualService, match);
  if (!found) return;
  context.report('SP1063', virtualService, [...path, found.field], `No request meets this match: ${found.text}`);
}

/** Paths begin with a slash, and what comes after them is no part of them. */
function uriFault(uri: StringMatch | undefined): Fault | undefined {
  const literal = uri?.exact ?? uri?.prefix;
  const fault = literal === undefined ? regexFault(uri?.regex) : literalFault(literal);
  return fault === undefined ? undefined : { field: 'uri', text: fault };
}

function literalFault(uri: string): string | undefined {
  const after = /[?#]/.exec(uri);
  if (after?.[0] === '?') return `the query is no part of the path, so none holds ${uri.slice(after.index)}. Match it with queryParams.`;
  if (after) return `clients send nothing from the # on. Write ${uri.slice(0, after.index)}.`;
  // `*` is what OPTIONS may ask for in place of a path.
  return uri !== '' && uri !== '*' && !uri.startsWith('/') ? `paths begin with a slash. Write /${uri}.` : undefined;
}

function regexFault(regex: string | undefined): string | undefined {
  if (regex === undefined || regex.includes('|')) return undefined;
  if (/\\\?(?![?*{])/.test(withoutClasses(regex)))
    return 'the query is no part of the path, so none holds a question mark. Match it with queryParams.';
  if (/^\/\\\/.*\/[gimsuy]+$/.test(regex))
    return 'it is written as in JavaScript, and the slashes around the expression and the letters after it are taken for parts of the path. Write the expression alone, and (?i) before it where case does not matter.';
  return /^\^?[A-Za-z0-9](?![?*{])/.test(regex)
    ? `paths begin with a slash, and the expression is for the whole of them. Write /${regex.replace('^', '')}.`
    : undefined;
}

function withoutClasses(regex: string): string {
  return regex.replace(/\[[^\]]*\]/g, '.');
}

function methodFault(method: StringMatch | undefined): Fault | undefined {
  const literal = method?.exact ?? method?.prefix;
  if (literal === undefined || !/[a-z]/.test(literal)) return undefined;
  return { field: 'method', text: `methods are written in capitals, and others are answered 400. Write ${literal.toUpperCase()}.` };
}

function schemeFault(scheme: StringMatch | undefined): Fault | undefined {
  if (scheme?.exact === undefined || scheme.exact === 'http' || scheme.exact === 'https') return undefined;
  return { field: 'scheme', text: 'a request has the scheme http or https. Write one of them.' };
}

function authorityFault(virtualService: VirtualService, match: HttpMatchRequest): Fault | undefined {
  const text = strangeName(virtualService, match) ?? missingPort(virtualService, match);
  return text === undefined ? undefined : { field: 'authority', text };
}

function strangeName({ spec, metadata }: VirtualService, { authority }: HttpMatchRequest): string | undefined {
  const name = plainHost(authority?.exact?.replace(/:\d+$/, '') ?? '');
  const hosts = spec.hosts.map((host) => plainHost(fullHostname(host, metadata.namespace)));
  // A delegate's hosts are its roots', and a Service may be called by its address, or by a part of its name.
  const mayBeCalled = hosts.length === 0 || hosts.some((host) => hostCovers(host, name) || host.startsWith(`${name}.`));
  if (mayBeCalled || isIp(name) || !name.includes('.')) return undefined;
  return `the VirtualService is for ${spec.hosts.join(', ')}, and calls to ${name} do not come to it. Write one of its hosts, or add ${name} to them.`;
}

/** On the mesh `port` is the one that was called, which clients write into Host where it is not the scheme's own. */
function missingPort({ spec }: VirtualService, { authority, port, gateways }: HttpMatchRequest): string | undefined {
  const onMeshAlone = (gateways.length > 0 ? gateways : spec.gateways).every((gateway) => gateway === 'mesh');
  const name = authority?.exact;
  if (!name || !port || port === 80 || !onMeshAlone || name.includes(':')) return undefined;
  return `clients that call port ${port} write it into Host. Write ${name}:${port}.`;
}
