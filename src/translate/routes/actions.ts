/** What a rule of a VirtualService does with a request: redirect, direct response, or forwarding. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Destination } from '../../api/common.ts';
import type { HttpDirectResponse, HttpRedirect, HttpRoute, HttpRouteDestination } from '../../api/virtual-service.ts';
import {
  DirectResponseActionSchema,
  RedirectAction_RedirectResponseCode,
  RedirectActionSchema,
  type Route,
  type RouteAction,
  type RouteAction_RequestMirrorPolicy,
  RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { MESH_GATEWAY } from '../names.ts';
import { toDuration } from '../proto.ts';
import type { RouteContext } from './context.ts';
import { destinationCluster } from './destination.ts';
import { toFractionalPercent } from './fault.ts';
import { consistentHash, hashPolicy } from './hash-policy.ts';
import { type HeaderChanges, headerChanges } from './headers.ts';
import { retryPolicy } from './retry.ts';

type Action = Route['action'];

const { MOVED_PERMANENTLY, FOUND, SEE_OTHER, TEMPORARY_REDIRECT, PERMANENT_REDIRECT } = RedirectAction_RedirectResponseCode;
const REDIRECT_CODES: Readonly<Record<number, RedirectAction_RedirectResponseCode>> = {
  301: MOVED_PERMANENTLY,
  302: FOUND,
  303: SEE_OTHER,
  307: TEMPORARY_REDIRECT,
  308: PERMANENT_REDIRECT,
};

export function redirectAction(redirect: HttpRedirect, listenPort: number, tls: boolean): Action {
  const scheme = redirect.scheme || (tls ? 'https' : 'http');
  // The route serves one port only, so that "the request's port" is known here.
  const wanted = redirect.derivePort === 'FROM_REQUEST_PORT' ? listenPort : (redirect.port ?? 0);
  const isDefault = (wanted === 80 && scheme === 'http') || (wanted === 443 && scheme === 'https');
  const message = create(RedirectActionSchema, {
    hostRedirect: redirect.authority ?? '',
    portRedirect: isDefault ? 0 : wanted,
    responseCode: REDIRECT_CODES[redirect.redirectCode] ?? MOVED_PERMANENTLY,
    pathRewriteSpecifier: redirect.prefixRewrite
      ? { case: 'prefixRewrite', value: redirect.prefixRewrite }
      : { case: 'pathRedirect', value: redirect.uri ?? '' },
  });
  if (redirect.scheme) message.schemeRewriteSpecifier = { case: 'schemeRedirect', value: redirect.scheme };
  return { case: 'redirect', value: message };
}

export function directResponseAction(response: HttpDirectResponse): Action {
  const message = create(DirectResponseActionSchema, { status: response.status });
  const { string, bytes } = response.body ?? {};
  if (string !== undefined)
    message.body = create(DirectResponseActionSchema, { body: { specifier: { case: 'inlineString', value: string } } }).body;
  else if (bytes !== undefined) {
    const value = Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0));
    message.body = create(DirectResponseActionSchema, { body: { specifier: { case: 'inlineBytes', value } } }).body;
  }
  return { case: 'directResponse', value: message };
}

interface Forwarding {
  readonly action: RouteAction;
  /** Header operations of a single destination, which stand beside the route's own. */
  readonly destinationChanges: HeaderChanges | undefined;
}

/** `authority` is the Host that the rule's header operations set, or empty. */
export function forwardAction(context: RouteContext, rule: HttpRoute, authority: string): Forwarding {
  const timeout = toDuration(rule.timeout ?? 0);
  const action = create(RouteActionSchema, { timeout, maxGrpcTimeout: timeout });
  applyRewrite(action, rule);
  const host = rule.rewrite?.authority || authority;
  if (host) action.hostRewriteSpecifier = { case: 'hostRewriteLiteral', value: host };
  action.requestMirrorPolicies = mirrorPolicies(context, rule);

  const single = rule.route.length === 1 ? rule.route[0] : undefined;
  const hashes = rule.route.filter((each) => single || each.weight > 0).map((each) => hashOf(context, each.destination));
  action.hashPolicy = hashes.flatMap((hash) => hashPolicy(hash) ?? []);
  action.retryPolicy = retryPolicy(rule.retries ?? defaultRetry(context), single !== undefined && hashes[0] !== undefined);
  if (!single) {
    action.clusterSpecifier = {
      case: 'weightedClusters',
      value: create(WeightedClusterSchema, { clusters: weightedClusters(context, rule) }),
    };
    return { action, destinationChanges: undefined };
  }
  action.clusterSpecifier = { case: 'cluster', value: clusterOf(context, single.destination) };
  const destinationChanges = headerChanges(single.headers);
  if (destinationChanges.authority && !host)
    action.hostRewriteSpecifier = { case: 'hostRewriteLiteral', value: destinationChanges.authority };
  return { action, destinationChanges };
}

function applyRewrite(action: RouteAction, { rewrite }: HttpRoute): void {
  if (!rewrite) return;
  if (rewrite.uriRegexRewrite) {
    const { match, rewrite: substitution } = rewrite.uriRegexRewrite;
    action.regexRewrite = create(RouteActionSchema, { regexRewrite: { pattern: { regex: match }, substitution } }).regexRewrite;
  } else if (rewrite.uri) action.prefixRewrite = rewrite.uri;
}

/** A weight of 0 takes no request. */
function weightedClusters(context: RouteContext, rule: HttpRoute): MessageInitShape<typeof WeightedCluster_ClusterWeightSchema>[] {
  return rule.route.filter((each) => each.weight > 0).map((each) => clusterWeight(context, each));
}

function clusterWeight(context: RouteContext, each: HttpRouteDestination): MessageInitShape<typeof WeightedCluster_ClusterWeightSchema> {
  const { authority, ...changes } = headerChanges(each.headers);
  return create(WeightedCluster_ClusterWeightSchema, {
    name: clusterOf(context, each.destination),
    weight: each.weight,
    ...changes,
    ...(authority && { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: authority } as const }),
  });
}

function mirrorPolicies(context: RouteContext, rule: HttpRoute): RouteAction_RequestMirrorPolicy[] {
  const all = rule.mirrors.map(({ destination, percentage }) => ({ destination, percentage }));
  if (rule.mirror) all.unshift({ destination: rule.mirror, percentage: rule.mirrorPercentage });
  return all
    .filter(({ percentage }) => percentage === undefined || percentage.value > 0)
    .map(({ destination, percentage }) =>
      create(RouteAction_RequestMirrorPolicySchema, {
        cluster: clusterOf(context, destination),
        runtimeFraction: { defaultValue: toFractionalPercent(percentage?.value ?? 100) },
        traceSampled: false,
        // The copy keeps the Host of the original.
        disableShadowHostSuffixAppend: true,
      }),
    );
}

/** A sidecar's routes know the services that have the port of their listener, and no other: without a port of its own a destination is on that one. */
function clusterOf({ destinations, gateway, port }: RouteContext, destination: Destination): string {
  const service = destinations.serviceFor(destination.host);
  const known = gateway !== MESH_GATEWAY || service?.ports.some(({ number }) => number === port);
  return destinationCluster(destination, known ? service : undefined, port);
}

function hashOf({ destinations }: RouteContext, destination: Destination) {
  return consistentHash(destinations, destination.host, destination.subset, destination.port?.number);
}

/** The mesh's own default for routes that say nothing of retries; undefined for Istio's. */
export function defaultRetry({ config }: Pick<RouteContext, 'config'>): HttpRoute['retries'] {
  return config.defaultHttpRetryPolicy as HttpRoute['retries'];
}
