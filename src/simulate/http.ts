/** What a connection manager does with a request: the data plane's own functions prepare it, match it and judge it by each filter. */
import type { Destined } from '../http/credentials.ts';
import { CodecError } from '../http/h1/error.ts';
import { type Head, routeTls } from '../http/head.ts';
import { type LocalReply, localReply, replyHeaders } from '../http/local-reply.ts';
import { prepareRequest } from '../http/prepare.ts';
import { type DynamicMetadata, withMetadata } from '../http/rbac/subject.ts';
import type { ClusterChoice, CompiledRoute, RouteTable } from '../http/routes/route.ts';
import type { HttpConnectionManager } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { credentialValueSecret, isEmptyValue } from '../xds/injected-secrets.ts';
import { originsOf } from '../xds/match/metadata.ts';
import { ALLOW_ANY, BLOCK_ALL } from '../xds/names.ts';
import { forwardRequest } from './forward-request.ts';
import type { HopContext } from './hop-options.ts';
import { type HttpHop, type Mark, NO_HEADERS, passBack, WORKINGS } from './http-hop.ts';
import { faultsOf } from './policies.ts';
import { connectionOf, knowsPeer } from './policy.ts';
import type { SimulatedProxy } from './proxy.ts';
import { recordOf } from './record.ts';
import type { HopResult } from './recorder.ts';
import { decidingFields, type Valued } from './varying.ts';
import { type Arrival, arrive } from './wire.ts';

/** Stands for other callers than the one whose address a call has. */
const OTHER_SOURCE = { ip: '192.0.2.213', port: 0 };
/** Stand for the client's certificate. */
const CERTIFICATES = ['0', 'f'].map((digit) => ({ uriSans: [], dnsSans: [], subject: `CN=client-${digit}`, sha256: digit.repeat(64) }));

export function http(context: HopContext, config: HttpConnectionManager): HopResult {
  const { proxy, call, options, recorder, chain, observe } = context;
  const { tls, http: sent } = call.payload;
  if (tls && !context.terminated) return recorder.closed('DPE', 'the bytes are TLS, not HTTP');
  const manager = proxy.manager(config);
  if (manager instanceof Error) return recorder.undecided(manager.message);
  const otherCall = options.representative ? { ...call, source: OTHER_SOURCE } : call;
  const hop: HttpHop = { ...context, manager, otherCall };
  if (!sent || tls) return answered(hop, undefined, undefined, { status: 400, body: '', details: 'http1.codec_error', flag: 'DPE' });
  const arrived = arrival(hop, 0);
  const refused = refusedByCodec(hop, arrived);
  if (refused) return refused;
  const request: Valued = { head: arrived as Head, other: arrival(hop, 1) as Head };
  const { head } = request;
  const refusal = prepare(hop, head, 0);
  prepare(hop, request.other, 1);
  if (refusal) {
    recorder.step('route', '', whyRefused(refusal, head));
    return answered(hop, head, undefined, refusal);
  }
  const table = routeTable(proxy, config);
  const virtualHost = table?.virtualHost(head.authority);
  const route = virtualHost && table?.match(head);
  observe({ table, virtualHost, route });
  if (!table || !virtualHost) {
    const why = `has no virtual host for ${head.authority || '(no host)'}`;
    if (table) recorder.step('virtual-host', '', `route configuration ${table.name} ${why}`, originsOf(chain.config.metadata));
    // Policies come before the router, which then answers 404; of calls that stand for others, some are refused and some are not found.
    if (!options.representative) return runFilters(hop, request, undefined, table);
    return answered(hop, head, undefined, { status: 404, body: '', details: 'route_not_found', flag: 'NR' });
  }
  recorder.step('virtual-host', virtualHost.name, servedText(virtualHost.name, head.authority), originsOf(virtualHost.config.metadata));
  const undecided = chosenByChance(hop, table, route, request);
  if (undecided) return undecided;
  return runFilters(hop, request, route, table);
}

function servedText(name: string, authority: string): string {
  if (name === BLOCK_ALL) return `${authority || 'no host'} is declared nowhere that this proxy sees, which REGISTRY_ONLY refuses`;
  if (name === ALLOW_ANY) return `${authority || 'no host'} is declared nowhere that this proxy sees, which ALLOW_ANY lets pass`;
  return `serves ${authority}`;
}

