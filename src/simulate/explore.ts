/**
 * All calls of a workload, with every way that each may take. It starts from the cells of the workload's sidecar and cuts them along the boundaries of
 * the gateways that they come to; weights and hosts of a cluster are tried out one by one. Pure.
 */

import { mayChangeOnTheWay } from '../http/fields.ts';
import { believesConnection } from '../http/forwarded.ts';
import type { CompiledRoute, CompiledVirtualHost } from '../http/routes/route.ts';
import { hostCovers } from '../lib/hostname.ts';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { VirtualHost_TlsRequirementType } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typeNameOf } from '../xds/unpack.ts';
import type { Call, Endpoint, HttpRequest, Tls } from './call.ts';
import { type LeftOut, outboundCells, routeTables, sampleHost, unsampled, virtualHostRequests } from './cells.ts';
import type { UpstreamHost } from './cluster.ts';
import { explainCall, type SimulatedMesh } from './explain.ts';
import type { Arrived, HopOptions } from './hop-options.ts';
import type { SimulatedProxy } from './proxy.ts';
import { covers, disjoint } from './sample.ts';
import type { Trace } from './trace.ts';

export interface Explored {
  readonly call: Call;
  /** One trace for each way that weights, load balancing and mirroring may send it. */
  readonly traces: readonly Trace[];
}

export interface Exploration {
  readonly calls: Iterable<Explored>;
  /** What no call was found for, a sentence each. Complete once all calls have been taken. */
  readonly undecided: ReadonlySet<string>;
}

/** The most ways of one call that are followed; if there are more, the rest is reported as undecided. */
const MOST_WAYS = 256;

export interface ExploreOptions {
  /** Names to call as well wherever a call stands for them, though no part of the configuration names them. */
  readonly hosts?: readonly string[];
  /** Domains to call as well as the first domain of their virtual host, though the sidecar treats both alike. */
  readonly domains?: ReadonlySet<string>;
  /** Cells that are not looked at. */
  readonly leftOut?: LeftOut | undefined;
}

export function explore(mesh: SimulatedMesh, proxy: SimulatedProxy, source: Endpoint, options: ExploreOptions = {}): Exploration {
  const undecided = new Set<string>();
  return { calls: explored(mesh, proxy, source, options, undecided), undecided };
}

function* explored(
  mesh: SimulatedMesh,
  proxy: SimulatedProxy,
  source: Endpoint,
  { hosts = [], domains = new Set(), leftOut }: ExploreOptions,
  undecided: Set<string>,
): Generator<Explored> {
  const first = outboundCells(proxy, source, leftOut);
  /** The routes that some call took; and those that some call ought to take, with what to say if none does. */
  const taken = new Set<CompiledRoute>();
  const wanted = new Map<CompiledRoute, string>();
  for (const { call, patterns, route } of first.cells) {
    // The proxy may change the request before it looks for a route, so that another route takes it.
    if (route) wanted.set(route, `route ${route.name || '(unnamed)'} of ${route.virtualHost.name}: no request was found that comes to it`);
    const seen = new Set<string>();
    const cut = new Set<unknown>();
    const queue: Call[] = [
      call,
      ...named(call, [...hosts.filter((name) => isCovered(patterns, name)), ...patterns.filter((name) => domains.has(name))]),
    ];
    // The loop appends to the queue.
    for (const next of queue) {
      const arrivals: Arrived[] = [];
      const observe = (arrived: Arrived) => arrivals.push(arrived);
      const traces = [...waysOf(mesh, proxy, next, { copies: true, representative: true, undecided, observe })];
      yield { call: next, traces };
      const more = (finer: Call) => {
        const key = keyOf(finer);
        if (!seen.has(key)) queue.push(finer);
        seen.add(key);
      };
      for (const entrance of dialledEntrances(mesh, traces)) more({ ...next, destination: { ...next.destination, ip: entrance.ip } });
      for (const arrived of arrivals) {
        if (arrived.route) taken.add(arrived.route);
        if (arrived.proxy.type !== 'router') continue;
        for (const finer of spokenInside(arrived, next, hosts, cut, wanted)) more(finer);
        // Behind another router `leavesNothing` can't be asked, since that router may have changed the call.
        const first = arrivals.every((hop) => hop.proxy === proxy || hop.proxy === arrived.proxy);
        const own = first ? arrivals.find((hop) => hop.proxy === proxy && hop.route)?.route : undefined;
        for (const finer of cutAt(arrived, next, patterns, own, cut, wanted)) more(finer);
      }
    }
  }
  for (const sentence of first.undecided) undecided.add(sentence);
  for (const [route, sentence] of wanted) if (!taken.has(route)) undecided.add(sentence);
}

export interface WaysOptions extends Pick<HopOptions, 'representative' | 'observe'> {
  /** Whether to follow each copy that mirroring makes of the call, too. */
  readonly copies?: boolean;
  /** Gets a sentence if not all ways were followed. */
  readonly undecided?: Set<string>;
}

