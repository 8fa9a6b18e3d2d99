/** The route action: clusters, timeouts, rewrites, retries, mirrors. */
import { SallyportError } from '../../lib/errors.ts';
import { RoutingPriority } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type RetryPolicy as RetryPolicyConfig,
  RouteAction_ClusterNotFoundResponseCode,
  type RouteAction_RequestMirrorPolicy,
  type RouteAction as RouteActionConfig,
  type WeightedCluster,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import type { FormatContext } from '../format/operator.ts';
import { compileRuntimeFraction, shareOf } from './fraction.ts';
import { compileHashPolicy } from './hash.ts';
import type { ClusterChoice, ForwardAction, MirrorPolicy, RouteRequest } from './model.ts';
import { compileMutations } from './mutation.ts';
import type { PathMatcher } from './path.ts';
import { compileRetryPolicy } from './retry.ts';
import { compileHostRewrite, compilePathRewrite } from './rewrite.ts';

/** Envoy's default of RouteAction.timeout. */
const DEFAULT_TIMEOUT_MS = 15_000;

export interface ForwardDefaults {
  readonly retryPolicy: RetryPolicyConfig | undefined;
  readonly mirrors: readonly RouteAction_RequestMirrorPolicy[];
  readonly context: FormatContext;
}

/** Throws `xds-unsupported` and `xds-invalid`. */
export function compileForward(config: RouteActionConfig, matcher: PathMatcher, defaults: ForwardDefaults): ForwardAction {
  refuse(config);
  const clusters = compileClusters(config, defaults.context);
  const rewrite = compilePathRewrite(matcher, config.prefixRewrite, config.regexRewrite);
  const retry = config.retryPolicy ?? defaults.retryPolicy;
  const stream = config.maxStreamDuration;
  const mirrors = config.requestMirrorPolicies.length > 0 ? config.requestMirrorPolicies : defaults.mirrors;
  return {
    kind: 'forward',
    ...clusters,
    clusterNotFoundStatus: NOT_FOUND_STATUS[config.clusterNotFoundResponseCode],
    timeoutMs: stream ? 0 : durationMs(config.timeout, DEFAULT_TIMEOUT_MS),
    idleTimeoutMs: durationMs(config.idleTimeout, undefined),
    streamDuration: stream && {
      maxMs: durationMs(stream.maxStreamDuration, undefined),
      grpcMaxMs: durationMs(stream.grpcTimeoutHeaderMax, undefined),
      grpcOffsetMs: durationMs(stream.grpcTimeoutHeaderOffset, 0),
    },
    maxGrpcTimeoutMs: stream ? undefined : durationMs(config.maxGrpcTimeout, undefined),
    grpcTimeoutOffsetMs: durationMs(config.grpcTimeoutOffset, 0),
    retry: retry && compileRetryPolicy(retry),
    hashPolicies: config.hashPolicy.map(compileHashPolicy).filter((policy) => policy !== undefined),
    mirrors: mirrors.map(compileMirror),
    rewritePath: rewrite ?? ((path) => path),
    rewritesPath: rewrite !== undefined,
    hostRewrite: compileHostRewrite(config),
    appendXForwardedHost: config.appendXForwardedHost,
    upgrades: new Map(
      config.upgradeConfigs.map(({ upgradeType, enabled, connectConfig }) => [
        upgradeType.toLowerCase(),
        { enabled: enabled ?? true, terminateConnect: connectConfig !== undefined },
      ]),
    ),
    priority: config.priority === RoutingPriority.HIGH ? 'high' : 'default',
    metadataMatch: config.metadataMatch,
  };
}

const NOT_FOUND_STATUS: Readonly<Record<RouteAction_ClusterNotFoundResponseCode, number>> = {
  [RouteAction_ClusterNotFoundResponseCode.SERVICE_UNAVAILABLE]: 503,
  [RouteAction_ClusterNotFoundResponseCode.NOT_FOUND]: 404,
  [RouteAction_ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR]: 500,
};

function refuse(config: RouteActionConfig): void {
  const unsupported = [
    config.pathRewritePolicy && `path_rewrite_policy "${config.pathRewritePolicy.name}"`,
    config.retryPolicyTypedConfig && 'retry_policy_typed_config',
    config.internalRedirectPolicy && 'internal_redirect_policy',
    (config.hedgePolicy?.hedgeOnPerTryTimeout || undefined) && 'hedge_policy',
    config.cors && 'cors (use typed_per_filter_config)',
  ].find((field) => field);
  if (unsupported) throw new SallyportError('xds-unsupported', `route action: ${unsupported} is not supported`);
}

