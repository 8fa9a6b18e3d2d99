/**
 * The calls that tell a proxy's configuration apart: one for each cell of the space of calls, cut along the boundaries that the configuration
 * itself has (listeners, address ranges, SNI, hosts, routes, weights). Whatever two calls of one cell are, the proxy treats them alike.
 * A boundary that no sample could be made for (a regular expression, a range of header values) is reported as undecided.
 */
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { HeaderMatcher, Route, RouteMatch } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { HeaderMap } from '../xds/match/headers.ts';
import { listenerAddresses } from '../xds/match/listener.ts';
import type { RouteTable } from '../xds/match/route.ts';
import { typeNameOf, unpack } from '../xds/unpack.ts';
import type { Call, Endpoint, HttpRequest, Payload } from './call.ts';
import { routeTable } from './hop.ts';
import type { SimulatedProxy } from './proxy.ts';

export interface Cell {
  readonly call: Call;
  /** The random number with which the call takes this cell's weight. */
  readonly random: number;
}

export interface Cells {
  readonly cells: readonly Cell[];
  /** Boundaries that no sample was found for, each as a sentence. */
  readonly undecided: readonly string[];
}

/** Stand for what the configuration does not name: an address outside every range (TEST-NET-3), a host, a port. */
const OTHER_IP = '203.0.113.1';
const OTHER_HOST = 'undeclared.invalid';
const OTHER_PORT = 49_151;

/** The cells of what leaves through a sidecar's outbound listeners. */
export function outboundCells(proxy: SimulatedProxy, source: Endpoint): Cells {
  const cells: Cell[] = [];
  const undecided: string[] = [];
  for (const { listener, destination } of destinations(proxy)) {
    for (const payload of transports(proxy, listener)) cells.push({ call: { source, destination, payload }, random: 0 });
    for (const table of routeTables(proxy, listener)) {
      for (const { http, random } of requests(table, undecided))
        cells.push({ call: { source, destination, payload: { tls: undefined, http } }, random });
    }
  }
  return { cells, undecided };
}

/** Every address and port that a boundary of the listeners makes different from others. */
function* destinations(proxy: SimulatedProxy): Generator<{ listener: Listener; destination: Endpoint }> {
  const entry = proxy.listenerNamed('virtualOutbound');
  if (!entry) return;
  const ports = new Set<number>();
  for (const listener of proxy.all) {
    if (listener === entry || listener.name === 'virtualInbound') continue;
    for (const { ip, port } of listenerAddresses(listener)) {
      ports.add(port);
      const any = ip === '0.0.0.0' || ip === '::';
      yield { listener, destination: { ip: any ? OTHER_IP : ip, port } };
      for (const range of listener.filterChains.flatMap((chain) => chain.filterChainMatch?.prefixRanges ?? [])) {
        if (range.addressPrefix !== '0.0.0.0' && range.addressPrefix !== '::')
          yield { listener, destination: { ip: range.addressPrefix, port } };
      }
    }
  }
  let other = OTHER_PORT;
  while (ports.has(other)) other--;
  yield { listener: entry, destination: { ip: OTHER_IP, port: other } };
}

/** Bytes of no protocol, and TLS by every SNI that a chain names, by another one, and without. */
function* transports(proxy: SimulatedProxy, listener: Listener): Generator<Payload> {
  yield { tls: undefined, http: undefined };
  const names = new Set<string>(['', OTHER_HOST]);
  for (const { config } of proxy.chains(listener).chains) {
    for (const name of config.filterChainMatch?.serverNames ?? []) names.add(sampleHost(name));
  }
  for (const serverName of names) yield { tls: { serverName, alpn: [] }, http: undefined };
}

function sampleHost(pattern: string): string {
  return pattern.startsWith('*.') ? `any${pattern.slice(1)}` : pattern;
}

