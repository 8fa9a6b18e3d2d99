/** Answers CORS preflights and marks responses for the origins that a route allows (`envoy.filters.http.cors`). */

import { type CorsRules, compileCors, judgeCors, markings, preflightAnswer } from '../../../http/filters/cors.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import { type CorsPolicy, CorsPolicySchema } from '../../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import type { Exchange } from '../exchange.ts';
import type { FilterStatus, HttpFilter } from '../filter.ts';

export function createCorsFilter(name: string): HttpFilter {
  return new CorsFilter(name);
}

class CorsFilter implements HttpFilter {
  readonly name: string;
  readonly #byConfig = new WeakMap<CorsPolicy, CorsRules>();

  constructor(name: string) {
    this.name = name;
  }

  onRequest(exchange: Exchange): FilterStatus {
    const { headers } = exchange;
    if (!headers.has('origin')) return 'continue';
    const rules = this.#rulesOf(exchange);
    if (!rules) return 'continue';
    const verdict = judgeCors(rules, exchange);
    if (verdict.kind === 'none') return 'continue';
    const { origin } = verdict;
    if (verdict.kind === 'marked') {
      exchange.filterState ??= new Map();
      exchange.filterState.set(this.name, { origin, rules });
      return 'continue';
    }
    if (!verdict.allowed) {
      exchange.reply({ status: 200, body: '', details: 'cors_response' });
      return 'stop';
    }
    const reply = preflightAnswer(rules, origin, headers);
    exchange.reply({ status: 200, body: '', details: 'cors_response', headers: reply });
    return 'stop';
  }

  onResponse(exchange: Exchange, _status: number, headers: HeaderMap): void {
    const state = exchange.filterState?.get(this.name) as { readonly origin: string; readonly rules: CorsRules } | undefined;
    if (!state) return;
    for (const [name, value] of markings(state.rules, state.origin)) headers.set(name, value);
  }

  #rulesOf({ route }: Exchange): CorsRules | undefined {
    const config = route?.filterConfig(this.name, CorsPolicySchema);
    if (config === undefined || config === 'disabled') return undefined;
    let rules = this.#byConfig.get(config);
    if (!rules) {
      rules = compileCors(config);
      this.#byConfig.set(config, rules);
    }
    return rules;
  }
}
