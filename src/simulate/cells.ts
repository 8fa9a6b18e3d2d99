/**
 * The calls that tell a sidecar's configuration apart: one for each cell of the space of calls, cut along the boundaries that the configuration
 * itself has (listeners, address ranges, SNI, hosts, routes). The sidecar treats any two calls of one cell alike. A boundary for which no sample
 * call can be made is reported as undecided. `explore.ts` goes on from here at the gateways.
 */

import type { CompiledRoute, CompiledVirtualHost, RouteTable } from '../http/routes/route.ts';
import {
  type Cidr,
  cidrContains,
  cidrCovers,
  compileCidr,
  formatRange,
  isAnyAddress,
  parseIp,
  sampleOutside,
  singleAddress,
} from '../lib/ip.ts';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { type Binding, bindingOf } from '../xds/match/binding.ts';
import { listenerAddresses } from '../xds/match/listener.ts';
import { typeNameOf } from '../xds/unpack.ts';
import type { Call, Endpoint, HttpRequest, Payload } from './call.ts';
import { routeTable } from './http.ts';
import type { SimulatedProxy } from './proxy.ts';
import { covers, OTHER, sampleRequests } from './sample.ts';

export interface Cell {
  readonly call: Call;
  /**
   * The other names and wildcards that the call's SNI or authority stands for: the sidecar treats all of them alike, but a gateway may not.
   */
  readonly patterns: readonly string[];
  /** The route that the call is a sample for; undefined if it is a sample for something else. */
  readonly route: CompiledRoute | undefined;
}

export interface Cells {
  readonly cells: Iterable<Cell>;
  /** Boundaries for which no sample was found, a sentence each. Complete once all cells have been taken. */
  readonly undecided: readonly string[];
}

/** Addresses that configurations hardly ever name: the documentation ranges of RFC 5737. They stand for all addresses that nothing names. */
export const OTHER_IPS = ['203.0.113.1', '198.51.100.77', '192.0.2.77'];
/** Stands for all names that nothing tells apart. */
export const OTHER_HOST = 'undeclared.invalid';
/** Stands for all ports that nothing names. */
export const OTHER_PORT = 49_151;

/** Which cells are left out: their calls are known to end alike wherever it counts. */
export interface LeftOut {
  /** Of all calls to a destination that are no HTTP; `chains` are those that they may come to. */
  destination(destination: Endpoint, chains: readonly FilterChain[]): boolean;
  /** Of a call that is no HTTP, and stands for these names and wildcards. */
  transport(call: Call, patterns: readonly string[]): boolean;
  /** Of requests to a virtual host of the table, made to the destination. */
  virtualHosts(source: Endpoint, destination: Endpoint, table: RouteTable): (host: CompiledVirtualHost) => boolean;
}

/** The cells of what leaves through a sidecar's outbound listeners. */
export function outboundCells(proxy: SimulatedProxy, source: Endpoint, leftOut?: LeftOut): Cells {
  const undecided: string[] = [];
  return { cells: cellsOf(proxy, source, undecided, leftOut), undecided };
}

function* cellsOf(proxy: SimulatedProxy, source: Endpoint, undecided: string[], leftOut: LeftOut | undefined): Generator<Cell> {
  if (!proxy.listenerNamed('virtualOutbound')) undecided.push('there is no listener for what leaves');
  const requests = new Map<CompiledVirtualHost, Sampled[]>();
  for (const { destination, chains } of destinations(proxy)) {
    for (const { payload, patterns } of leftOut?.destination(destination, chains) ? [] : transports(chains)) {
      const call = { source, destination, payload };
      if (!leftOut?.transport(call, patterns)) yield { call, patterns, route: undefined };
    }
    for (const table of routeTables(proxy, chains)) {
      const isLeftOut = leftOut?.virtualHosts(source, destination, table);
      const samplesOf = (host: CompiledVirtualHost) => {
        let samples = requests.get(host);
        if (!samples) {
          samples = [...requestsOf(table, host, undecided)];
          requests.set(host, samples);
        }
        return samples;
      };
      const hosts = table.virtualHosts.filter((host) => !isLeftOut?.(host));
      for (const { http, patterns, route } of hosts.flatMap(samplesOf))
        yield { call: { source, destination, payload: { tls: undefined, http } }, patterns, route };
    }
  }
}