/** The traces of one call under every choice among weights, hosts and copies. Without `proxy` the caller has no sidecar. */
export function* waysOf(
  mesh: SimulatedMesh,
  proxy: SimulatedProxy | undefined,
  call: Call,
  { copies = false, representative = false, undecided, observe }: WaysOptions = {},
): Generator<Trace> {
  const script: { taken: number; of: number }[] = [];
  let ways = 0;
  do {
    if (++ways > MOST_WAYS) {
      undecided?.add(`a call may take more than ${MOST_WAYS} ways: the rest was not looked at`);
      return;
    }
    let at = 0;
    const choose = (of: number) => {
      script[at] ??= { taken: 0, of };
      return script[at++]!.taken;
    };
    const options: HopOptions = {
      weigh: (weights) => {
        const possible = weights.flatMap((weight, i) => (weight > 0 ? [i] : []));
        return possible.length < 2 ? (possible[0] ?? 0) : possible[choose(possible.length)]!;
      },
      pick: (hosts) => {
        const different = distinct(mesh, hosts);
        return different.length === 1 ? different[0]! : different[choose(different.length)]!;
      },
      ...(copies && { follow: choose }),
      representative,
      ...(observe && { observe }),
    };
    yield explainCall(mesh, proxy, call, options);
    script.length = at;
    while (script.length > 0 && script.at(-1)!.taken + 1 >= script.at(-1)!.of) script.pop();
    if (script.length > 0) script.at(-1)!.taken++;
  } while (script.length > 0);
}

/** The hosts at which a call may end differently. Of several addresses of one proxy, at one port, the first is enough. */
function distinct(mesh: SimulatedMesh, hosts: readonly UpstreamHost[]): UpstreamHost[] {
  if (hosts.length === 1) return [...hosts];
  const byKey = new Map<string, UpstreamHost>();
  for (const host of hosts) {
    const receiver = host.endpoint && mesh.proxyAt(host.endpoint.ip, host.endpoint.port);
    const key = receiver ? `${receiver.name}:${host.port}` : `${host.endpoint?.ip ?? host.host}:${host.port}`;
    if (!byKey.has(key)) byKey.set(key, host);
  }
  return [...byKey.values()];
}

/** The same call to each of these names instead of its own. */
function named(call: Call, names: readonly string[]): Call[] {
  const { tls, http } = call.payload;
  if (!tls && !http) return [];
  return names
    .map(sampleHost)
    .filter((name) => name !== (tls?.serverName ?? http?.authority))
    .map((name) => (tls ? withTls(call, { ...tls, serverName: name }) : withRequest(call, { ...http!, authority: name })));
}

function isCovered(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => hostCovers(pattern, name));
}

/** The entrances of gateways that a caller can reach by dialling their addresses, because its sidecar passes calls on to whatever address was dialled. */
function dialledEntrances({ entrances }: SimulatedMesh, traces: readonly Trace[]): Endpoint[] {
  const ports = new Set(traces.flatMap(({ hops }) => (hops[0]?.next?.dialled ? [hops[0].next.port] : [])));
  return ports.size > 0 ? (entrances?.() ?? []).filter(({ port }) => ports.has(port)) : [];
}

/** Whether the virtual host redirects every request to HTTPS, whatever scheme the request claims, so that its routes never get one. */
function onlyRedirects(proxy: SimulatedProxy, { transportSocket, filters }: FilterChain, { config }: CompiledVirtualHost): boolean {
  if (config.requireTls !== VirtualHost_TlsRequirementType.ALL || transportSocket) return false;
  return filters.every(({ configType, name }) => {
    if (configType.case !== 'typedConfig' || typeNameOf(configType.value) !== HttpConnectionManagerSchema.typeName) return true;
    const manager = proxy.manager(proxy.unpack(configType.value, HttpConnectionManagerSchema, name));
    return !(manager instanceof Error) && believesConnection(manager.options);
  });
}

/** Requests inside what the proxies before took for bytes, or for the application's own TLS: at the gateway they are routed. */
function* spokenInside(
  { proxy, chain }: Arrived,
  call: Call,
  hosts: readonly string[],
  cut: Set<unknown>,
  wanted: Map<CompiledRoute, string>,
): Generator<Call> {
  if (call.payload.http || !chain || cut.has(chain)) return;
  cut.add(chain);
  for (const table of routeTables(proxy, [chain])) {
    for (const virtualHost of table.virtualHosts) {
      if (onlyRedirects(proxy, chain, virtualHost)) continue;
      const { domains } = virtualHost.config;
      for (const host of new Set([...domains, ...hosts.filter((one) => isCovered(domains, one))])) {
        for (const { http, route } of virtualHostRequests(table, virtualHost, sampleHost(host))) {
          wanted.set(route, `${proxy.name}: ${unsampled(table, virtualHost, route)}`);
          if (http) yield withRequest(call, http);
        }
      }
    }
  }
}

