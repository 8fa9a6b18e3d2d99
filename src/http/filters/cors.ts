/** Answers CORS preflights and marks responses for the origins that a route allows (`envoy.filters.http.cors`). */
import { type CorsPolicy, CorsPolicySchema } from '../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { compileStringMatcher, type StringPredicate } from '../../xds/match/string.ts';
import type { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import { compileRuntimeFraction } from '../routes/fraction.ts';
import { CERTAIN, type FilterStatus, type FilterStream, type HttpFilter, type JudgedRequest, type Judgement, PASS } from './filter.ts';

interface CorsRules {
  readonly origins: readonly StringPredicate[];
  readonly config: CorsPolicy;
  readonly enabled: (random: number) => boolean;
}

export class CorsFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #byConfig = new WeakMap<CorsPolicy, CorsRules>();

  constructor(name: string) {
    this.name = name;
  }

  judge({ head, route }: JudgedRequest): Judgement {
    const origin = head.headers.get('origin');
    if (origin === undefined || origin === '') return PASS;
    const config = route?.filterConfig(this.name, CorsPolicySchema, head);
    return config === undefined || config === 'disabled' ? PASS : judgeOrigin(this.#compiled(config), origin, head);
  }

  run(stream: FilterStream): FilterStatus {
    const { answer, mark } = this.judge(stream);
    if (mark) stream.onResponse(mark);
    if (!answer) return 'continue';
    stream.reply(answer.reply);
    return 'stop';
  }

  #compiled(config: CorsPolicy): CorsRules {
    let rules = this.#byConfig.get(config);
    if (!rules) {
      const origins = config.allowOriginStringMatch.map(compileStringMatcher);
      rules = { origins, config, enabled: compileRuntimeFraction(config.filterEnabled) };
      this.#byConfig.set(config, rules);
    }
    return rules;
  }
}

function judgeOrigin({ origins, config, enabled }: CorsRules, origin: string, { method, headers, random }: Head): Judgement {
  if (!enabled(random)) return PASS;
  const allowed = origins.some((matches) => matches(origin));
  const preflight = method === 'OPTIONS' && (headers.get('access-control-request-method') ?? '') !== '';
  if (!preflight) return allowed ? { ...PASS, mark: (response) => markResponse(response, origin, config) } : PASS;
  if (!allowed && (config.forwardNotMatchingPreflights ?? true)) return PASS;
  const reply = {
    status: 200,
    body: '',
    details: 'cors_response',
    headers: allowed ? preflightAnswer(origin, config, headers) : undefined,
  };
  return { ...PASS, answer: { reply, chance: CERTAIN, because: () => 'the CORS policy answers the preflight', always: false } };
}

function markResponse(response: HeaderMap, origin: string, config: CorsPolicy): void {
  for (const [name, value] of allowOrigin(origin, config)) response.set(name, value);
  if (config.exposeHeaders !== '') response.set('access-control-expose-headers', config.exposeHeaders);
}

function preflightAnswer(origin: string, config: CorsPolicy, request: HeaderMap): HeaderMap {
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
