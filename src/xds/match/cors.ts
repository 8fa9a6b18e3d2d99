/** What `envoy.filters.http.cors` makes of a request. Pure: the filter and simulation read it alike. */
import type { CorsPolicy } from '../gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { compileRuntimeFraction } from './fraction.ts';
import type { RouteRequest } from './route-model.ts';
import { compileStringMatcher, type StringPredicate } from './string.ts';

export interface CorsRules {
  readonly origins: readonly StringPredicate[];
  readonly config: CorsPolicy;
  readonly enabled: (random: number) => boolean;
}

/** `preflight`: the proxy answers it, for an origin that is allowed or for one that is not; `marked`: the response is to be marked for the origin. */
export type CorsVerdict =
  | { readonly kind: 'none' }
  | { readonly kind: 'marked'; readonly origin: string }
  | { readonly kind: 'preflight'; readonly origin: string; readonly allowed: boolean };

export function compileCors(config: CorsPolicy): CorsRules {
  return {
    origins: config.allowOriginStringMatch.map(compileStringMatcher),
    config,
    enabled: compileRuntimeFraction(config.filterEnabled),
  };
}

const NONE: CorsVerdict = { kind: 'none' };

export function judgeCors({ origins, config, enabled }: CorsRules, { method, headers, random }: RouteRequest): CorsVerdict {
  const origin = headers.get('origin');
  if (origin === undefined || origin === '' || !enabled(random)) return NONE;
  const allowed = origins.some((matches) => matches(origin));
  const preflight = method === 'OPTIONS' && (headers.get('access-control-request-method') ?? '') !== '';
  if (!preflight) return allowed ? { kind: 'marked', origin } : NONE;
  return allowed || !(config.forwardNotMatchingPreflights ?? true) ? { kind: 'preflight', origin, allowed } : NONE;
}