/** Tells where the route that was chosen is not the one that every such request takes, and where there is none. */
function chosenByChance(
  { recorder, options }: HttpHop,
  table: RouteTable,
  route: CompiledRoute | undefined,
  request: Valued,
): HopResult | undefined {
  const { head } = request;
  const virtualHost = table.virtualHost(head.authority);
  if (!virtualHost) return undefined;
  const origins = originsOf(virtualHost.config.metadata);
  const deciding = decidingFields(virtualHost, route, request);
  if (deciding.length > 0 || route !== table.match(request.other)) {
    const what = `the route depends on the value of ${deciding.join(' and ') || 'a field'}, which is not the same for every request`;
    if (options.representative) return recorder.undecided(`virtual host ${virtualHost.name}: ${what}`);
    recorder.step('virtual-host', virtualHost.name, `${what}: another one may take another route`, origins);
  }
  if (!route) recorder.step('route', '', `no route of virtual host ${virtualHost.name} matches ${head.method} ${head.path}`, origins);
  return undefined;
}

function arrival(hop: HttpHop, working: 0 | 1): Arrival {
  const { call, manager } = hop;
  const request = call.payload.http!;
  const headers = working === 0 ? request.headers : (request.varied ?? request.headers);
  const { random } = WORKINGS[working];
  return arrive(request, headers, { options: manager.options, tls: routeTls(tlsOf(hop, working)), random });
}

function tlsOf({ terminated, proxy }: HopContext, working: 0 | 1) {
  if (terminated === undefined) return undefined;
  const { certificate, identity } = terminated;
  const shown = identity !== undefined || certificate === 'shown' || (certificate === 'possible' && working === 1);
  if (!shown) return { peer: undefined };
  if (identity === undefined) return { peer: CERTIFICATES[working] };
  const own = CERTIFICATES[working]!;
  const local = proxy.identity === undefined ? undefined : { ...own, uriSans: [proxy.identity] };
  return { peer: { ...own, subject: '', uriSans: [identity] }, local };
}

function refusedByCodec(hop: HttpHop, arrived: Arrival): HopResult | undefined {
  const { recorder, call } = hop;
  const { path = '', method = '' } = call.payload.http ?? {};
  if (arrived === 'unnamed') {
    recorder.step('route', '', 'the request names no host');
    return answered(hop, undefined, undefined, { status: 400, body: '', details: 'missing_host_header' });
  }
  if (arrived instanceof CodecError) {
    recorder.step('route', '', `the request is refused: ${arrived.reason} (${method} ${path})`);
    return answered(hop, undefined, undefined, { status: arrived.status, body: '', details: arrived.details, flag: 'DPE' });
  }
  if (!('reset' in arrived)) return undefined;
  recorder.step('route', '', `the request is refused: ${arrived.reset}`);
  return recorder.closed(arrived.flag, arrived.reset);
}

function prepare(hop: HttpHop, head: Head, working: 0 | 1): LocalReply | undefined {
  const { manager, call, otherCall } = hop;
  const { source, destination } = working === 0 ? call : otherCall;
  const connection = { remoteAddress: source, localAddress: destination, tls: tlsOf(hop, working) };
  return prepareRequest(head, connection, manager.options, () => WORKINGS[working].random);
}

function whyRefused({ headers }: LocalReply, { path }: Head): string {
  const location = headers?.get('location');
  return location === undefined ? `the path ${path} is refused` : `redirects to the normalised path ${location}`;
}

