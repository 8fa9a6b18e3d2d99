/** What the router makes of a request that it sends on: the data plane's own functions, in its order. */

import { defaultPort, shadowAuthority, splitAuthority } from '../http/authority.ts';
import { bindingReply, hiddenPath, requestBinding } from '../http/binding.ts';
import { exposedReply, strayReply } from '../http/filters/credentials.ts';
import type { RouterSettings } from '../http/filters/filter.ts';
import { finalizeRequest, rewriteToUpstream, streamDurationOf, tellTimeout, timeoutsOf } from '../http/finalize.ts';
import type { FormatRecord } from '../http/format/record.ts';
import type { Head } from '../http/head.ts';
import type { LocalReply } from '../http/local-reply.ts';
import { markMirrored } from '../http/mirror.ts';
import { tellRouting } from '../http/response.ts';
import type { ClusterChoice, CompiledRoute, ForwardAction } from '../http/routes/route.ts';
import type { Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { verifiesServer } from '../xds/match/verified-tls.ts';
import { unbound, unboundText } from './binding.ts';
import type { HttpRequest, Payload } from './call.ts';
import { type UpstreamHost, upstreamsOf, upstreamVersion } from './cluster.ts';
import { forward } from './forward.ts';
import { type HttpHop, type Mark, passBack, WORKINGS } from './http-hop.ts';
import { directionOf } from './manager.ts';
import { type Mirror, mirrorsOf } from './mirrors.ts';
import { routePolicies } from './policies.ts';
import { recordOf } from './record.ts';
import type { HopResult } from './recorder.ts';
import type { Response } from './response.ts';
import { type Valued, varyingFields } from './varying.ts';
import { sentFields } from './wire.ts';

/** How the proxy answers in the route's place. */
type Reply = (reply: LocalReply, choice: ClusterChoice | undefined) => HopResult;

export function forwardRequest(
  hop: HttpHop,
  request: Valued,
  route: CompiledRoute,
  action: ForwardAction,
  router: RouterSettings,
  faults: readonly string[],
  marks: readonly Mark[],
  reply: Reply,
): HopResult {
  const { options, recorder, call } = hop;
  const { head, other } = request;
  const name = route.name || '(unnamed)';
  const choice = action.clusterHeader === undefined ? action.clusters[weighed(hop, action)] : action.choose(head);
  const failed = { body: '', ofRoute: 'forward' } as const;
  const noCluster: LocalReply = { ...failed, status: action.clusterNotFoundStatus, flag: 'NC', details: 'cluster_not_found' };
  if (!choice) return reply({ ...noCluster, details: `the request lacks the header ${action.clusterHeader}` }, undefined);
  const share = choice.weight === choice.totalWeight ? '' : ` (${choice.weight} of ${choice.totalWeight})`;
  recorder.step('route', name, `sends ${head.method} ${head.path} to cluster ${choice.cluster}${share}`, route.origins);
  const refusedByBinding = held(hop, head, route, choice, reply);
  if (refusedByBinding) return refusedByBinding;
  const cluster = hop.injected === undefined ? undefined : hop.proxy.cluster(choice.cluster);
  const stray = cluster && strayReply([hop.injected!], cluster);
  if (stray) {
    recorder.step('policy', '', String(stray.body), route.origins);
    recorder.cluster = choice.cluster;
    return reply(stray, undefined);
  }
  const applies = options.policies ? routePolicies(route, action, faults) : undefined;
  if (applies !== undefined) recorder.step('policy', '', applies, route.origins);
  const chosenBy = action.clusterHeader !== undefined && action.choose(other)?.cluster !== choice.cluster;
  const record = { ...recordOf(route, head, call, WORKINGS[0].at), upstreamCluster: choice.cluster };
  // A router that finds no cluster has changed nothing of the request yet, which a format in the response may read.
  const isThere = hop.proxy.cluster(choice.cluster) !== undefined;
  const refusal = isThere ? finalizeBoth(hop, request, route, action, choice, router, record) : undefined;
  if (refusal) return reply(refusal, undefined);
  if (chosenBy || head.authority !== other.authority || head.path !== other.path || head.method !== other.method) {
    const what = `route ${name}: where it sends a request depends on what is not the same for every request`;
    if (options.representative) return recorder.undecided(what);
    recorder.step('route', name, what, route.origins);
  }
  const target = splitAuthority(head.authority, 0);
  const mirrors = action.mirrors.length > 0 && head.upgrade === '' && sends(hop, choice.cluster, head) ? mirrorsOf(action) : [];
  for (const { cluster, share } of mirrors)
    recorder.step('mirror', cluster ?? '', `gets a copy of ${share}; its answer is dropped`, route.origins);
  const followed = mirrors.length > 0 ? mirrors[(options.follow?.(mirrors.length + 1) ?? 0) - 1] : undefined;
  if (followed) return forwardCopy(hop, request, followed, route);
  for (const one of [head, other]) streamDurationOf(one, action);
  const result = forward(hop, choice.cluster, call, target, {
    origins: route.origins,
    noCluster: () => {
      recorder.cluster = '';
      return reply(noCluster, undefined);
    },
    noHost: (why, flag) => reply({ ...failed, status: 503, flag, details: why }, choice),
    failed: (why) => {
      const refused = reply({ ...failed, status: 503, flag: 'UF', details: why }, choice);
      return { ...refused, hop: { ...refused.hop, flag: 'URX,UF' } };
    },
    send(cluster, host) {
      for (const one of [head, other]) rewriteToUpstream(one, host.hostname ?? '', action, choice);
      return exposed(hop, cluster, host, (refusal) => reply(refusal, choice)) ?? outgoing(hop, cluster, request);
    },
    back(response, host) {
      tellRouting(response, route, router.envoyHeaders ? 0 : undefined, 1);
      changeByRoute(response, route, choice, record, head, host);
    },
  });
  if (result.outcome === undefined) passBack(hop, head, route, marks);
  return result;
}

/** Where the destination is bound, and what the call says of it does not agree. */
function held(hop: HttpHop, head: Head, route: CompiledRoute, choice: ClusterChoice, reply: Reply): HopResult | undefined {
  const { proxy, recorder } = hop;
  const cluster = proxy.cluster(choice.cluster);
  if (!cluster) return undefined;
  const binding = requestBinding(route, cluster.metadata);
  const hidden = hiddenPath(binding, head.path);
  if (hidden) {
    recorder.step('policy', '', String(hidden.body), route.origins);
    recorder.cluster = choice.cluster;
    return reply(hidden, undefined);
  }
  const disagrees = unbound(hop, binding, head.authority, route.virtualHost.config.domains);
  if (!binding || !disagrees) return undefined;
  const text = unboundText(binding, disagrees);
  recorder.step('policy', '', text, route.origins);
  if (binding.mode === 'audit') return undefined;
  if (disagrees.othersMayAgree) return recorder.undecided(`${text}, which other calls may not`);
  recorder.cluster = choice.cluster;
  return reply(bindingReply(disagrees.found), undefined);
}

/** Where credentials would go out in plain, to an address that is not near, or may not be. */
function exposed(
  { injected, recorder }: HttpHop,
  cluster: Cluster,
  { endpoint, host }: UpstreamHost,
  reply: (refusal: LocalReply) => HopResult,
): HopResult | undefined {
  if (injected === undefined || verifiesServer(cluster, injected.host)) return undefined;
  if (!endpoint && !injected.policy)
    return recorder.undecided(`credentials go out in plain to addresses near alone, and where ${host} leads is not known`);
  const refusal = exposedReply([injected], cluster, endpoint?.ip ?? host);
  return refusal && reply(refusal);
}

/** Works out both heads; what retries change is a part of what varies for calls that stand for others. */
function finalizeBoth(
  { manager, listener, options, otherCall }: HttpHop,
  { head, other }: Valued,
  route: CompiledRoute,
  action: ForwardAction,
  choice: ClusterChoice,
  { envoyHeaders }: RouterSettings,
  record: FormatRecord,
): LocalReply | undefined {
  const sender = { options: manager.options, deps: { direction: directionOf(listener) } };
  const refusal = finalizeRequest(head, route, action, choice, timeoutsOf(head, action), record, envoyHeaders, sender);
  const otherRecord = { ...recordOf(route, other, otherCall, WORKINGS[1].at), upstreamCluster: choice.cluster };
  const timeouts = timeoutsOf(other, action);
  finalizeRequest(other, route, action, choice, timeouts, otherRecord, envoyHeaders, sender);
  if (!options.representative || !action.retry || action.retry.retries === 0) return refusal;
  if (route.includeRequestAttemptCount) other.headers.set('x-envoy-attempt-count', '2');
  if (envoyHeaders) tellTimeout(other.headers, timeouts, 1);
  return refusal;
}

function changeByRoute(
  response: Response,
  route: CompiledRoute,
  choice: ClusterChoice,
  record: FormatRecord,
  { method, path, authority }: Head,
  { endpoint, host }: UpstreamHost,
): void {
  const upstreamHost = endpoint && { address: endpoint, text: `${endpoint.ip}:${endpoint.port}`, hostname: host };
  const sent = { ...record, method, path, authority, upstreamHost };
  response.mutate(choice.responseMutations, sent);
  response.mutate(route.responseMutations, sent);
}

function outgoing({ proxy, call, recorder }: HttpHop, cluster: Cluster, request: Valued): { payload: Payload } | HopResult {
  const http = requestTo(request, upstreamVersion(proxy, cluster, call.payload.http!.version), request.head.authority);
  return http
    ? { payload: { tls: undefined, http } }
    : recorder.undecided(`an upgrade to ${request.head.upgrade} over HTTP/2 is not simulated`);
}

/** As it goes out; undefined for an upgrade over HTTP/2. */
function requestTo({ head, other }: Valued, version: HttpRequest['version'], authority: string): HttpRequest | undefined {
  const headers = sentFields(head, version);
  const varied = sentFields(other, version);
  if (!headers || !varied) return undefined;
  const { method, path, scheme } = head;
  const request = { method, authority, path, headers, version, scheme };
  return varyingFields(headers, varied).length > 0 ? { ...request, varied } : request;
}

/** Whether a cluster has somewhere to send a call to: only then copies of it are made. */
function sends({ proxy, call }: HttpHop, name: string, head: Head): boolean {
  const cluster = proxy.cluster(name);
  const target = splitAuthority(head.authority, 0);
  return cluster !== undefined && upstreamsOf(proxy, cluster, call.destination, target).kind === 'hosts';
}

function forwardCopy(hop: HttpHop, { head, other }: Valued, mirror: Mirror, { origins }: CompiledRoute): HopResult {
  const { recorder, proxy, call, options } = hop;
  recorder.copy = true;
  const name = mirror.cluster ?? head.headers.get(mirror.clusterHeader!) ?? '';
  const authority = mirror.shadows ? shadowAuthority(head.authority) : head.authority;
  const [own = ''] = proxy.addresses;
  markMirrored(head.headers, own);
  markMirrored(other.headers, options.representative ? '192.0.2.214' : own);
  const dropped = (why: string) => recorder.closed('', `the copy is not sent: ${why}`);
  return forward(hop, name, call, splitAuthority(authority, defaultPort(head.scheme)), {
    origins,
    noCluster: () => dropped(`cluster ${name} does not exist`),
    noHost: dropped,
    failed: dropped,
    send(cluster) {
      const http = requestTo({ head, other }, upstreamVersion(proxy, cluster, call.payload.http!.version), authority);
      return http ? { payload: { tls: undefined, http } } : recorder.undecided('a copy of an upgrade is not simulated');
    },
  });
}

function weighed({ options }: HttpHop, { clusters }: ForwardAction): number {
  return clusters.length > 1 ? options.weigh(clusters.map(({ weight }) => weight)) : 0;
}