/** One address and port for each region that the listeners tell apart, with the filter chains that a call to it may take. */
function* destinations(proxy: SimulatedProxy): Generator<{ destination: Endpoint; chains: readonly FilterChain[] }> {
  const entry = proxy.listenerNamed('virtualOutbound');
  if (!entry) return;
  const specific = new Map<number, string[]>();
  const bound = proxy.all.flatMap((listener) =>
    listener === entry || listener.name === 'virtualInbound'
      ? []
      : listenerAddresses(listener).map((address) => ({ listener, ...address })),
  );
  for (const { ip, port } of bound) {
    if (isAnyAddress(ip)) continue;
    const list = specific.get(port);
    if (list) list.push(ip);
    else specific.set(port, [ip]);
  }
  for (const { listener, ip, port } of bound) {
    if (isAnyAddress(ip)) yield* addressesOf(listener, port, specific.get(port) ?? []);
    else yield { destination: { ip, port }, chains: chainsFor(listener, ip) };
  }
  const ports = new Set(bound.map(({ port }) => port));
  let other = OTHER_PORT;
  while (ports.has(other)) other--;
  const named = entry.filterChains.flatMap(({ filterChainMatch }) => filterChainMatch?.destinationPort ?? []);
  for (const port of [other, ...named.filter((one) => !ports.has(one))]) yield* addressesOf(entry, port, []);
}

/** An address in each range that the listener's chains name, outside narrower ranges and `excluded`, and one address in none of the ranges. */
function* addressesOf(listener: Listener, port: number, excluded: readonly string[]) {
  const ranges = new Set(listener.filterChains.flatMap((chain) => rangesOf(chain).map(formatRange)));
  for (const range of ranges) {
    const narrower = () => [...ranges].filter((one) => one !== range && cidrCovers(range, one));
    const ip = singleAddress(range) ?? sampleOutside(range, [...narrower(), ...excluded]);
    if (ip !== undefined) yield { destination: { ip, port }, chains: chainsFor(listener, ip) };
  }
  const taken = [...ranges, ...excluded];
  const free = OTHER_IPS.find((ip) => !taken.some((range) => cidrCovers(range, ip))) ?? sampleOutside('0.0.0.0/0', taken);
  if (free !== undefined) yield { destination: { ip: free, port }, chains: chainsFor(listener, free) };
}

const ranges = new WeakMap<FilterChain, readonly Cidr[]>();

function rangesOf(chain: FilterChain): readonly Cidr[] {
  let found = ranges.get(chain);
  if (!found) {
    found = (chain.filterChainMatch?.prefixRanges ?? []).map(compileCidr);
    ranges.set(chain, found);
  }
  return found;
}

/** The chains that an address can come to: of those with ranges only the narrowest count, as in Envoy's match. */
function chainsFor(listener: Listener, ip: string): FilterChain[] {
  const fallback = listener.defaultFilterChain ? [listener.defaultFilterChain] : [];
  const words = parseIp(ip);
  let longest = -1;
  let best: FilterChain[] = [];
  const open: FilterChain[] = [];
  for (const chain of listener.filterChains) {
    const ranges = rangesOf(chain);
    if (ranges.length === 0) open.push(chain);
    for (const range of ranges) {
      if (range.length < longest || words === undefined || !cidrContains(range, words)) continue;
      if (range.length > longest) best = [];
      longest = range.length;
      best.push(chain);
    }
  }
  return [...(best.length > 0 ? best : open), ...fallback];
}

