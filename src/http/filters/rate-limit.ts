/** Has a rate limit service say which requests are too many (`envoy.filters.http.ratelimit`). */
import { messageOf, SallyportError } from '../../lib/errors.ts';
import {
  type RateLimit,
  type RateLimitPerRoute,
  RateLimitPerRoute_OverrideOptions,
  RateLimitPerRoute_VhRateLimitsOptions,
  RateLimitPerRouteSchema,
} from '../../xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { unsupported } from '../../xds/unpack.ts';
import { HeaderMap } from '../header-map.ts';
import {
  compilePolicies,
  type Descriptor,
  describe,
  type OfHost,
  type RateLimitContext,
  type RateLimitPolicy,
  RoutePolicies,
} from '../rate-limits/policy.ts';
import { compileService, type Field, type LimitVerdict, type RateLimitService, rateLimitFields } from '../rate-limits/service.ts';
import { compileFraction } from '../routes/fraction.ts';
import type { HeaderMutations } from '../routes/model.ts';
import { compileMutations } from '../routes/mutation.ts';
import { type FilterStatus, type FilterStream, type HttpFilter, type JudgedRequest, type Judgement, PASS } from './filter.ts';

/** Where what the service says is noted, whatever the filter is called. */
const NAMESPACE = 'envoy.filters.http.ratelimit';
const TIMEOUT_MS = 20;
const TOO_MANY = 429;
const SERVER_ERROR = 500;
const RESOURCE_EXHAUSTED = 8;
const NO_CONTEXT = { hostname: '', environment: {} };

/** Of routes that say it themselves. */
interface OfRoute {
  readonly policies: readonly RateLimitPolicy[];
  readonly domain: string;
  readonly ofHost: OfHost;
}

