/** Permissions and principals of RBAC policies, compiled. Of a call that stands for others a matcher says what it is for all of them, or nothing. */
import { hostCovers } from '../../lib/hostname.ts';
import { cidrContains, compileCidr, parseIp } from '../../lib/ip.ts';
import type { CidrRange } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import type { Permission, Principal } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import type { HeaderMatcher } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { UriTemplateMatchConfigSchema } from '../../xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import type { MetadataMatcher } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.js';
import type { PathMatcher } from '../../xds/gen/envoy/type/matcher/v3/path_pb.js';
import type { StringMatcher } from '../../xds/gen/envoy/type/matcher/v3/string_pb.js';
import { compileStringMatcher, type StringPredicate } from '../../xds/match/string.ts';
import { unpack, unsupported } from '../../xds/unpack.ts';
import type { SocketEnd } from '../connection.ts';
import { HeaderMap } from '../header-map.ts';
import { compilePolicyHeader, type HeaderSource } from '../routes/header.ts';
import { withoutQuery } from '../routes/path.ts';
import { compilePathTemplate } from './path-template.ts';
import type { JudgedConnection, Matcher, RbacSubject, Truth } from './subject.ts';
import { compileMetadataMatcher } from './value.ts';

const ALWAYS: Matcher = () => true;

export function all(matchers: readonly Matcher[]): Matcher {
  return (subject) => {
    let result: Truth = true;
    for (const matches of matchers) {
      const truth = matches(subject);
      if (truth === false) return false;
      if (truth === undefined) result = undefined;
    }
    return result;
  };
}

export function any(matchers: readonly Matcher[]): Matcher {
  return (subject) => {
    let result: Truth = false;
    for (const matches of matchers) {
      const truth = matches(subject);
      if (truth === true) return true;
      if (truth === undefined) result = undefined;
    }
    return result;
  };
}

function not(matcher: Matcher): Matcher {
  return (subject) => {
    const truth = matcher(subject);
    return truth === undefined ? undefined : !truth;
  };
}

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the policy. */
export function compilePermission({ rule }: Permission, where: string): Matcher {
  switch (rule.case) {
    case 'andRules':
      return all(rule.value.rules.map((each) => compilePermission(each, where)));
    case 'orRules':
      return any(rule.value.rules.map((each) => compilePermission(each, where)));
    case 'notRule':
      return not(compilePermission(rule.value, where));
    case 'any':
      return ALWAYS;
    case 'header':
      return header(rule.value);
    case 'urlPath':
      return urlPath(rule.value, where);
    case 'uriTemplate': {
      const test = compilePathTemplate(unpack(rule.value.typedConfig, UriTemplateMatchConfigSchema, where).pathTemplate);
      return path(test);
    }
    case 'destinationIp':
      return address(rule.value, ({ localAddress }) => localAddress);
    case 'destinationPort': {
      const port = rule.value;
      return ({ connection }) => connection.localAddress.port === port;
    }
    case 'destinationPortRange': {
      const { start, end } = rule.value;
      return ({ connection }) => start <= connection.localAddress.port && connection.localAddress.port < end;
    }
    case 'requestedServerName': {
      const test = compileStringMatcher(rule.value);
      return ({ connection }) => test(connection.serverName);
    }
    case 'metadata':
      return metadata(rule.value);
    default:
      return unsupported(where, `a permission by ${rule.case ?? 'nothing'} is not supported`);
  }
}

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the policy. */
export function compilePrincipal({ identifier }: Principal, where: string): Matcher {
  switch (identifier.case) {
    case 'andIds':
      return all(identifier.value.ids.map((each) => compilePrincipal(each, where)));
    case 'orIds':
      return any(identifier.value.ids.map((each) => compilePrincipal(each, where)));
    case 'notId':
      return not(compilePrincipal(identifier.value, where));
    case 'any':
      return ALWAYS;
    case 'authenticated':
      return authenticated(identifier.value.principalName);
    case 'sourceIp':
      return openSource(address(identifier.value, ({ directRemoteAddress }) => directRemoteAddress));
    case 'directRemoteIp':
      return openSource(address(identifier.value, ({ directRemoteAddress }) => directRemoteAddress));
    case 'remoteIp':
      return openSource(address(identifier.value, ({ remoteAddress }) => remoteAddress));
    case 'header':
      return header(identifier.value);
    case 'urlPath':
      return urlPath(identifier.value, where);
    case 'metadata':
      return metadata(identifier.value);
    default:
      return unsupported(where, `a principal by ${identifier.case ?? 'nothing'} is not supported`);
  }
}