/** Calls of the sidecar's cell that this gateway may treat differently. */
function* cutAt(
  { proxy, listener, chain, call: arrived, table, virtualHost }: Arrived,
  call: Call,
  patterns: readonly string[],
  own: CompiledRoute | undefined,
  cut: Set<unknown>,
  wanted: Map<CompiledRoute, string>,
): Generator<Call> {
  const { tls, http } = call.payload;
  if (tls && tls.serverName === arrived.payload.tls?.serverName && !cut.has(listener)) {
    cut.add(listener);
    for (const { config } of proxy.chains(listener).chains) {
      const { serverNames = [], applicationProtocols = [], transportProtocol } = config.filterChainMatch ?? {};
      if (transportProtocol === 'raw_buffer') continue;
      const names = serverNames.filter((name) => isCovered(patterns, name)).map(sampleHost);
      for (const serverName of names) yield withTls(call, { ...tls, serverName });
      for (const protocol of applicationProtocols) {
        if (serverNames.length === 0 || serverNames.some((name) => hostCovers(name, tls.serverName)))
          yield withTls(call, { ...tls, alpn: [protocol] });
        for (const serverName of names) yield withTls(call, { ...tls, serverName, alpn: [protocol] });
      }
    }
  }
  if (!table || !http) return;
  if (!tls && http.authority === arrived.payload.http?.authority && !cut.has(table)) {
    cut.add(table);
    const names = table.virtualHosts.flatMap(({ config }) => config.domains.filter((name) => name !== '*' && isCovered(patterns, name)));
    for (const authority of [...names, ...patterns].map(sampleHost)) {
      if (table.virtualHost(authority) !== virtualHost) yield withRequest(call, { ...http, authority });
    }
  }
  if (!virtualHost || !chain || cut.has(virtualHost) || onlyRedirects(proxy, chain, virtualHost)) return;
  cut.add(virtualHost);
  for (const { http: sample, route } of virtualHostRequests(table, virtualHost, http.authority)) {
    if (!leavesNothing(virtualHost, route, own)) wanted.set(route, `${proxy.name}: ${unsampled(table, virtualHost, route)}`);
    if (sample) yield* merged(call, http, arrived.payload.http?.path ?? http.path, sample);
  }
}

/** Whether `route` of the gateway never gets a request, since earlier routes take all that the sidecar's route `own` sends and `route` matches. */
function leavesNothing({ routes }: CompiledVirtualHost, route: CompiledRoute, own: CompiledRoute | undefined): boolean {
  const match = route.config?.match;
  const asked = own?.config?.match;
  if (!match || !asked) return false;
  // Of a field that proxies change, the gateway sees something else than the sidecar did.
  const sent = { ...asked, headers: asked.headers.filter(({ name }) => !mayChangeOnTheWay(name.toLowerCase())) };
  const { action } = own;
  const rewrites = action.kind === 'forward' && action.rewritesPath;
  if (disjoint(match, sent, !rewrites)) return true;
  const changes =
    own.requestMutations !== undefined || (action.kind === 'forward' && action.clusters.some((each) => each.requestMutations));
  // Headers and query that the sidecar's route asked for are still there at the gateway, unless the sidecar changes them.
  const headers = changes ? match.headers : [...match.headers, ...sent.headers];
  const queryParameters = rewrites ? match.queryParameters : [...match.queryParameters, ...sent.queryParameters];
  const both = [
    { ...match, headers, queryParameters },
    { ...sent, headers, queryParameters },
  ];
  const usable = rewrites ? both.slice(0, 1) : both;
  return routes
    .slice(0, routes.indexOf(route))
    .some(({ config }) => usable.some((narrow) => config?.match && covers(config.match, narrow)));
}

/** The call with what the gateway's route asks for added to what the sidecar's route asked for. The sidecar may have rewritten the path. */
function* merged(call: Call, own: HttpRequest, arrivedPath: string, sample: HttpRequest): Generator<Call> {
  const headers = own.headers.clone();
  for (const [name, value] of sample.headers) headers.set(name, value);
  const prefix = own.path.length - commonEnd(own.path, arrivedPath);
  const rewritten =
    arrivedPath === own.path ? [] : [`${own.path.slice(0, prefix)}${sample.path}`, `${own.path.slice(0, prefix)}${sample.path.slice(1)}`];
  for (const path of [sample.path, own.path, ...rewritten]) {
    for (const method of new Set([own.method, sample.method]))
      yield withRequest(call, { ...own, authority: sample.authority, method, headers, path });
  }
}

function commonEnd(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a.at(-1 - length) === b.at(-1 - length)) length++;
  return length;
}

function withTls(call: Call, tls: Tls): Call {
  return { ...call, payload: { ...call.payload, tls } };
}

function withRequest(call: Call, http: HttpRequest): Call {
  return { ...call, payload: { ...call.payload, http } };
}

/** The same for calls that say the same, at the same address. */
export function keyOf({ destination, payload: { tls, http } }: Call): string {
  const { ip, port } = destination;
  if (!http) return JSON.stringify([ip, port, tls]);
  const { method, authority, path, version, headers } = http;
  return JSON.stringify([ip, port, tls, method, authority, path, version, [...headers]]);
}
