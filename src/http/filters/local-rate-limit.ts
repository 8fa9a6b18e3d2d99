/** Lets so many requests through in a time, and answers the others itself (`envoy.filters.http.local_ratelimit`). */
import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { formatDuration } from '../../lib/duration.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { VhRateLimitsOptions } from '../../xds/gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js';
import {
  type LocalRateLimit,
  LocalRateLimitSchema,
} from '../../xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import type { TokenBucket as TokenBucketConfig } from '../../xds/gen/envoy/type/v3/token_bucket_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { unsupported } from '../../xds/unpack.ts';
import { HeaderMap } from '../header-map.ts';
import { LocalDescriptors, type MakeBucket } from '../rate-limits/local-descriptors.ts';
import {
  compilePolicies,
  describe,
  type OfHost,
  type RateLimitContext,
  type RateLimitPolicy,
  RoutePolicies,
} from '../rate-limits/policy.ts';
import type { FilterConfigs } from '../routes/filter-config.ts';
import { compileFraction } from '../routes/fraction.ts';
import type { CompiledRoute, HeaderMutations } from '../routes/model.ts';
import { compileMutations } from '../routes/mutation.ts';
import {
  type FilterStatus,
  type FilterStream,
  type HttpFilter,
  type JudgedRequest,
  type Judgement,
  PASS,
  type TokenBucket,
} from './filter.ts';

interface Limit {
  /** Undefined where descriptors alone have buckets. */
  readonly bucket: TokenBucket | undefined;
  readonly descriptors: Described | undefined;
  /** Whether requests take of `bucket` as well that have taken of descriptors' buckets. */
  readonly always: boolean;
  readonly enabled: (random: number) => boolean;
  readonly enforced: (random: number) => boolean;
  readonly status: number;
  readonly grpcStatus: number | undefined;
  readonly onResponse: HeaderMutations | undefined;
  /** Of requests over the limit that go on all the same. */
  readonly onRequest: HeaderMutations | undefined;
}

/** Limits by what requests are. */
interface Described {
  readonly buckets: LocalDescriptors;
  /** Which descriptors a request has. */
  policiesOf(route: CompiledRoute | undefined): readonly RateLimitPolicy[];
}

const TOO_MANY = 429;
/** As in Envoy. */
const LEAST_INTERVAL_MS = 50;
const RESOURCE_EXHAUSTED = 8;
const NO_CONTEXT = { hostname: '', environment: {} };

export class LocalRateLimitFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #context: RateLimitContext;
  /** Undefined for one that limits nothing but on routes that say so. */
  readonly #default: Limit | undefined;
  readonly #byConfig = new WeakMap<LocalRateLimit, Limit | undefined>();

  /** Throws `xds-unsupported` and `xds-invalid`; `context` names the filter. */
  constructor(name: string, config: LocalRateLimit, context: RateLimitContext) {
    this.name = name;
    this.#context = context;
    this.#default = compileLimit(config, context);
  }

  /** How many have come before is not known. */
  judge(request: JudgedRequest): Judgement {
    try {
      this.#limitOf(request)?.descriptors?.policiesOf(request.route);
      return PASS;
    } catch (error) {
      return { ...PASS, undecided: { why: messageOf(error) } };
    }
  }

  limit(request: JudgedRequest): string | undefined {
    const limit = this.#limitOf(request);
    if (!limit) return undefined;
    const { bucket, descriptors, status } = limit;
    const limited = descriptors?.policiesOf(request.route).length ? descriptors.buckets : undefined;
    const all = [...(bucket ? [bucketText(bucket)] : []), ...(limited?.texts(bucketText) ?? [])];
    return all.length === 0 ? undefined : `answers ${status} beyond ${all.join('; beyond ')}`;
  }

  run(stream: FilterStream): FilterStatus {
    const limit = this.#limitOf(stream);
    if (!limit?.enabled(stream.random()) || takes(stream, limit)) return 'continue';
    if (!limit.enforced(stream.random())) {
      limit.onRequest?.apply(stream.head.headers, stream.record);
      return 'continue';
    }
    const headers = new HeaderMap();
    limit.onResponse?.apply(headers, stream.record);
    const { status, grpcStatus } = limit;
    stream.reply({
      status,
      grpcStatus,
      headers,
      body: 'local_rate_limited',
      details: 'local_rate_limited',
      flag: 'RL',
      ofRoute: 'forward',
    });
    return 'stop';
  }

  #limitOf({ route, head }: JudgedRequest): Limit | undefined {
    const config = route?.filterConfig(this.name, LocalRateLimitSchema, head);
    if (config === 'disabled') return undefined;
    if (config === undefined) return this.#default;
    if (!this.#byConfig.has(config)) this.#byConfig.set(config, this.#ofRoute(config, route!));
    return this.#byConfig.get(config);
  }

  #ofRoute(config: LocalRateLimit, route: CompiledRoute): Limit | undefined {
    const where = `${this.#context.where}, ${placeOf(route, this.name)}`;
    if (!config.tokenBucket) throw new SallyportError('xds-invalid', `${where}: has no token_bucket`);
    return compileLimit(config, { ...this.#context, where });
  }
}