function runFilters(hop: HttpHop, request: Valued, first: CompiledRoute | undefined, table: RouteTable | undefined): HopResult {
  const { manager, options, recorder, proxy } = hop;
  let route = first;
  const { head } = request;
  const marks: Mark[] = [];
  const client = connectionOf(hop, head.client);
  const open = options.representative ? { hosts: route?.virtualHost.config.domains, peer: !knowsPeer(hop) } : undefined;
  const now = options.now ?? Number.NaN;
  let metadata: DynamicMetadata | undefined;
  let injected: Destined | undefined;
  for (const each of manager.unsimulated)
    recorder.step('policy', '', `filter ${each} is not simulated: it may answer, or change the request`);
  for (const filter of manager.filters) {
    const {
      answer,
      mark,
      metadata: noted,
      injects,
      edit,
      undecided,
      reroutes,
    } = filter.judge({ head, route, client, now, metadata, open });
    if (undecided) {
      if (undecided.origins) recorder.step('policy', '', undecided.why, undecided.origins);
      return recorder.undecided(undecided.why);
    }
    edit?.(head);
    edit?.(request.other);
    if (reroutes && table) {
      const next = table.match(head);
      if (next !== route) {
        recorder.step('route', next?.name || '(unnamed)', 'chosen again by what the token says', next?.origins);
        hop.observe({ table, virtualHost: table.virtualHost(head.authority), route: next });
        route = next;
        const undecided = chosenByChance(hop, table, route, request);
        if (undecided) return undecided;
      }
    }
    for (const text of injects?.texts ?? []) recorder.step('policy', '', text, route?.origins);
    if (injects) injected = injects;
    const lacking = injects?.values.find(({ name }) => isEmptyValue(proxy.secret(credentialValueSecret(name))));
    if (lacking && !options.representative) {
      recorder.step('policy', '', `no Secret gives the value of credential ${lacking.name}`, route?.origins);
      return answered(hop, head, route, lacking.lacking, undefined, marks);
    }
    if (noted) metadata = withMetadata(metadata, noted);
    if (mark) marks.push(mark);
    const { share } = answer?.chance ?? { share: 0 };
    if (answer && share > 0 && options.weigh([1 - share, share]) === 1) {
      recorder.cluster = namedCluster(hop, head, route);
      if (answer.origins) recorder.step('policy', '', answer.because(), answer.origins);
      else if (!filter.router || route) recorder.step('route', route?.name || '(unnamed)', answer.because(), route?.origins);
      const why = filter.router ? refusalBy(route) : answer.always ? undefined : `${answer.because()}, which other calls may pass`;
      if (options.representative && why !== undefined)
        return recorder.undecided(filter.router || answer.origins ? why : `route ${route?.name || '(unnamed)'}: ${why}`);
      return answered(hop, head, route, answer.reply, undefined, marks);
    }
    if (filter.router && route?.action.kind === 'forward') {
      const faults = options.policies ? faultsOf(manager, { head, route, client, now, metadata }) : [];
      return forwardRequest({ ...hop, injected }, request, route, route.action, filter.router, faults, marks, (reply, choice) =>
        answered(hop, head, route, reply, choice, marks),
      );
    }
  }
  return recorder.undecided(`${proxy.name}: the connection manager has no router`);
}

/** Why a route answers that could not be made as it was meant: what it was meant to be is not known here. */
function refusalBy(route: CompiledRoute | undefined): string | undefined {
  if (route?.action.kind === 'non-forwarding') return 'a non-forwarding action answers nothing';
  return route?.action.kind === 'direct-response' ? route.action.refusal : undefined;
}

/** The proxy answers by itself. */
function answered(
  hop: HttpHop,
  head: Head | undefined,
  route: CompiledRoute | undefined,
  reply: LocalReply,
  choice?: ClusterChoice | undefined,
  marks: readonly Mark[] = [],
): HopResult {
  const { recorder, call } = hop;
  const record = head && { ...recordOf(route, head, call, WORKINGS[0].at), upstreamCluster: recorder.cluster };
  const own = record ? replyHeaders(reply, route, choice, record) : reply.headers;
  // What the codec refuses is no request, whatever it says; one without a host is.
  const asked = head?.headers ?? (reply.flag === 'DPE' ? undefined : call.payload.http?.headers);
  const { status, headers } = localReply(asked ?? NO_HEADERS, reply, own);
  const given = new Set([...(own ?? NO_HEADERS)].map(([name]) => name));
  recorder.changes.push((response) => {
    for (const [name, value] of headers) {
      if (given.has(name)) response.configured(() => response.append(name, value));
      else response.append(name, value);
    }
  });
  passBack(hop, head, route, marks);
  const location =
    reply.details === 'direct_response' || reply.details === 'path_normalization_failed' ? headers.get('location') : undefined;
  return recorder.reply(status, reply.flag ?? '', reply.details, location);
}

/** Logs name the cluster of the route, also where the proxy answers in its place. */
function namedCluster({ proxy, options }: HttpHop, head: Head, route: CompiledRoute | undefined): string {
  const action = route?.action;
  if (action?.kind !== 'forward') return '';
  const { clusters } = action;
  const chosen = clusters.length > 1 ? clusters[options.weigh(clusters.map(({ weight }) => weight))] : (clusters[0] ?? action.choose(head));
  return chosen && proxy.cluster(chosen.cluster) ? chosen.cluster : '';
}

/** The route configuration by RDS or inline. */
export function routeTable(proxy: SimulatedProxy, config: HttpConnectionManager): RouteTable | undefined {
  const { routeSpecifier } = config;
  if (routeSpecifier.case === 'routeConfig') return proxy.compileRoutes(routeSpecifier.value);
  return routeSpecifier.case === 'rds' ? proxy.routes(routeSpecifier.value.routeConfigName) : undefined;
}
