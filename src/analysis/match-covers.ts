import type { HttpMatchRequest, L4MatchAttributes, StringMatch, TlsMatchAttributes } from '../api/index.ts';
import { hostCovers } from '../lib/hostname.ts';
import { cidrCovers } from '../lib/ip.ts';

/**
 * Whether every call that meets `b` meets `a` too. Never true by mistake; where the answer would need more than the fields say (two regexes,
 * say), it is false.
 */
export function httpMatchCovers(a: HttpMatchRequest, b: HttpMatchRequest, defaultGateways: readonly string[]): boolean {
  return (
    stringCovers(a.uri, b.uri, a.ignoreUriCase, b.ignoreUriCase) &&
    stringCovers(a.scheme, b.scheme) &&
    stringCovers(a.method, b.method) &&
    stringCovers(a.authority, b.authority) &&
    portCovers(a.port, b.port) &&
    labelsCover(a.sourceLabels, b.sourceLabels) &&
    namespaceCovers(a.sourceNamespace, b.sourceNamespace) &&
    gatewaysCover(a.gateways, b.gateways, defaultGateways) &&
    mapCovers(a.headers, b.headers) &&
    mapCovers(a.queryParams, b.queryParams) &&
    sameMap(a.withoutHeaders, b.withoutHeaders)
  );
}

/** At gateways Istio looks at the port, the server name and the gateway: the address is the gateway's own, and who calls is not asked. */
function asAtGateways<M extends L4MatchAttributes | TlsMatchAttributes>(match: M): M {
  return { ...match, destinationSubnets: [], sourceLabels: {}, sourceNamespace: undefined };
}

export function tlsMatchCovers(a: TlsMatchAttributes, b: TlsMatchAttributes, defaultGateways: readonly string[]): boolean {
  return (
    b.sniHosts.length > 0 &&
    b.sniHosts.every((host) => a.sniHosts.some((wide) => hostCovers(wide.toLowerCase(), host.toLowerCase()))) &&
    l4MatchCovers(a, b, defaultGateways)
  );
}

export function l4MatchCovers(
  a: L4MatchAttributes | TlsMatchAttributes,
  b: L4MatchAttributes | TlsMatchAttributes,
  defaultGateways: readonly string[],
): boolean {
  const onMesh = (b.gateways.length > 0 ? b.gateways : defaultGateways).includes('mesh');
  return onMesh ? conditionsCover(a, b, defaultGateways) : conditionsCover(asAtGateways(a), asAtGateways(b), defaultGateways);
}

function conditionsCover(
  a: L4MatchAttributes | TlsMatchAttributes,
  b: L4MatchAttributes | TlsMatchAttributes,
  defaultGateways: readonly string[],
): boolean {
  const subnets =
    a.destinationSubnets.length === 0 ||
    (b.destinationSubnets.length > 0 &&
      b.destinationSubnets.every((narrow) => a.destinationSubnets.some((wide) => cidrCovers(wide, narrow))));
  return (
    subnets &&
    portCovers(a.port, b.port) &&
    labelsCover(a.sourceLabels, b.sourceLabels) &&
    namespaceCovers(a.sourceNamespace, b.sourceNamespace) &&
    gatewaysCover(a.gateways, b.gateways, defaultGateways)
  );
}

function portCovers(a: number | undefined, b: number | undefined): boolean {
  return !a || a === b;
}

function namespaceCovers(a: string | undefined, b: string | undefined): boolean {
  return !a || a === b;
}

function labelsCover(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  return Object.keys(a).every((key) => a[key] === b[key]);
}

function gatewaysCover(a: readonly string[], b: readonly string[], defaults: readonly string[]): boolean {
  const wide = a.length > 0 ? a : defaults;
  return (b.length > 0 ? b : defaults).every((name) => wide.includes(name));
}

function mapCovers(a: Readonly<Record<string, StringMatch>>, b: Readonly<Record<string, StringMatch>>): boolean {
  return Object.keys(a).every((name) => b[name] !== undefined && stringCovers(a[name], b[name]));
}

function sameMap(a: Readonly<Record<string, StringMatch>>, b: Readonly<Record<string, StringMatch>>): boolean {
  return Object.keys(a).every((name) => b[name] !== undefined && JSON.stringify(a[name]) === JSON.stringify(b[name]));
}

function stringCovers(a: StringMatch | undefined, b: StringMatch | undefined, aIgnoresCase = false, bIgnoresCase = false): boolean {
  if (!a || (a.exact === undefined && a.prefix === undefined && a.regex === undefined)) return true;
  if (!b) return a.prefix === '' || a.prefix === '/';
  if (bIgnoresCase && !aIgnoresCase) return false;
  const fold = (text: string) => (aIgnoresCase ? text.toLowerCase() : text);
  if (a.prefix !== undefined) {
    const literal = b.exact ?? b.prefix;
    return literal === undefined
      ? a.prefix === '/' && (b.regex?.startsWith('/') ?? false) && !b.regex!.includes('|')
      : fold(literal).startsWith(fold(a.prefix));
  }
  if (a.exact !== undefined) return b.exact !== undefined && fold(a.exact) === fold(b.exact);
  return a.regex === b.regex || a.regex === '.*';
}
