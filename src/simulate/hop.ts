/** What one proxy does with a call: listener, filter chain, route, cluster. The data plane's own matchers decide. Pure. */

import type { CompiledRoute, CompiledVirtualHost, ForwardAction, RouteRequest, RouteTable } from '../http/routes/route.ts';
import type { Filter, FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { FilterConfigSchema as SniForwardProxySchema } from '../xds/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { DownstreamTlsContextSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { CompiledFilterChain } from '../xds/match/filter-chain.ts';
import { listenerAddresses } from '../xds/match/listener.ts';
import { originsOf, refusalOf } from '../xds/match/metadata.ts';
import { typeNameOf } from '../xds/unpack.ts';
import type { Call, HttpRequest, Payload } from './call.ts';
import { type NamedTarget, splitAuthority, throughTransport, type UpstreamHost, upstreamsOf, upstreamVersion } from './cluster.ts';
import { filtered } from './http-filters.ts';
import { type Mirror, mirrorsOf } from './mirrors.ts';
import { clusterPolicies, faultsOf, routePolicies } from './policies.ts';
import type { SimulatedProxy } from './proxy.ts';
import { finalize, prepare, recordOf } from './request.ts';
import type { OnResponse, Response } from './response.ts';
import type { Hop, Outcome, Step } from './trace.ts';

export interface HopOptions {
  /** Chooses among weighted clusters: an index whose weight is not 0. */
  readonly weigh: (weights: readonly number[]) => number;
  /** Chooses among the hosts of a cluster. */
  readonly pick: (hosts: readonly UpstreamHost[]) => UpstreamHost;
  /** Whether to go on with the request (0) or with one of its copies (from 1 on), of so many in all; without it with the request. */
  readonly follow?: (ways: number) => number;
  /**
   * The call stands for others, and what it is told of here is not all there is: what this product refuses, other products do; a secret that the files lack may
   * be in the cluster; the answer of a filter to this call is not its answer to all. Such calls are undecided, or go on as if nothing were in the way.
   */
  readonly representative?: boolean;
  /** Whether to state what else applies to the call: timeouts, retries, limits, faults. */
  readonly policies?: boolean;
  /** Told what each proxy decides by; more than once for a hop. */
  readonly observe?: (arrived: Arrived) => void;
}

/** A call at a proxy, and how far the proxy got with it. */
export interface Arrived {
  readonly proxy: SimulatedProxy;
  readonly listener: Listener;
  /** Undefined: none takes the call. */
  readonly chain: FilterChain | undefined;
  /** As it came to the proxy. */
  readonly call: Call;
  readonly table: RouteTable | undefined;
  readonly virtualHost: CompiledVirtualHost | undefined;
  readonly route: CompiledRoute | undefined;
}

export interface HopResult {
  readonly hop: Hop;
  /** Undefined where the call goes on to `hop.next`. */
  readonly outcome: Outcome | undefined;
  /** What the proxy does to the response, be it its own or another's; undefined where it takes the call for bytes. */
  readonly onResponse: OnResponse | undefined;
}

/** Collects the steps of a hop. */
class Recorder {
  readonly steps: Step[] = [];
  protocol: Hop['protocol'];
  /** Neither the listener nor the filter chain asks where the connection was going. */
  anyAddress = false;
  cluster = '';
  copy = false;
  /** In the order in which they are done. */
  readonly changes: OnResponse[] = [];
  readonly proxy: string;

  constructor(proxy: string) {
    this.proxy = proxy;
  }

  step(kind: Step['kind'], name: string, text: string, origins: Step['origins'] = []): void {
    this.steps.push({ kind, name, text, origins });
  }

  end(flag: string, outcome: Outcome): HopResult {
    const { proxy, protocol, steps, cluster, copy } = this;
    return { hop: { proxy, protocol, steps, cluster, copy, flag, next: undefined }, outcome, onResponse: this.#onResponse() };
  }

  closed(flag: string, details: string): HopResult {
    return this.end(flag, { kind: 'closed', details });
  }

  reply(status: number, flag: string, details: string, location?: string): HopResult {
    return this.end(flag, { kind: 'reply', status, location, details });
  }

  undecided(details: string): HopResult {
    return this.end('', { kind: 'undecided', details });
  }

  goOn(next: NonNullable<Hop['next']>): HopResult {
    const { proxy, protocol, steps, cluster, copy } = this;
    return { hop: { proxy, protocol, steps, cluster, copy, flag: '', next }, outcome: undefined, onResponse: this.#onResponse() };
  }

  #onResponse(): OnResponse | undefined {
    if (this.protocol !== 'http') return undefined;
    return (response) => {
      for (const change of this.changes) change(response);
    };
  }
}

/** The call arrives at `listener` (15001 of a sidecar for what leaves, 15006 for what comes in, the dialled port of a router). */
export function simulateHop(proxy: SimulatedProxy, entry: Listener, call: Call, given: HopOptions): HopResult {
  const recorder = new Recorder(proxy.name);
  // A workload's inbound side leads to the application beside it, whatever is asked of the call there.
  const leads = proxy.type === 'router' || entry.name !== 'virtualInbound';
  const options = leads ? given : { ...given, representative: false };
  const { destination } = call;
  const listener = entry.useOriginalDst ? (proxy.listeners.match(destination.ip, destination.port) ?? entry) : entry;
  recorder.step('listener', listener.name, `takes connections to ${destination.ip}:${destination.port}`, originsOf(listener.metadata));
  const chain = proxy.chains(listener).match(connectionInfo(listener, call));
  const observe = ({ table, virtualHost, route }: Partial<Arrived>) =>
    options.observe?.({ proxy, listener, chain: chain?.config, call, table, virtualHost, route });
  observe({});
  if (!chain) {
    recorder.step('filter-chain', '', 'no filter chain matches: the connection is closed');
    return recorder.closed('NR', 'filter_chain_not_found');
  }
  recorder.anyAddress = takesAnyAddress(listener, chain.config);
  const origins = originsOf(chain.config.metadata);
  recorder.step('filter-chain', chain.name, chain.index < 0 ? 'no other filter chain matches' : describeMatch(chain.config), origins);
  const refusal = options.representative ? refusalOf(chain.config.metadata) : undefined;
  if (refusal !== undefined) return recorder.undecided(refusal);
  const inner = terminate(proxy, chain.config, call.payload, options, recorder);
  if ('hop' in inner) return inner;
  return runFilters(
    proxy,
    chain,
    { ...call, payload: inner },
    options,
    recorder,
    call.payload.tls !== undefined && inner.tls === undefined,
    observe,
  );
}

function takesAnyAddress(listener: Listener, { filterChainMatch }: FilterChain): boolean {
  const bound = listenerAddresses(listener);
  return (filterChainMatch?.prefixRanges.length ?? 0) === 0 && bound.every(({ ip }) => ip === '0.0.0.0' || ip === '::');
}

function connectionInfo(listener: Listener, { source, destination, payload }: Call) {
  const has = (name: string) =>
    listener.listenerFilters.some((filter) => filter.name === name || filter.name.endsWith(name.slice(name.lastIndexOf('.'))));
  const tls = has('envoy.filters.listener.tls_inspector') ? payload.tls : undefined;
  const http = !payload.tls && has('envoy.filters.listener.http_inspector') ? payload.http : undefined;
  return {
    destinationIp: destination.ip,
    destinationPort: destination.port,
    sourceIp: source.ip,
    sourcePort: source.port,
    serverName: tls?.serverName ?? '',
    transportProtocol: tls ? 'tls' : 'raw_buffer',
    applicationProtocols: tls ? tls.alpn : http ? [APPLICATION_PROTOCOL[http.version]] : [],
  };
}

const APPLICATION_PROTOCOL: Readonly<Record<HttpRequest['version'], string>> = { '1.0': 'http/1.0', '1.1': 'http/1.1', '2': 'h2c' };

function describeMatch({ filterChainMatch: match }: FilterChain): string {
  const parts: string[] = [];
  if (match?.serverNames.length) parts.push(`SNI is one of ${match.serverNames.join(', ')}`);
  if (match?.prefixRanges.length)
    parts.push(`the destination is in ${match.prefixRanges.map((range) => `${range.addressPrefix}/${range.prefixLen ?? 0}`).join(', ')}`);
  if (match?.destinationPort !== undefined) parts.push(`the port is ${match.destinationPort}`);
  if (match?.transportProtocol) parts.push(match.transportProtocol === 'tls' ? 'it is TLS' : 'it is not TLS');
  if (match?.applicationProtocols.length) parts.push(`it speaks ${match.applicationProtocols.join(' or ')}`);
  return parts.length > 0 ? `matches because ${parts.join(' and ')}` : 'matches everything';
}

/** What is left of the payload after the chain's TLS, or where the handshake ended. */
function terminate(
  proxy: SimulatedProxy,
  chain: FilterChain,
  payload: Payload,
  options: HopOptions,
  recorder: Recorder,
): Payload | HopResult {
  const socket = chain.transportSocket;
  if (socket?.configType.case !== 'typedConfig' || typeNameOf(socket.configType.value) !== DownstreamTlsContextSchema.typeName)
    return payload;
  if (!payload.tls) {
    recorder.step('tls', '', 'the listener expects TLS, and the call is plain: the connection is closed');
    return recorder.closed('', 'not TLS');
  }
  const context = proxy.unpack(socket.configType.value, DownstreamTlsContextSchema, `filter chain "${chain.name}": transport_socket`);
  const names = (context.commonTlsContext?.tlsCertificateSdsSecretConfigs ?? []).map((secret) => secret.name);
  const missing = names.find((name) => name.startsWith('kubernetes://') && !proxy.hasSecret(name));
  if (missing !== undefined && options.representative) recorder.step('tls', missing, ASSUMED);
  else if (missing !== undefined) {
    recorder.step('tls', missing, 'the certificate is missing: the connection is closed');
    return recorder.closed('', `secret ${missing} is missing`);
  }
  recorder.step('tls', names.join(', '), `TLS for ${payload.tls.serverName || '(no SNI)'} ends here`);
  if (context.requireClientCertificate) {
    recorder.step('tls', '', 'a client certificate is required: without one that is trusted, the handshake fails');
    if (payload.tls.certificate === false) return recorder.closed('', 'no client certificate');
  }
  const alpn = context.commonTlsContext?.alpnProtocols.find((protocol) => payload.tls!.alpn.includes(protocol));
  if (alpn === 'h2' && payload.http?.version !== '2') {
    recorder.step('tls', '', 'HTTP/2 is agreed upon in the handshake, and something else is spoken: the connection is closed');
    return recorder.closed('', 'not HTTP/2');
  }
  return { ...payload, tls: undefined };
}

/** Of a secret that the files lack. */
export const ASSUMED = 'is not among the files, and taken to be in the cluster';

const HCM = HttpConnectionManagerSchema.typeName;
const TCP_PROXY = TcpProxySchema.typeName;
const SNI_CLUSTER = 'envoy.extensions.filters.network.sni_cluster.v3.SniCluster';
const CONNECTION_LIMIT = 'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit';

/** What filters before a TCP proxy ask of it. */
interface TcpOverrides {
  /** The SNI is the cluster's name. */
  sniCluster: boolean;
  /** The SNI is the host to look up, with this port. */
  forwardPort: number | undefined;
}

function runFilters(
  proxy: SimulatedProxy,
  chain: CompiledFilterChain,
  call: Call,
  options: HopOptions,
  recorder: Recorder,
  terminated: boolean,
  observe: (decided: Partial<Arrived>) => void,
): HopResult {
  const overrides: TcpOverrides = { sniCluster: false, forwardPort: undefined };
  for (const filter of chain.config.filters) {
    const config = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const type = typeNameOf(config);
    if (type === CONNECTION_LIMIT) continue;
    if (type === SNI_CLUSTER) {
      overrides.sniCluster = true;
      continue;
    }
    if (type === SniForwardProxySchema.typeName) {
      const { portSpecifier } = proxy.unpack(config, SniForwardProxySchema, filter.name);
      overrides.forwardPort = portSpecifier.case === 'portValue' ? portSpecifier.value : 443;
      continue;
    }
    if (type === TCP_PROXY) {
      recorder.protocol = 'tcp';
      return tcpProxy(proxy, filter, chain, call, overrides, options, recorder);
    }
    if (type === HCM) {
      recorder.protocol = 'http';
      return http(
        proxy,
        proxy.unpack(config, HttpConnectionManagerSchema, filter.name),
        chain,
        call,
        options,
        recorder,
        terminated,
        observe,
      );
    }
    return recorder.undecided(`network filter ${filter.name} (${type}) is not simulated`);
  }
  return recorder.closed('', refusalOf(chain.config.metadata) ?? 'the filter chain has no filter');
}

function tcpProxy(
  proxy: SimulatedProxy,
  filter: Filter,
  chain: CompiledFilterChain,
  call: Call,
  { sniCluster, forwardPort }: TcpOverrides,
  options: HopOptions,
  recorder: Recorder,
): HopResult {
  const config = proxy.unpack(filter.configType.case === 'typedConfig' ? filter.configType.value : undefined, TcpProxySchema, filter.name);
  const { clusterSpecifier, tunnelingConfig } = config;
  if (tunnelingConfig) return recorder.undecided(`a CONNECT tunnel to ${tunnelingConfig.hostname} is not simulated`);
  const serverName = call.payload.tls?.serverName ?? '';
  const name =
    sniCluster && serverName !== ''
      ? serverName
      : clusterSpecifier.case === 'cluster'
        ? clusterSpecifier.value
        : clusterSpecifier.case === 'weightedClusters'
          ? clusterSpecifier.value.clusters[options.weigh(clusterSpecifier.value.clusters.map(({ weight }) => weight))]!.name
          : '';
  if (sniCluster && options.representative && !proxy.cluster(name))
    return recorder.undecided('the SNI names the cluster (AUTO_PASSTHROUGH), and a client may name any');
  const origins = originsOf(chain.config.metadata);
  const target = forwardPort !== undefined && serverName !== '' ? { host: serverName, port: forwardPort } : undefined;
  return forward(proxy, name, call, serverName, target, options, recorder, {
    origins,
    noCluster: () => recorder.closed('NC', `cluster ${name} does not exist`),
    noHost: (why) => recorder.closed('UH', why),
    failed: (why) => recorder.closed('UF,URX', why),
  });
}

function http(
  proxy: SimulatedProxy,
  config: HttpConnectionManager,
  chain: CompiledFilterChain,
  call: Call,
  options: HopOptions,
  recorder: Recorder,
  terminated: boolean,
  observe: (decided: Partial<Arrived>) => void,
): HopResult {
  if (call.payload.tls) return recorder.closed('DPE', 'the bytes are TLS, not HTTP');
  if (!call.payload.http) return recorder.reply(400, 'DPE', 'http1.codec_error');
  const request = prepare(config, call, terminated);
  if ('status' in request) {
    recorder.step('route', '', request.why);
    return recorder.reply(request.status, request.flag, request.details, request.location);
  }
  const table = routeTable(proxy, config);
  if (!table) return recorder.reply(404, 'NR', 'route_not_found');
  const virtualHost = table.virtualHost(request.authority);
  const route = virtualHost && table.match(request);
  observe({ table, virtualHost, route });
  if (!virtualHost) {
    recorder.step(
      'virtual-host',
      '',
      `route configuration ${table.name} has no virtual host for ${request.authority || '(no host)'}`,
      originsOf(chain.config.metadata),
    );
    return recorder.reply(404, 'NR', 'route_not_found');
  }
  recorder.step('virtual-host', virtualHost.name, `serves ${request.authority}`, originsOf(virtualHost.config.metadata));
  if (!route) {
    recorder.step(
      'route',
      '',
      `no route of virtual host ${virtualHost.name} matches ${request.method} ${request.path}`,
      originsOf(virtualHost.config.metadata),
    );
    return recorder.reply(404, 'NR', 'route_not_found');
  }
  const marks: OnResponse[] = [];
  const answer = filtered(proxy, config, route, request, options, marks);
  if (answer) {
    recorder.cluster = namedCluster(proxy, route, options);
    if (answer.ofRoute) {
      const record = recordOf(route, request, call);
      recorder.changes.push((response) => response.mutate(route.responseMutations, record, false));
    }
    recorder.changes.push(...marks);
    if (answer.headers) recorder.changes.push((response) => response.flat.push(...answer.headers!.flat));
    recorder.step('route', route.name || '(unnamed)', answer.why, route.origins);
    if (options.representative && !answer.always)
      return recorder.undecided(`route ${route.name || '(unnamed)'}: ${answer.why}, which other calls may pass`);
    return recorder.reply(answer.status, answer.flag, answer.details);
  }
  const faults = options.policies ? faultsOf(proxy, config, route) : [];
  const result = runRoute(proxy, route, request, call, options, recorder, faults);
  recorder.changes.push(...marks);
  return result;
}

/** Logs name the cluster of the route, also where a filter answers in its place. */
function namedCluster(proxy: SimulatedProxy, { action }: CompiledRoute, options: HopOptions): string {
  if (action.kind !== 'forward' || action.clusters.length === 0) return '';
  const { cluster } = action.clusters[weighed(action, options)]!;
  return proxy.cluster(cluster) ? cluster : '';
}

/** The route configuration by RDS or inline. */
export function routeTable(proxy: SimulatedProxy, config: HttpConnectionManager): RouteTable | undefined {
  const { routeSpecifier } = config;
  if (routeSpecifier.case === 'routeConfig') return proxy.compileRoutes(routeSpecifier.value);
  return routeSpecifier.case === 'rds' ? proxy.routes(routeSpecifier.value.routeConfigName) : undefined;
}

function runRoute(
  proxy: SimulatedProxy,
  route: CompiledRoute,
  request: RouteRequest,
  call: Call,
  options: HopOptions,
  recorder: Recorder,
  faults: readonly string[],
): HopResult {
  const { action } = route;
  const name = route.name || '(unnamed)';
  if (action.kind === 'redirect' || action.kind === 'direct-response') {
    const record = recordOf(route, request, call);
    recorder.changes.push((response) => response.mutate(route.responseMutations, record, false));
  }
  switch (action.kind) {
    case 'redirect': {
      const location = action.location(request);
      recorder.step('route', name, `redirects with ${action.status} to ${location}`, route.origins);
      return recorder.reply(action.status, '', 'direct_response', location);
    }
    case 'direct-response':
      recorder.step('route', name, action.refusal ?? `answers ${action.status} itself`, route.origins);
      if (options.representative && action.refusal !== undefined) return recorder.undecided(action.refusal);
      return recorder.reply(action.status, '', 'direct_response');
    case 'non-forwarding':
      return recorder.undecided('a non-forwarding action answers nothing');
    case 'forward':
      return runForward(proxy, route, action, request, call, options, recorder, faults);
  }
}

function runForward(
  proxy: SimulatedProxy,
  route: CompiledRoute,
  action: ForwardAction,
  request: RouteRequest,
  call: Call,
  options: HopOptions,
  recorder: Recorder,
  faults: readonly string[],
): HopResult {
  const choice = action.clusterHeader === undefined ? action.clusters[weighed(action, options)] : action.choose(request);
  if (!choice) return recorder.reply(action.clusterNotFoundStatus, 'NC', `the request lacks the header ${action.clusterHeader}`);
  const share = choice.weight === choice.totalWeight ? '' : ` (${choice.weight} of ${choice.totalWeight})`;
  recorder.step(
    'route',
    route.name || '(unnamed)',
    `sends ${request.method} ${request.path} to cluster ${choice.cluster}${share}`,
    route.origins,
  );
  const applies = options.policies ? routePolicies(route, action, faults) : undefined;
  if (applies !== undefined) recorder.step('policy', '', applies, route.origins);
  const http = finalize(route, action, choice, request, call);
  const port = request.scheme === 'https' ? 443 : 80;
  const target = splitAuthority(http.authority, port);
  const mirrors = action.mirrors.length > 0 && sends(proxy, choice.cluster, call, target) ? mirrorsOf(action) : [];
  for (const { cluster, share } of mirrors)
    recorder.step('mirror', cluster ?? '', `gets a copy of ${share}; its answer is dropped`, route.origins);
  const followed = mirrors.length > 0 ? mirrors[(options.follow?.(mirrors.length + 1) ?? 0) - 1] : undefined;
  if (followed) return forwardCopy(proxy, followed, http, port, call, options, recorder, route.origins);
  const changed = (response: Response, chosen: boolean, upstream?: UpstreamHost) => {
    const address = upstream?.endpoint;
    const upstreamHost = address && { address, text: `${address.ip}:${address.port}`, hostname: upstream.host };
    // Formats see the request as the router has changed it for the upstream.
    const sent = chosen ? { ...request, headers: http.headers } : request;
    const record = { ...recordOf(route, sent, call), upstreamCluster: chosen ? choice.cluster : '', upstreamHost };
    if (chosen) response.mutate(choice.responseMutations, record, upstream !== undefined);
    response.mutate(route.responseMutations, record, upstream !== undefined);
  };
  const refuse = (status: number, flag: string, details: string, chosen: boolean) => {
    recorder.changes.push((response) => changed(response, chosen));
    return recorder.reply(status, flag, details);
  };
  return forward(proxy, choice.cluster, { ...call, payload: { tls: undefined, http } }, http.authority, target, options, recorder, {
    origins: route.origins,
    noCluster: () => refuse(action.clusterNotFoundStatus, 'NC', 'cluster_not_found', false),
    noHost: (why) => refuse(503, 'UH', why, true),
    failed: (why) => refuse(503, 'URX,UF', why, true),
    back: (response, host) => changed(response, true, host),
  });
}

/** Whether a cluster has somewhere to send a call to: only then copies of it are made. */
function sends(proxy: SimulatedProxy, name: string, call: Call, target: NamedTarget): boolean {
  const cluster = proxy.cluster(name);
  return cluster !== undefined && upstreamsOf(proxy, cluster, call.destination, target).kind === 'hosts';
}

function forwardCopy(
  proxy: SimulatedProxy,
  mirror: Mirror,
  request: HttpRequest,
  port: number,
  call: Call,
  options: HopOptions,
  recorder: Recorder,
  origins: Step['origins'],
): HopResult {
  recorder.copy = true;
  const http = mirror.copy(request);
  const name = mirror.cluster ?? request.headers.get(mirror.clusterHeader!) ?? '';
  const dropped = (why: string) => recorder.closed('', `the copy is not sent: ${why}`);
  return forward(
    proxy,
    name,
    { ...call, payload: { tls: undefined, http } },
    http.authority,
    splitAuthority(http.authority, port),
    options,
    recorder,
    { origins, noCluster: () => dropped(`cluster ${name} does not exist`), noHost: dropped, failed: dropped },
  );
}

function weighed({ clusters }: ForwardAction, options: HopOptions): number {
  return clusters.length > 1 ? options.weigh(clusters.map(({ weight }) => weight)) : 0;
}

const VERIFIES = {
  name: "verifies the server's certificate and name",
  chain: "verifies the server's certificate, but not its name",
  nothing: 'verifies nothing',
} as const;

interface Endings {
  readonly origins: Step['origins'];
  noCluster(): HopResult;
  noHost(why: string): HopResult;
  failed(why: string): HopResult;
  /** Does what the route asks of a response of this host. */
  back?(response: Response, host: UpstreamHost): void;
}

function forward(
  proxy: SimulatedProxy,
  name: string,
  call: Call,
  authority: string,
  target: NamedTarget | undefined,
  options: HopOptions,
  recorder: Recorder,
  endings: Endings,
): HopResult {
  const cluster = proxy.cluster(name);
  if (!cluster) {
    recorder.step('cluster', name, 'does not exist at this proxy', endings.origins);
    return endings.noCluster();
  }
  recorder.cluster = name;
  const origins = originsOf(cluster.metadata);
  const refusal = options.representative ? refusalOf(cluster.metadata) : undefined;
  if (refusal !== undefined) return recorder.undecided(refusal);
  const upstreams = upstreamsOf(proxy, cluster, call.destination, target);
  if (upstreams.kind === 'none') {
    recorder.step('cluster', name, upstreams.why, origins);
    return endings.noHost(upstreams.why);
  }
  const isHttp = recorder.protocol === 'http';
  const { http } = call.payload;
  const sent =
    isHttp && http ? { ...call.payload, http: { ...http, version: upstreamVersion(proxy, cluster, http.version) } } : call.payload;
  const { payload, missingSecret, verifies } = throughTransport(proxy, cluster, sent, isHttp ? authority : undefined);
  if (missingSecret !== undefined && options.representative) recorder.step('cluster', missingSecret, ASSUMED, origins);
  else if (missingSecret !== undefined) {
    recorder.step('cluster', name, `secret ${missingSecret}, which its TLS needs, is missing`, origins);
    return endings.failed(`secret ${missingSecret} is missing`);
  }
  const tls =
    payload.tls && !call.payload.tls
      ? `originates TLS (SNI ${payload.tls.serverName || 'none'}; ${VERIFIES[verifies ?? 'nothing']})`
      : 'connects as it is';
  recorder.step('cluster', name, tls, origins);
  const limits = options.policies ? clusterPolicies(proxy, cluster) : undefined;
  if (limits !== undefined) recorder.step('policy', '', limits, origins);
  const host = options.pick(upstreams.hosts);
  const { back } = endings;
  if (back) recorder.changes.push((response) => back(response, host));
  recorder.step(
    'endpoint',
    host.endpoint ? `${host.endpoint.ip}:${host.endpoint.port}` : `${host.host}:${host.port}`,
    upstreams.hosts.length > 1 ? `one of ${upstreams.hosts.length}` : 'the only one',
  );
  return recorder.goOn({
    endpoint: host.endpoint,
    host: host.host || splitAuthority(authority, 0).host,
    port: host.port,
    payload,
    dialled: upstreams.dialled === true,
    anyAddress: recorder.anyAddress && upstreams.dialled === true,
    verifies,
  });
}
