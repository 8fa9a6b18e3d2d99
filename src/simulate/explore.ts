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
import { outboundCells, routeTables, sampleHost, unsampled, virtualHostRequests } from './cells.ts';
import type { UpstreamHost } from './cluster.ts';
import { explainCall, type SimulatedMesh } from './explain.ts';
import type { Arrived, HopOptions } from './hop-options.ts';
import type { SimulatedProxy } from './proxy.ts';
import { covers, disjoint } from './sample.ts';
import type { Trace } from './trace.ts';

export interface Explored {
  readonly call: Call;
  /** One for each way that chance and load balancing may take it. */
  readonly traces: readonly Trace[];
}

export interface Exploration {
  readonly calls: Iterable<Explored>;
  /** What no call was found for, each as a sentence; whole after the calls were taken. */
  readonly undecided: ReadonlySet<string>;
}

/** More ways than these that one call may take are left alone, and said to be undecided. */
const MOST_WAYS = 256;

/** `hosts`: names that are told apart from others of their domains, whatever the configuration does. */
export function explore(mesh: SimulatedMesh, proxy: SimulatedProxy, source: Endpoint, hosts: readonly string[] = []): Exploration {
  const undecided = new Set<string>();
  return { calls: explored(mesh, proxy, source, hosts, undecided), undecided };
}

function* explored(
  mesh: SimulatedMesh,
  proxy: SimulatedProxy,
  source: Endpoint,
  hosts: readonly string[],
  undecided: Set<string>,
): Generator<Explored> {
  const first = outboundCells(proxy, source);
  /** Routes that a call took, and those that one should have been found for. */
  const taken = new Set<CompiledRoute>();
  const wanted = new Map<CompiledRoute, string>();
  for (const { call, pattern, route } of first.cells) {
    // What the proxy makes of the request before it looks for a route may take it to another one.
    if (route) wanted.set(route, `route ${route.name || '(unnamed)'} of ${route.virtualHost.name}: no request was found that comes to it`);
    const seen = new Set<string>();
    const cut = new Set<unknown>();
    const queue: Call[] = [call, ...named(call, pattern, hosts)];
    // It grows as it is worked off.
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
        // What a router before it made of the call is not known here.
        const first = arrivals.every((hop) => hop.proxy === proxy || hop.proxy === arrived.proxy);
        const own = first ? arrivals.find((hop) => hop.proxy === proxy && hop.route)?.route : undefined;
        for (const finer of cutAt(arrived, next, pattern, own, cut, wanted)) more(finer);
      }
    }
  }
  for (const sentence of first.undecided) undecided.add(sentence);
  for (const [route, sentence] of wanted) if (!taken.has(route)) undecided.add(sentence);
}

export interface WaysOptions extends Pick<HopOptions, 'representative' | 'observe'> {
  /** Whether each copy that mirroring makes of the call is a way as well. */
  readonly copies?: boolean;
  /** Takes a sentence where not all ways were looked at. */
  readonly undecided?: Set<string>;
}

/** The traces of one call under every choice that chance and load balancing have; without `proxy` the caller has no sidecar. */
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

/** Hosts that a call may end differently at: those of one proxy are alike, all others are told apart. */
function distinct(mesh: SimulatedMesh, hosts: readonly UpstreamHost[]): UpstreamHost[] {
  if (hosts.length === 1) return [...hosts];
  const byKey = new Map<string, UpstreamHost>();
  for (const host of hosts) {
    const receiver = host.endpoint && mesh.proxyAt(host.endpoint.ip);
    const key = receiver ? `${receiver.name}:${host.port}` : `${host.endpoint?.ip ?? host.host}:${host.port}`;
    if (!byKey.has(key)) byKey.set(key, host);
  }
  return [...byKey.values()];
}

/** The call with each of the hosts that its name stands for as well. */
function named(call: Call, pattern: string, hosts: readonly string[]): Call[] {
  const { tls, http } = call.payload;
  if (pattern === '' || (!tls && !http)) return [];
  return hosts
    .filter((host) => host !== pattern && hostCovers(pattern, host))
    .map((host) => {
      const name = sampleHost(host);
      return tls
        ? { ...call, payload: { ...call.payload, tls: { ...tls, serverName: name } } }
        : withRequest(call, { ...http!, authority: name });
    });
}