const NO_REQUEST: HeaderSource = { method: '', authority: '', path: '', scheme: '', headers: new HeaderMap() };

function header(matcher: HeaderMatcher): Matcher {
  const matches = compilePolicyHeader(matcher);
  const name = matcher.name.toLowerCase();
  const present = matcher.headerMatchSpecifier.case === 'presentMatch' && PSEUDO.has(name);
  return (subject) => {
    const { head = NO_REQUEST, open } = subject;
    if (!open || present) return matches(head);
    return name === ':authority' || name === 'host' ? ofEachHost(matcher, matches, head, open.hosts) : undefined;
  };
}

/** Fields that every request has. */
const PSEUDO: ReadonlySet<string> = new Set([':authority', ':method', ':path', ':scheme']);

function ofEachHost(
  { headerMatchSpecifier: specifier, invertMatch }: HeaderMatcher,
  matches: (source: HeaderSource) => boolean,
  head: HeaderSource,
  hosts: readonly string[] | undefined,
): Truth {
  if (!hosts || specifier.case !== 'stringMatch') return undefined;
  const truths = hosts.map((host): Truth => {
    if (!host.includes('*')) return matches({ ...head, authority: host });
    const { matchPattern } = specifier.value;
    // Whether names under a wildcard are among those that are asked for: only where no such name can be is the answer known.
    return matchPattern.case === 'exact' && !hostCovers(host, matchPattern.value.toLowerCase()) ? invertMatch : undefined;
  });
  return truths.every((truth) => truth === truths[0]) ? truths[0] : undefined;
}

function urlPath({ rule }: PathMatcher, where: string): Matcher {
  if (rule.case !== 'path') return unsupported(where, 'a path matcher without a path is not supported');
  return path(compileStringMatcher(rule.value));
}

function path(test: StringPredicate): Matcher {
  return ({ head, open }) => {
    if (head === undefined || head.path === '') return false;
    return open ? undefined : test(withoutQuery(head.path));
  };
}

function address(range: CidrRange, read: (connection: JudgedConnection) => SocketEnd): Matcher {
  const cidr = compileCidr(range);
  return ({ connection }) => {
    const words = parseIp(read(connection).ip);
    return words !== undefined && cidrContains(cidr, words);
  };
}

/** Other callers have other addresses. */
function openSource(matcher: Matcher): Matcher {
  return (subject) => (subject.open ? undefined : matcher(subject));
}

function metadata(matcher: MetadataMatcher): Matcher {
  const test = compileMetadataMatcher(matcher);
  // Other calls may bring tokens, or others.
  return ({ metadata: made, open }) => (open ? undefined : test(made));
}

/** Envoy looks at URI names, then at DNS names, then at the subject; one that matches is enough. Without TLS nobody is authenticated. */
function authenticated(name: StringMatcher | undefined): Matcher {
  const test = name && compileStringMatcher(name);
  return ({ connection: { tls }, open }: RbacSubject) => {
    if (!tls) return false;
    if (!test) return true;
    if (open?.peer) return undefined;
    const { peer } = tls;
    return (peer?.uriSans.some(test) || peer?.dnsSans.some(test) || test(peer?.subject ?? '')) === true;
  };
}
