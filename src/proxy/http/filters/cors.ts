/** Answers CORS preflights and marks responses for the origins that a route allows (`envoy.filters.http.cors`). */
import { type CorsPolicy, CorsPolicySchema } from '../../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { compileRuntimeFraction } from '../../../xds/match/fraction.ts';
import { HeaderMap } from '../../../xds/match/headers.ts';
import { compileStringMatcher, type StringPredicate } from '../../../xds/match/string.ts';
import type { Exchange } from '../exchange.ts';
import type { FilterStatus, HttpFilter } from '../filter.ts';

interface Policy {
  readonly origins: readonly StringPredicate[];
  readonly config: CorsPolicy;
  readonly enabled: (random: number) => boolean;
}

export function createCorsFilter(name: string): HttpFilter {
  return new CorsFilter(name);
}

class CorsFilter implements HttpFilter {
  readonly name: string;
  readonly #byConfig = new WeakMap<CorsPolicy, Policy>();

  constructor(name: string) {
    this.name = name;
  }

  onRequest(exchange: Exchange): FilterStatus {
    const { headers } = exchange;
    const origin = headers.get('origin');
    if (origin === undefined || origin === '') return 'continue';
    const policy = this.#policyOf(exchange);
    if (!policy) return 'continue';
    const allowed = policy.origins.some((matches) => matches(origin));
    const preflight = exchange.method === 'OPTIONS' && (headers.get('access-control-request-method') ?? '') !== '';
    if (!preflight) {
      if (allowed) {
        exchange.filterState ??= new Map();
        exchange.filterState.set(this.name, { origin, policy });
      }
      return 'continue';
    }
    if (!allowed) {
      if (policy.config.forwardNotMatchingPreflights ?? true) return 'continue';
      exchange.reply({ status: 200, body: '', details: 'cors_response' });
      return 'stop';
    }
    const { config } = policy;
    const reply = allowOrigin(origin, config);
    if (config.allowMethods !== '') reply.append('access-control-allow-methods', config.allowMethods);
    if (config.allowHeaders !== '') reply.append('access-control-allow-headers', config.allowHeaders);
    if (config.maxAge !== '') reply.append('access-control-max-age', config.maxAge);
    if (config.allowPrivateNetworkAccess && headers.get('access-control-request-private-network') === 'true') {
      reply.append('access-control-allow-private-network', 'true');
    }
    exchange.reply({ status: 200, body: '', details: 'cors_response', headers: reply });
    return 'stop';
  }

  onResponse(exchange: Exchange, _status: number, headers: HeaderMap): void {
    const state = exchange.filterState?.get(this.name) as { readonly origin: string; readonly policy: Policy } | undefined;
    if (!state) return;
    const { config } = state.policy;
    for (const [name, value] of allowOrigin(state.origin, config)) headers.set(name, value);
    if (config.exposeHeaders !== '') headers.set('access-control-expose-headers', config.exposeHeaders);
  }

  #policyOf({ route, random }: Exchange): Policy | undefined {
    const config = route?.filterConfig(this.name, CorsPolicySchema);
    if (config === undefined || config === 'disabled') return undefined;
    let policy = this.#byConfig.get(config);
    if (!policy) {
      policy = {
        origins: config.allowOriginStringMatch.map(compileStringMatcher),
        config,
        enabled: compileRuntimeFraction(config.filterEnabled),
      };
      this.#byConfig.set(config, policy);
    }
    return policy.enabled(random) ? policy : undefined;
  }
}

function allowOrigin(origin: string, config: CorsPolicy): HeaderMap {
  const headers = new HeaderMap(['access-control-allow-origin', origin]);
  if (config.allowCredentials) headers.append('access-control-allow-credentials', 'true');
  return headers;
}