/** Where a call may end up at a gateway that a caller knows the address of: the caller's sidecar sends it to whatever address was dialled. */
function dialledEntrances({ entrances }: SimulatedMesh, traces: readonly Trace[]): Endpoint[] {
  const ports = new Set(traces.flatMap(({ hops }) => (hops[0]?.next?.dialled ? [hops[0].next.port] : [])));
  return ports.size > 0 ? (entrances?.() ?? []).filter(({ port }) => ports.has(port)) : [];
}

/** Whether every request to the virtual host is sent to HTTPS, whatever it says of its scheme: its routes are for others. */
function onlyRedirects(proxy: SimulatedProxy, { transportSocket, filters }: FilterChain, { config }: CompiledVirtualHost): boolean {
  if (config.requireTls !== VirtualHost_TlsRequirementType.ALL || transportSocket) return false;
  return filters.every(({ configType, name }) => {
    if (configType.case !== 'typedConfig' || typeNameOf(configType.value) !== HttpConnectionManagerSchema.typeName) return true;
    const manager = proxy.manager(proxy.unpack(configType.value, HttpConnectionManagerSchema, name));
    return !(manager instanceof Error) && believesConnection(manager.options);
  });
}

/** A gateway finds HTTP in what the proxies before it took for bytes, or for TLS of the application's own that ends at the gateway. */
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
      const domain = virtualHost.config.domains[0] ?? '';
      for (const host of [domain, ...hosts.filter((one) => one !== domain && hostCovers(domain, one))]) {
        for (const { http, route } of virtualHostRequests(table, virtualHost, sampleHost(host))) {
          wanted.set(route, `${proxy.name}: ${unsampled(table, virtualHost, route)}`);
          if (http) yield withRequest(call, http);
        }
      }
    }
  }
}

/** Calls of the same cell that a gateway may treat in another way. */
function* cutAt(
  { proxy, listener, chain, call: arrived, table, virtualHost }: Arrived,
  call: Call,
  pattern: string,
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
      const names = pattern === '' ? [] : serverNames.filter((name) => hostCovers(pattern, name)).map(sampleHost);
      for (const serverName of names) yield withTls(call, { ...tls, serverName });
      for (const protocol of applicationProtocols) {
        if (serverNames.length === 0 || serverNames.some((name) => hostCovers(name, tls.serverName)))
          yield withTls(call, { ...tls, alpn: [protocol] });
        for (const serverName of names) yield withTls(call, { ...tls, serverName, alpn: [protocol] });
      }
    }
  }
  if (!table || !http) return;
  if (pattern !== '' && !tls && http.authority === arrived.payload.http?.authority && !cut.has(table)) {
    cut.add(table);
    for (const { config } of table.virtualHosts) {
      const name = config.domains[0] ?? '';
      if (hostCovers(pattern, name) && name !== '*') yield withRequest(call, { ...http, authority: sampleHost(name) });
    }
  }
  if (!virtualHost || !chain || cut.has(virtualHost) || onlyRedirects(proxy, chain, virtualHost)) return;
  cut.add(virtualHost);
  for (const { http: sample, route } of virtualHostRequests(table, virtualHost, http.authority)) {
    if (!leavesNothing(virtualHost, route, own)) wanted.set(route, `${proxy.name}: ${unsampled(table, virtualHost, route)}`);
    if (sample) yield* merged(call, http, arrived.payload.http?.path ?? http.path, sample);
  }
}

/** Whether earlier routes of the gateway take all that the sidecar's route `own` sends on and `route` would match. */
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
  // What the sidecar asks of headers and query still holds at the gateway, unless it changes them.
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

/** The call with what a gateway's route asks for beside what the sidecar's did; the sidecar may have rewritten the path. */
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

function keyOf({ destination, payload: { tls, http } }: Call): string {
  const { ip, port } = destination;
  if (!http) return JSON.stringify([ip, port, tls]);
  const { method, authority, path, version, headers } = http;
  return JSON.stringify([ip, port, tls, method, authority, path, version, [...headers]]);
}
