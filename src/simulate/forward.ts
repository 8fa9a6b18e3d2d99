/** What a cluster makes of a call that is sent to it: a host, TLS, and the next hop. */
import { type Authority, splitAuthority } from '../http/authority.ts';
import type { Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { originsOf, refusalOf } from '../xds/match/metadata.ts';
import { BLACK_HOLE_CLUSTER } from '../xds/names.ts';
import type { Call, Payload } from './call.ts';
import { type NamedTarget, throughTransport, type UpstreamHost, upstreamsOf } from './cluster.ts';
import { notAsked } from './forward-proxy.ts';
import type { HopContext } from './hop-options.ts';
import { clusterPolicies } from './policies.ts';
import { ASSUMED, type HopResult } from './recorder.ts';
import type { Response } from './response.ts';
import { tlsText } from './security.ts';
import type { Step } from './trace.ts';

const ENDS_HERE = 'leads nowhere: what nothing declares ends here (REGISTRY_ONLY), and what is refused';

/** How a call ends that a cluster can't take, and what is done before and after one that it can. */
export interface Endings {
  readonly origins: Step['origins'];
  noCluster(): HopResult;
  noHost(why: string, flag: 'UH' | 'DF'): HopResult;
  failed(why: string): HopResult;
  /** What goes to the host: where it is not simply what came. */
  send?(cluster: Cluster, host: UpstreamHost): { readonly payload: Payload } | HopResult;
  /** What the hosts of the cluster, which are forward proxies then, are asked for. */
  readonly tunnel?: Authority;
  /** Does what the route asks of a response of this host. */
  back?(response: Response, host: UpstreamHost): void;
}

/** Sends a call to a cluster. `target`: the host and port that the call itself names. */
export function forward(hop: HopContext, name: string, call: Call, target: NamedTarget | undefined, endings: Endings): HopResult {
  const { proxy, options, recorder } = hop;
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
    recorder.step('cluster', name, name === BLACK_HOLE_CLUSTER ? ENDS_HERE : upstreams.why, origins);
    return endings.noHost(upstreams.why, upstreams.flag ?? 'UH');
  }
  if (upstreams.kind === 'unknown') return recorder.undecided(upstreams.why);
  const host = options.pick(upstreams.hosts);
  const unasked = host.through === undefined ? undefined : notAsked(proxy, host.through);
  if (unasked) {
    if (unasked.refused && options.representative) return recorder.undecided(unasked.why);
    recorder.step('cluster', name, unasked.why, origins);
    return endings.failed(unasked.why);
  }
  const outgoing = endings.send?.(cluster, host) ?? { payload: call.payload };
  if ('hop' in outgoing) return outgoing;
  const authority = recorder.protocol === 'http' ? outgoing.payload.http?.authority : undefined;
  const { payload, missingSecret, identityUnknown, originates } = throughTransport(proxy, cluster, host, outgoing.payload, authority);
  if (identityUnknown !== undefined) return recorder.undecided(identityUnknown);
  if (missingSecret !== undefined && options.representative) recorder.step('cluster', missingSecret, ASSUMED, origins);
  else if (missingSecret !== undefined) {
    recorder.step('cluster', name, `secret ${missingSecret}, which its TLS needs, is missing`, origins);
    return endings.failed(`secret ${missingSecret} is missing`);
  }
  recorder.step('cluster', name, originates ? `originates TLS (${tlsText(originates)})` : 'connects as it is', origins);
  const limits = options.policies ? clusterPolicies(proxy, cluster) : undefined;
  if (limits !== undefined) recorder.step('policy', '', limits, origins);
  const { back } = endings;
  if (back) recorder.changes.push((response) => back(response, host));
  if (host.through !== undefined) recorder.step('endpoint', host.through, 'a forward proxy, is asked to connect (CONNECT)', origins);
  recorder.step(
    'endpoint',
    host.endpoint ? `${host.endpoint.ip}:${host.endpoint.port}` : `${host.host}:${host.port}`,
    upstreams.hosts.length > 1 ? `one of ${upstreams.hosts.length}` : 'the only one',
  );
  const { tunnel } = endings;
  if (tunnel) {
    const through = declaredName(name) ?? `${host.host || host.endpoint?.ip}:${host.port}`;
    recorder.step(
      'endpoint',
      `${tunnel.host}:${tunnel.port}`,
      `what the forward proxy ${through} is asked to connect to (CONNECT)`,
      endings.origins,
    );
    // TLS to the proxy is none to the host: within the tunnel the call is as it came.
    return recorder.goOn({
      endpoint: undefined,
      host: tunnel.host,
      port: tunnel.port,
      payload: call.payload,
      dialled: false,
      anyAddress: false,
      originates: undefined,
      through,
      ...(host.endpoint && { throughEndpoint: host.endpoint }),
    });
  }
  return recorder.goOn({
    endpoint: host.endpoint,
    host: host.host || splitAuthority(authority ?? call.payload.tls?.serverName ?? '', 0).host,
    port: host.port,
    payload,
    dialled: upstreams.dialled === true,
    anyAddress: recorder.anyAddress && upstreams.dialled === true,
    originates,
    ...(host.through !== undefined && { through: host.through }),
  });
}

/** The host and port of a service that a cluster is for, `host:port`, as its name says (Istio's form); undefined for others. */
function declaredName(cluster: string): string | undefined {
  const [, port, host] = /^outbound\|(\d+)\|[^|]*\|(.+)$/.exec(cluster) ?? [];
  return host === undefined ? undefined : `${host}:${port}`;
}