export class RateLimitFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #config: RateLimit;
  readonly #context: RateLimitContext;
  readonly #service: RateLimitService;
  readonly #own: readonly RateLimitPolicy[];
  readonly #ofRoutes: RoutePolicies;
  readonly #perRoute = new WeakMap<RateLimitPerRoute, OfRoute>();
  readonly #enabled: (random: number) => boolean;
  readonly #enforced: (random: number) => boolean;
  readonly #deniesOnError: (random: number) => boolean;
  readonly #onResponse: HeaderMutations | undefined;

  /** Throws `xds-unsupported` or `xds-invalid`; `context` names the filter. */
  constructor(name: string, config: RateLimit, context: RateLimitContext) {
    const { where } = context;
    const { domain, stage, rateLimitService, timeout, filterEnabled, filterEnforced, failureModeDeny, failureModeDenyPercent } = config;
    this.name = name;
    this.#config = config;
    this.#context = context;
    if (domain === '') throw new SallyportError('xds-invalid', `${where}: names no domain`);
    if (!['', 'both', 'internal', 'external'].includes(config.requestType))
      throw new SallyportError('xds-invalid', `${where}.request_type is none of both, internal and external`);
    if (config.enableRetryAfterHeader) unsupported(`${where}.enable_retry_after_header`, 'not supported');
    const service = rateLimitService?.grpcService;
    if (!service) throw new SallyportError('xds-invalid', `${where}.rate_limit_service: names no gRPC service`);
    this.#service = compileService(service, `${where}.rate_limit_service`, durationMs(timeout, TIMEOUT_MS));
    this.#own = compilePolicies(config.rateLimits, 'filter', context);
    this.#ofRoutes = new RoutePolicies(context, stage, false);
    this.#enabled = compileFraction(filterEnabled?.defaultValue);
    this.#enforced = compileFraction(filterEnforced?.defaultValue);
    this.#deniesOnError = failureModeDenyPercent ? compileFraction(failureModeDenyPercent.defaultValue) : () => failureModeDeny;
    this.#onResponse = compileMutations(config.responseHeadersToAdd, [], NO_CONTEXT);
  }

  /** What the service says is not known. */
  judge(request: JudgedRequest): Judgement {
    try {
      this.#limitsOf(request);
      return PASS;
    } catch (error) {
      return { ...PASS, undecided: { why: messageOf(error) } };
    }
  }

  limit(request: JudgedRequest): string | undefined {
    const limits = this.#limitsOf(request);
    if (!limits) return undefined;
    return `of domain ${limits.domain} answers ${this.#status} to what the rate limit service ${this.#service.cluster} says is too much`;
  }

  run(stream: FilterStream): FilterStatus {
    const limits = this.#enabled(stream.random()) ? this.#limitsOf(stream) : undefined;
    if (!limits) return 'continue';
    const descriptors = describe(limits.policies, stream);
    if (descriptors.length === 0) return 'continue';
    this.#ask(stream, limits.domain, descriptors);
    return 'stop';
  }

  /** Undefined where the service is not asked, whatever the request. */
  #limitsOf({ route, head }: JudgedRequest): { readonly policies: readonly RateLimitPolicy[]; readonly domain: string } | undefined {
    const { requestType } = this.#config;
    if (requestType === (head.internal ? 'external' : 'internal')) return undefined;
    // As in Envoy: what no route sends on is not limited.
    if (route?.action.kind !== 'forward' || !route.action.choose(head)) return undefined;
    const config = route.filterConfig(this.name, RateLimitPerRouteSchema, head);
    if (config === 'disabled') return undefined;
    const own = config && this.#ofRoute(config);
    const policies =
      own && own.policies.length > 0
        ? own.policies
        : this.#own.length > 0
          ? this.#own
          : this.#ofRoutes.of(route, own?.ofHost ?? 'override');
    return policies.length > 0 ? { policies, domain: own?.domain || this.#config.domain } : undefined;
  }

  #ofRoute(config: RateLimitPerRoute): OfRoute {
    let compiled = this.#perRoute.get(config);
    if (!compiled) {
      const where = `${this.#context.where} of a route`;
      if (config.overrideOption !== RateLimitPerRoute_OverrideOptions.DEFAULT) unsupported(`${where}.override_option`, 'not supported');
      const policies = compilePolicies(config.rateLimits, 'filter', { ...this.#context, where });
      compiled = { policies, domain: config.domain, ofHost: OF_HOST[config.vhRateLimits] };
      this.#perRoute.set(config, compiled);
    }
    return compiled;
  }

  #ask(stream: FilterStream, domain: string, descriptors: readonly Descriptor[]): void {
    stream.ask(this.#service.call(domain, descriptors), (answer) => {
      const verdict = this.#service.read(answer);
      if (verdict) this.#answered(stream, verdict);
      else this.#failed(stream);
    });
  }

  #answered(stream: FilterStream, verdict: LimitVerdict): void {
    if (verdict.metadata && Object.keys(verdict.metadata).length > 0)
      stream.note({ [this.#config.metadataNamespace || NAMESPACE]: verdict.metadata });
    const fields = this.#fieldsOf(verdict);
    if (verdict.kind === 'over-limit' && this.#enforced(stream.random())) {
      this.#refuse(stream, verdict.body, fields);
      return;
    }
    const { head } = stream;
    for (const [name, value] of verdict.onRequest) head.headers.append(name, value);
    if (verdict.onRequest.length > 0) head.edited = true;
    if (fields.length > 0) stream.onResponse((headers: HeaderMap) => addTo(headers, fields));
    stream.proceed();
  }

  #fieldsOf({ kind, onResponse, statuses }: LimitVerdict): readonly Field[] {
    const { disableXEnvoyRatelimitedHeader, enableXRatelimitHeaders } = this.#config;
    const fields = [...onResponse];
    if (kind === 'over-limit' && !disableXEnvoyRatelimitedHeader) fields.push(['x-envoy-ratelimited', 'true']);
    if (enableXRatelimitHeaders !== 0) fields.push(...rateLimitFields(statuses));
    return fields;
  }

  get #status(): number {
    const code = this.#config.rateLimitedStatus?.code ?? 0;
    return code < 400 ? TOO_MANY : code;
  }

  #refuse(stream: FilterStream, body: Uint8Array, fields: readonly Field[]): void {
    const headers = new HeaderMap(fields.flat());
    this.#onResponse?.apply(headers, stream.record);
    stream.reply({
      status: this.#status,
      grpcStatus: this.#config.rateLimitedAsResourceExhausted ? RESOURCE_EXHAUSTED : undefined,
      headers,
      body,
      details: 'request_rate_limited',
      flag: 'RL',
      ofRoute: 'forward',
    });
  }

  #failed(stream: FilterStream): void {
    if (!this.#deniesOnError(stream.random())) {
      stream.proceed();
      return;
    }
    const status = this.#config.statusOnError?.code || SERVER_ERROR;
    stream.reply({ status, body: '', details: 'rate_limiter_error', flag: 'RLSE', ofRoute: 'forward' });
  }
}

const OF_HOST: Readonly<Record<RateLimitPerRoute_VhRateLimitsOptions, OfHost>> = {
  [RateLimitPerRoute_VhRateLimitsOptions.OVERRIDE]: 'override',
  [RateLimitPerRoute_VhRateLimitsOptions.INCLUDE]: 'include',
  [RateLimitPerRoute_VhRateLimitsOptions.IGNORE]: 'ignore',
};

function addTo(headers: HeaderMap, fields: readonly Field[]): void {
  for (const [name, value] of fields) headers.append(name, value);
}
