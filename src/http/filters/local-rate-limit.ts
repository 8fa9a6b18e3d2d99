/** Lets so many requests through in a time, and answers the others itself (`envoy.filters.http.local_ratelimit`). */
import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { formatDuration } from '../../lib/duration.ts';
import { SallyportError } from '../../lib/errors.ts';
import {
  type LocalRateLimit,
  LocalRateLimitSchema,
} from '../../xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import type { TokenBucket as TokenBucketConfig } from '../../xds/gen/envoy/type/v3/token_bucket_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { unsupported } from '../../xds/unpack.ts';
import { HeaderMap } from '../header-map.ts';
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
  readonly bucket: TokenBucket;
  readonly enabled: (random: number) => boolean;
  readonly enforced: (random: number) => boolean;
  readonly status: number;
  readonly grpcStatus: number | undefined;
  readonly onResponse: HeaderMutations | undefined;
  /** Of requests over the limit that go on all the same. */
  readonly onRequest: HeaderMutations | undefined;
}

const TOO_MANY = 429;
/** As in Envoy. */
const LEAST_INTERVAL_MS = 50;
const RESOURCE_EXHAUSTED = 8;
const NO_CONTEXT = { hostname: '', environment: {} };

export class LocalRateLimitFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #where: string;
  /** Undefined for one that limits nothing but on routes that say so. */
  readonly #default: Limit | undefined;
  readonly #byConfig = new WeakMap<LocalRateLimit, Limit | undefined>();

  /** Throws `xds-unsupported`; `where` names the filter. */
  constructor(name: string, config: LocalRateLimit, where: string) {
    this.name = name;
    this.#where = where;
    this.#default = compileLimit(config, where);
  }

  /** How many have come before is not known. */
  judge(): Judgement {
    return PASS;
  }

  limit(request: JudgedRequest): string | undefined {
    const limit = this.#limitOf(request);
    if (!limit) return undefined;
    const { most, perToken } = limit.bucket;
    return `answers ${limit.status} beyond ${most} requests, and one more each ${formatDuration(perToken)}`;
  }

  run(stream: FilterStream): FilterStatus {
    const limit = this.#limitOf(stream);
    if (!limit?.enabled(stream.random()) || stream.takeToken(limit.bucket)) return 'continue';
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
    if (!this.#byConfig.has(config)) this.#byConfig.set(config, compileLimit(config, `${this.#where}, ${placeOf(route!, this.name)}`));
    return this.#byConfig.get(config);
  }
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

/** Undefined for one that limits nothing: neither bucket nor share of requests are there without being stated. */
function compileLimit(config: LocalRateLimit, where: string): Limit | undefined {
  if (config.descriptors.length > 0) unsupported(`${where}.descriptors`, 'not supported');
  if (config.localRateLimitPerDownstreamConnection) unsupported(`${where}.local_rate_limit_per_downstream_connection`, 'not supported');
  if (config.localClusterRateLimit) unsupported(`${where}.local_cluster_rate_limit`, 'not supported');
  if (config.enableXRatelimitHeaders !== 0) unsupported(`${where}.enable_x_ratelimit_headers`, 'not supported');
  const { tokenBucket, filterEnabled, filterEnforced, status } = config;
  if (!tokenBucket || !filterEnabled) return undefined;
  const code = status?.code ?? 0;
  return {
    bucket: { key: keyOf(where, config), ...compileBucket(tokenBucket, `${where}.token_bucket`) },
    enabled: compileFraction(filterEnabled.defaultValue),
    enforced: filterEnforced ? compileFraction(filterEnforced.defaultValue) : () => false,
    status: code < 400 ? TOO_MANY : code,
    grpcStatus: config.rateLimitedAsResourceExhausted ? RESOURCE_EXHAUSTED : undefined,
    onResponse: compileMutations(config.responseHeadersToAdd, [], NO_CONTEXT),
    onRequest: compileMutations(config.requestHeadersToAddWhenNotEnforced, [], NO_CONTEXT),
  };
}

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
