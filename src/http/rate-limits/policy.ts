/** `rate_limits` of routes, virtual hosts and filters: by which descriptors requests are counted. Global and local limits share them. */
import { SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';
import {
  type RateLimit,
  type RateLimit_HitsAddend,
  type RateLimit_Override,
  RateLimit_XRateLimitOption,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { RateLimitUnit } from '../../xds/gen/envoy/type/v3/ratelimit_unit_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import type { CompiledRoute } from '../routes/model.ts';
import { compileAction, type DescribedRequest, type DescriptorEntry, metadataReader, type RateLimitContext } from './action.ts';

export type { DescribedRequest, RateLimitContext } from './action.ts';

export interface Descriptor {
  readonly entries: readonly DescriptorEntry[];
  /** In place of the limit that the service has. */
  readonly limit: LimitOverride | undefined;
  /** How many requests this one counts for; undefined: one. */
  readonly hits: bigint | undefined;
}

export interface LimitOverride {
  readonly requestsPerUnit: number;
  readonly unit: RateLimitUnit;
}

export interface RateLimitPolicy {
  readonly stage: number;
  /** Filters of one kind heed it, those of the other do not. */
  readonly disableKey: string;
  /** Undefined where the request is not counted by it. */
  describe(request: DescribedRequest): Descriptor | undefined;
}

/** Where policies stand, which decides what of them counts. */
export type PolicyPlace = 'route' | 'filter';

/** Throws `xds-unsupported` and `xds-invalid`. */
export function compilePolicies(configs: readonly RateLimit[], place: PolicyPlace, context: RateLimitContext): readonly RateLimitPolicy[] {
  return configs.map((config, index) => {
    const where = `${context.where}, rate limit ${index}`;
    return compilePolicy(config, place, { ...context, where });
  });
}

function compilePolicy(config: RateLimit, place: PolicyPlace, context: RateLimitContext): RateLimitPolicy {
  const { where } = context;
  if (config.applyOnStreamDone) unsupported(where, 'apply_on_stream_done is not supported');
  if (config.xRatelimitOption !== RateLimit_XRateLimitOption.UNSPECIFIED) unsupported(where, 'x_ratelimit_option is not supported');
  if (config.actions.length === 0) throw new SallyportError('xds-invalid', `${where}: has no actions`);
  if (place === 'filter' && (config.stage !== undefined || config.disableKey !== ''))
    throw new SallyportError('xds-invalid', `${where}: stage and disable_key are for rate limits of routes`);
  const actions = config.actions.map((action) => compileAction(action, context));
  const override = config.limit && compileOverride(config.limit, where);
  // As in Envoy, which reads them nowhere else.
  const hits = place === 'filter' ? config.hitsAddend && compileHits(config.hitsAddend, where) : undefined;
  return {
    stage: config.stage ?? 0,
    disableKey: config.disableKey,
    describe(request) {
      const entries: DescriptorEntry[] = [];
      for (const action of actions) {
        const entry = action(request);
        if (entry === undefined) return undefined;
        if (entry !== 'none') entries.push(entry);
      }
      return { entries, limit: override?.(request), hits };
    },
  };
}

function compileHits({ number, format, isNegativeHits }: RateLimit_HitsAddend, where: string): bigint {
  if (format !== '') unsupported(where, 'hits_addend.format is not supported');
  if (isNegativeHits) unsupported(where, 'hits_addend.is_negative_hits is not supported');
  if (number === undefined) throw new SallyportError('xds-invalid', `${where}: hits_addend has no number`);
  return number;
}

type Override = (request: DescribedRequest) => LimitOverride | undefined;

function compileOverride({ overrideSpecifier: override }: RateLimit_Override, where: string): Override {
  switch (override.case) {
    case 'rateLimit': {
      const { requestsPerUnit, unit } = override.value;
      return () => ({ requestsPerUnit, unit });
    }
    case 'dynamicMetadata': {
      const read = metadataReader(override.value.metadataKey, `${where}, limit`);
      return ({ metadata }) => limitIn(read(metadata));
    }
    default:
      return unsupported(where, 'the limit is given in a way that is not supported');
  }
}

/** By the names that metadata has for them. */
const UNITS: Readonly<Record<string, RateLimitUnit>> = table({
  UNKNOWN: RateLimitUnit.UNKNOWN,
  SECOND: RateLimitUnit.SECOND,
  MINUTE: RateLimitUnit.MINUTE,
  HOUR: RateLimitUnit.HOUR,
  DAY: RateLimitUnit.DAY,
  MONTH: RateLimitUnit.MONTH,
  YEAR: RateLimitUnit.YEAR,
  WEEK: RateLimitUnit.WEEK,
});

function limitIn(value: unknown): LimitOverride | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { requests_per_unit: requestsPerUnit, unit } = value as Readonly<Record<string, unknown>>;
  if (typeof requestsPerUnit !== 'number' || !(requestsPerUnit >= 0 && requestsPerUnit < 2 ** 32) || typeof unit !== 'string')
    return undefined;
  const known = UNITS[unit];
  return known === undefined ? undefined : { requestsPerUnit: Math.trunc(requestsPerUnit), unit: known };
}

/** How the limits of a virtual host count beside those of its routes. */
export type OfHost = 'override' | 'include' | 'ignore';

/** The policies of routes and their virtual hosts, compiled when a request first comes to them. */
export class RoutePolicies {
  readonly #context: RateLimitContext;
  readonly #stage: number;
  readonly #heedsDisableKey: boolean;
  readonly #compiled = new WeakMap<readonly RateLimit[], readonly RateLimitPolicy[]>();

  constructor(context: RateLimitContext, stage: number, heedsDisableKey: boolean) {
    this.#context = context;
    this.#stage = stage;
    this.#heedsDisableKey = heedsDisableKey;
  }

  /** Throws what `compilePolicies` throws. */
  of({ config, name, virtualHost }: CompiledRoute, ofHost: OfHost): readonly RateLimitPolicy[] {
    const action = config?.action.case === 'route' ? config.action.value : undefined;
    if (!action) return [];
    const hosts = virtualHost.config.rateLimits;
    const includes = action.includeVhRateLimits === true || ofHost === 'include';
    const own = this.#compile(action.rateLimits, `virtual host ${virtualHost.name}, route ${name}`);
    if (!includes && (ofHost === 'ignore' || action.rateLimits.length > 0)) return own;
    const ofTheHost = this.#compile(hosts, `virtual host ${virtualHost.name}`);
    return own.length === 0 ? ofTheHost : ofTheHost.length === 0 ? own : [...own, ...ofTheHost];
  }

  #compile(configs: readonly RateLimit[], of: string): readonly RateLimitPolicy[] {
    let policies = this.#compiled.get(configs);
    if (!policies) {
      const context = { ...this.#context, where: `${this.#context.where}, ${of}` };
      policies = compilePolicies(configs, 'route', context).filter(
        ({ stage, disableKey }) => stage === this.#stage && !(this.#heedsDisableKey && disableKey !== ''),
      );
      this.#compiled.set(configs, policies);
    }
    return policies;
  }
}

/** The descriptors of a request, in the order of the policies. */
export function describe(policies: readonly RateLimitPolicy[], request: DescribedRequest): Descriptor[] {
  const descriptors: Descriptor[] = [];
  for (const policy of policies) {
    const descriptor = policy.describe(request);
    if (descriptor) descriptors.push(descriptor);
  }
  return descriptors;
}