function routeTables(proxy: SimulatedProxy, listener: Listener): Set<RouteTable> {
  const tables = new Set<RouteTable>();
  for (const chain of [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])]) {
    for (const filter of chain.filters) {
      if (filter.configType.case !== 'typedConfig' || typeNameOf(filter.configType.value) !== HttpConnectionManagerSchema.typeName)
        continue;
      const table = routeTable(proxy, unpack(filter.configType.value, HttpConnectionManagerSchema, filter.name));
      if (table) tables.add(table);
    }
  }
  return tables;
}

/** A request for each route of each virtual host, and for each cluster that it may choose. */
function* requests(table: RouteTable, undecided: string[]): Generator<{ http: HttpRequest; random: number }> {
  for (const virtualHost of table.virtualHosts) {
    const domain = virtualHost.config.domains[0] ?? OTHER_HOST;
    const authority = domain === '*' ? OTHER_HOST : domain.endsWith('*') ? `${domain.slice(0, -1)}any` : sampleHost(domain);
    for (const route of virtualHost.routes) {
      const http = route.config && sampleRequest(authority, route.config);
      if (!http) {
        undecided.push(`route ${route.name || '(unnamed)'} of ${table.name} ${virtualHost.name}: no sample of its match can be made`);
        continue;
      }
      let before = 0;
      const clusters = route.action.kind === 'forward' ? route.action.clusters : [];
      if (clusters.length < 2) yield { http, random: 0 };
      else {
        for (const choice of clusters) {
          if (choice.weight > 0) yield { http, random: before };
          before += choice.weight;
        }
      }
    }
  }
}

function sampleRequest(authority: string, { match }: Route): HttpRequest | undefined {
  const path = match && samplePath(match);
  if (path === undefined) return undefined;
  const headers = new HeaderMap();
  let method = 'GET';
  for (const matcher of match!.headers) {
    if (matcher.invertMatch) continue;
    const value = sampleHeader(matcher);
    if (value === undefined) return undefined;
    if (matcher.name === ':method') method = value;
    else if (matcher.name === ':authority') authority = value;
    else if (!matcher.name.startsWith(':')) headers.append(matcher.name, value);
  }
  const query = match!.queryParameters.map(({ name, queryParameterMatchSpecifier: specifier }) => {
    const value =
      specifier.case === 'stringMatch' && specifier.value.matchPattern.case === 'exact' ? specifier.value.matchPattern.value : 'any';
    return `${name}=${value}`;
  });
  return { method, authority, path: query.length > 0 ? `${path}?${query.join('&')}` : path, headers, version: '1.1' };
}

function samplePath({ pathSpecifier }: RouteMatch): string | undefined {
  switch (pathSpecifier.case) {
    case 'prefix':
    case 'path':
    case 'pathSeparatedPrefix':
      return pathSpecifier.value;
    case 'safeRegex':
      return sampleRegex(pathSpecifier.value.regex);
    default:
      return undefined;
  }
}

function sampleHeader({ headerMatchSpecifier: specifier }: HeaderMatcher): string | undefined {
  if (specifier.case === undefined || specifier.case === 'presentMatch') return 'any';
  if (specifier.case === 'exactMatch' || specifier.case === 'prefixMatch') return specifier.value;
  if (specifier.case !== 'stringMatch') return undefined;
  const { matchPattern } = specifier.value;
  if (matchPattern.case === 'safeRegex') return sampleRegex(matchPattern.value.regex);
  return matchPattern.case === 'exact' ||
    matchPattern.case === 'prefix' ||
    matchPattern.case === 'suffix' ||
    matchPattern.case === 'contains'
    ? matchPattern.value
    : undefined;
}

/** A text that simple expressions match: literals with `.*`, `.+` and escaped characters. */
function sampleRegex(regex: string): string | undefined {
  const sample = regex
    .replace(/\.\*/g, '')
    .replace(/\.\+|\[\^?[^\]]*\]\+|\\d\+|\\w\+/g, 'a')
    .replace(/\\([./-])/g, '$1');
  return /[\\[\](){}|?*+^$]/.test(sample) ? undefined : sample || '/';
}