type Clusters = Pick<ForwardAction, 'choose' | 'clusters' | 'clusterHeader'>;

function compileClusters(config: RouteActionConfig, context: FormatContext): Clusters {
  const { clusterSpecifier: specifier } = config;
  switch (specifier.case) {
    case 'cluster': {
      const choice = plainChoice(specifier.value);
      return { choose: () => choice, clusters: [choice], clusterHeader: undefined };
    }
    case 'clusterHeader':
      return { ...byHeader(specifier.value), clusters: [] };
    case 'weightedClusters':
      return compileWeighted(specifier.value, context);
    default:
      throw new SallyportError(
        specifier.case ? 'xds-unsupported' : 'xds-invalid',
        specifier.case ? `route action: ${specifier.case} is not supported` : 'route action without a cluster',
      );
  }
}

function plainChoice(cluster: string): ClusterChoice {
  return {
    cluster,
    weight: 1,
    totalWeight: 1,
    requestMutations: undefined,
    responseMutations: undefined,
    hostRewriteLiteral: undefined,
    metadataMatch: undefined,
    filterConfigs: undefined,
  };
}

/** The request names its cluster; of the choices made for clients' names only so many are kept. */
function byHeader(header: string): Pick<ForwardAction, 'choose' | 'clusterHeader'> {
  const name = header.toLowerCase();
  return {
    clusterHeader: name,
    choose: ({ headers, authority }) => {
      const cluster = name === ':authority' || name === 'host' ? authority : headers.get(name);
      return cluster ? plainChoice(cluster) : undefined;
    },
  };
}

function compileWeighted(config: WeightedCluster, context: FormatContext): Clusters {
  const sum = config.clusters.reduce((total, { weight }) => total + (weight ?? 0), 0);
  const totalWeight = config.totalWeight || sum;
  if (sum === 0 || totalWeight < sum) {
    throw new SallyportError('xds-invalid', `weighted_clusters: the weights add up to ${sum}, the total is ${totalWeight}`);
  }
  const choices = config.clusters.map((cluster): ClusterChoice => {
    if (cluster.clusterHeader) throw new SallyportError('xds-unsupported', 'weighted_clusters: cluster_header is not supported');
    return {
      cluster: cluster.name,
      weight: cluster.weight ?? 0,
      totalWeight,
      requestMutations: compileMutations(cluster.requestHeadersToAdd, cluster.requestHeadersToRemove, context),
      responseMutations: compileMutations(cluster.responseHeadersToAdd, cluster.responseHeadersToRemove, context),
      hostRewriteLiteral:
        cluster.hostRewriteSpecifier.case === 'hostRewriteLiteral' ? cluster.hostRewriteSpecifier.value || undefined : undefined,
      metadataMatch: cluster.metadataMatch,
      filterConfigs: Object.keys(cluster.typedPerFilterConfig).length > 0 ? cluster.typedPerFilterConfig : undefined,
    };
  });
  const { randomValueSpecifier: source } = config;
  const header = source.case === 'headerName' ? source.value.toLowerCase() : undefined;
  return { choose: (request) => pick(choices, totalWeight, randomOf(request, header)), clusters: choices, clusterHeader: undefined };
}

function randomOf(request: RouteRequest, header: string | undefined): number {
  const value = header === undefined ? undefined : request.headers.get(header);
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : request.random;
}

/** The first cluster whose share, laid end to end, holds the number; the last one where the total is more than the sum. */
function pick(choices: readonly ClusterChoice[], totalWeight: number, random: number): ClusterChoice {
  const selected = random % totalWeight;
  let end = 0;
  for (const choice of choices) {
    end += choice.weight;
    if (selected < end) return choice;
  }
  return choices[choices.length - 1]!;
}

function compileMirror(config: RouteAction_RequestMirrorPolicy): MirrorPolicy {
  return {
    cluster: config.cluster,
    clusterHeader: config.clusterHeader.toLowerCase() || undefined,
    share: config.runtimeFraction?.defaultValue ? shareOf(config.runtimeFraction.defaultValue) : 1,
    applies: compileRuntimeFraction(config.runtimeFraction),
    appendShadowSuffix: !config.disableShadowHostSuffixAppend,
  };
}