/** Bytes of no protocol; and TLS with every SNI and ALPN that a chain names, with an SNI that none names, and without SNI. */
function* transports(chains: readonly FilterChain[]): Generator<{ payload: Payload; patterns: readonly string[] }> {
  yield { payload: { tls: undefined, http: undefined }, patterns: [] };
  // What a chain is bound to tells server names apart as well.
  const bound = chains.flatMap(({ metadata }) => bindingOf(metadata)?.hosts ?? []);
  const names = new Set([...chains.flatMap(({ filterChainMatch }) => filterChainMatch?.serverNames ?? []), ...bound]);
  const protocols = chains
    .filter(({ filterChainMatch }) => filterChainMatch?.transportProtocol === 'tls')
    .flatMap(({ filterChainMatch }) => filterChainMatch?.applicationProtocols ?? []);
  for (const protocol of [undefined, ...new Set(protocols)]) {
    const alpn = protocol === undefined ? [] : [protocol];
    yield { payload: { tls: { serverName: '', alpn }, http: undefined }, patterns: [] };
    yield { payload: { tls: { serverName: OTHER_HOST, alpn }, http: undefined }, patterns: ['*'] };
    for (const name of names) {
      if (name !== '*')
        yield { payload: { tls: { serverName: sampleHost(name), alpn }, http: undefined }, patterns: name.includes('*') ? [name] : [] };
    }
  }
}

/** A name that a host pattern stands for. */
export function sampleHost(pattern: string): string {
  if (pattern === '*') return OTHER_HOST;
  if (pattern.startsWith('*')) return `${OTHER}${pattern.slice(1)}`;
  return pattern.endsWith('*') ? `${pattern.slice(0, -1)}${OTHER}` : pattern;
}

/** The route configurations of a listener's connection managers. */
export function routeTables(proxy: SimulatedProxy, chains: readonly FilterChain[]): Set<RouteTable> {
  const tables = new Set<RouteTable>();
  for (const { filters } of chains) {
    for (const { configType, name } of filters) {
      if (configType.case !== 'typedConfig' || typeNameOf(configType.value) !== HttpConnectionManagerSchema.typeName) continue;
      const table = routeTable(proxy, proxy.unpack(configType.value, HttpConnectionManagerSchema, name));
      if (table) tables.add(table);
    }
  }
  return tables;
}

interface Sampled {
  readonly http: HttpRequest;
  readonly patterns: readonly string[];
  readonly route: CompiledRoute;
}

function* requestsOf(table: RouteTable, virtualHost: CompiledVirtualHost, undecided: string[]): Generator<Sampled> {
  const [domain = '', ...others] = boundDomains(virtualHost.config.domains, bindingOf(virtualHost.config.metadata));
  const patterns = domain.includes('*') ? [domain, ...others] : others;
  for (const { http, route } of virtualHostRequests(table, virtualHost, sampleHost(domain))) {
    if (http) yield { http, patterns, route };
    else undecided.push(unsampled(table, virtualHost, route));
  }
}

/** Where any domain is served, only the hosts that it is bound to are let through: they come first. */
function boundDomains(domains: readonly string[], binding: Binding | undefined): readonly string[] {
  return binding && domains[0] === '*' ? [...binding.hosts, ...domains] : domains;
}

export function unsampled(table: RouteTable, virtualHost: CompiledVirtualHost, route: CompiledRoute): string {
  return `route ${route.name || '(unnamed)'} of ${table.name} ${virtualHost.name}: no request was found that it takes`;
}

/** The request, if the route takes it by either scheme: proxies inside the mesh believe what a client says of it. */
function asTaken(table: RouteTable, route: CompiledRoute, candidate: HttpRequest): HttpRequest | undefined {
  const request = { ...candidate, random: 0, tls: undefined, internal: false };
  if (table.match({ ...request, scheme: 'http' }) === route) return candidate;
  const headers = candidate.headers.clone();
  headers.set('x-forwarded-proto', 'https');
  return table.match({ ...request, headers, scheme: 'https' }) === route ? { ...candidate, headers } : undefined;
}

/** For each route of a virtual host a request that it takes; `http` is undefined if none was found. Routes that never get a request, because earlier ones take them all, are left out. */
export function* virtualHostRequests(
  table: RouteTable,
  virtualHost: CompiledVirtualHost,
  authority: string,
): Generator<{ http: HttpRequest | undefined; route: CompiledRoute }> {
  const matches = virtualHost.routes.flatMap(({ config }) => (config?.match ? [config.match] : []));
  for (const [i, route] of virtualHost.routes.entries()) {
    const match = route.config?.match;
    if (!match || matches.slice(0, i).some((earlier) => covers(earlier, match))) continue;
    let http: HttpRequest | undefined;
    for (const candidate of sampleRequests(authority, match, matches)) {
      http = asTaken(table, route, candidate);
      if (http) break;
    }
    yield { http, route };
  }
}
