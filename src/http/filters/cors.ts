/** What `envoy.filters.http.cors` makes of a request. Pure: the filter and simulation read it alike. */
import type { CorsPolicy } from '../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { compileStringMatcher, type StringPredicate } from '../../xds/match/string.ts';
import { HeaderMap } from '../header-map.ts';
import { compileRuntimeFraction } from '../routes/fraction.ts';
import type { RouteRequest } from '../routes/model.ts';

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

/** What the filter sets in a response that it marks. */
export function markings({ config }: CorsRules, origin: string): HeaderMap {
  const headers = allowOrigin(origin, config);
  if (config.exposeHeaders !== '') headers.append('access-control-expose-headers', config.exposeHeaders);
  return headers;
}

/** The headers of the answer to a preflight that is allowed. */
export function preflightAnswer({ config }: CorsRules, origin: string, request: HeaderMap): HeaderMap {
  const reply = allowOrigin(origin, config);
  if (config.allowMethods !== '') reply.append('access-control-allow-methods', config.allowMethods);
  if (config.allowHeaders !== '') reply.append('access-control-allow-headers', config.allowHeaders);
  if (config.exposeHeaders !== '') reply.append('access-control-expose-headers', config.exposeHeaders);
  if (config.maxAge !== '') reply.append('access-control-max-age', config.maxAge);
  if (config.allowPrivateNetworkAccess && request.get('access-control-request-private-network') === 'true') {
    reply.append('access-control-allow-private-network', 'true');
  }
  return reply;
}

function allowOrigin(origin: string, config: CorsPolicy): HeaderMap {
  const headers = new HeaderMap(['access-control-allow-origin', origin]);
  if (config.allowCredentials) headers.append('access-control-allow-credentials', 'true');
  return headers;
}