/** Whether the request may go on. */
function takes(stream: FilterStream, { bucket, descriptors, always }: Limit): boolean {
  if (descriptors) {
    const policies = descriptors.policiesOf(stream.route);
    const takings =
      policies.length === 0 ? [] : descriptors.buckets.takings(describe(policies, stream), (each) => stream.tokens?.fill(each));
    // As in Envoy, what the first ones gave is gone where a later one has nothing.
    for (const { bucket: each, wanted, shadow } of takings) if (!stream.tokens?.take(each, wanted) && !shadow) return false;
    if (takings.length > 0 && !always) return true;
  }
  return !bucket || (stream.tokens?.take(bucket) ?? false);
}

function bucketText({ most, perToken }: TokenBucket): string {
  return `${most} requests, and one more each ${formatDuration(perToken)}`;
}

/** Where the entry stands that limits a route's requests: those of all threads that come by it are to find one bucket. */
function placeOf(route: CompiledRoute, filter: string): string {
  const { name, virtualHost, config } = route;
  const isIn = (configs: FilterConfigs) => configs?.[filter] !== undefined;
  const chosen = route.action.kind === 'forward' && route.action.clusters.some(({ filterConfigs }) => isIn(filterConfigs));
  if (chosen || isIn(config?.typedPerFilterConfig)) {
    const place = virtualHost.routes.filter((each) => each.name === name).indexOf(route);
    return `virtual host ${virtualHost.name}, route ${place} ${name}`;
  }
  return isIn(virtualHost.config.typedPerFilterConfig) ? `virtual host ${virtualHost.name}` : 'route configuration';
}

/** Undefined for one that limits nothing: neither buckets nor share of requests are there without being stated. */
function compileLimit(config: LocalRateLimit, context: RateLimitContext): Limit | undefined {
  const { where } = context;
  if (config.localRateLimitPerDownstreamConnection) unsupported(`${where}.local_rate_limit_per_downstream_connection`, 'not supported');
  if (config.localClusterRateLimit) unsupported(`${where}.local_cluster_rate_limit`, 'not supported');
  if (config.enableXRatelimitHeaders !== 0) unsupported(`${where}.enable_x_ratelimit_headers`, 'not supported');
  if (config.enableRetryAfterHeader) unsupported(`${where}.enable_retry_after_header`, 'not supported');
  const { tokenBucket, filterEnabled, filterEnforced, status } = config;
  const descriptors = config.descriptors.length > 0 ? compileDescriptors(config, context) : undefined;
  if (!filterEnabled || (!tokenBucket && !descriptors)) return undefined;
  const code = status?.code ?? 0;
  return {
    bucket: tokenBucket && { key: keyOf(where, config), ...compileBucket(tokenBucket, `${where}.token_bucket`) },
    descriptors,
    always: config.alwaysConsumeDefaultTokenBucket ?? true,
    enabled: compileFraction(filterEnabled.defaultValue),
    enforced: filterEnforced ? compileFraction(filterEnforced.defaultValue) : () => false,
    status: code < 400 ? TOO_MANY : code,
    grpcStatus: config.rateLimitedAsResourceExhausted ? RESOURCE_EXHAUSTED : undefined,
    onResponse: compileMutations(config.responseHeadersToAdd, [], NO_CONTEXT),
    onRequest: compileMutations(config.requestHeadersToAddWhenNotEnforced, [], NO_CONTEXT),
  };
}

function compileDescriptors(config: LocalRateLimit, context: RateLimitContext): Described {
  const { where } = context;
  const make: MakeBucket = (bucket, name, at) => {
    if (!bucket) throw new SallyportError('xds-invalid', `${at}: there is none`);
    return { key: keyOf(`${where}, descriptor ${name}`, config), ...compileBucket(bucket, at) };
  };
  const buckets = new LocalDescriptors(config.descriptors, config.maxDynamicDescriptors, make, where);
  const own = compilePolicies(config.rateLimits, 'filter', context);
  const ofRoutes = new RoutePolicies(context, config.stage, true);
  const ofHost = OF_HOST[config.vhRateLimits];
  return { buckets, policiesOf: (route) => (own.length > 0 ? own : route ? ofRoutes.of(route, ofHost) : []) };
}

const OF_HOST: Readonly<Record<VhRateLimitsOptions, OfHost>> = {
  [VhRateLimitsOptions.OVERRIDE]: 'override',
  [VhRateLimitsOptions.INCLUDE]: 'include',
  [VhRateLimitsOptions.IGNORE]: 'ignore',
};

/** Of what Envoy refuses nothing would be limited, or everything. */
function compileBucket({ maxTokens, tokensPerFill = 1, fillInterval }: TokenBucketConfig, where: string): Omit<TokenBucket, 'key'> {
  const invalid = (field: string, what: string) => new SallyportError('xds-invalid', `${where}.${field} ${what}`);
  const interval = durationMs(fillInterval, 0) ?? 0;
  if (maxTokens === 0) throw invalid('max_tokens', 'has to be at least 1');
  if (tokensPerFill === 0) throw invalid('tokens_per_fill', 'has to be at least 1');
  if (interval < LEAST_INTERVAL_MS) throw invalid('fill_interval', `has to be at least ${LEAST_INTERVAL_MS} ms`);
  return { most: maxTokens, perToken: interval / tokensPerFill };
}

function keyOf(where: string, config: LocalRateLimit): bigint {
  const digest = createHash('sha256').update(where).update(toBinary(LocalRateLimitSchema, config)).digest();
  // Zero stands for no bucket.
  return digest.readBigInt64LE() || 1n;
}
