/** What HTTP filters make of a request before the router has it: those that answer by themselves for reasons that a call shows. Pure. */

import { compileCors, judgeCors, markings, preflightAnswer } from '../http/filters/cors.ts';
import { compileFault } from '../http/filters/fault.ts';
import type { CompiledRoute, RouteRequest } from '../http/routes/route.ts';
import { CorsPolicySchema, CorsSchema } from '../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { HTTPFaultSchema } from '../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { HttpConnectionManager } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typeNameOf } from '../xds/unpack.ts';
import type { HopOptions } from './hop.ts';
import type { SimulatedProxy } from './proxy.ts';
import type { Refused } from './request.ts';
import type { OnResponse } from './response.ts';

/** The answer of the first filter that gives one, where chance so chooses; what filters do to the response of a request that they pass on goes to `marks`. */
export function filtered(
  proxy: SimulatedProxy,
  config: HttpConnectionManager,
  route: CompiledRoute,
  request: RouteRequest,
  options: Pick<HopOptions, 'weigh'>,
  marks: OnResponse[],
): Refused | undefined {
  for (const filter of config.httpFilters) {
    const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const type = typeNameOf(any);
    let answer: Refused | undefined;
    if (type === CorsSchema.typeName) answer = cors(filter.name, route, request, marks);
    else if (type === HTTPFaultSchema.typeName) {
      const own = route.filterConfig(filter.name, HTTPFaultSchema);
      if (own !== 'disabled') answer = fault(filter.name, own ?? proxy.unpack(any, HTTPFaultSchema, filter.name), route, request, options);
    }
    if (answer) return answer;
  }
  return undefined;
}

function cors(name: string, route: CompiledRoute, request: RouteRequest, marks: OnResponse[]): Refused | undefined {
  const own = route.filterConfig(name, CorsPolicySchema);
  if (own === undefined || own === 'disabled') return undefined;
  const rules = compileCors(own);
  const verdict = judgeCors(rules, request);
  if (verdict.kind === 'marked') {
    marks.push((response) => {
      for (const [header, value] of markings(rules, verdict.origin)) response.set(header, value);
    });
  }
  if (verdict.kind !== 'preflight') return undefined;
  const headers = verdict.allowed ? preflightAnswer(rules, verdict.origin, request.headers) : undefined;
  return { status: 200, flag: '', details: 'cors_response', why: 'the CORS policy answers the preflight', headers };
}

function fault(
  name: string,
  config: Parameters<typeof compileFault>[0],
  { action }: CompiledRoute,
  request: RouteRequest,
  options: Pick<HopOptions, 'weigh'>,
): Refused | undefined {
  const { status, grpcStatus, applies, cluster, abortShare: share } = compileFault(config, name);
  if (status === 0 && grpcStatus === undefined) return undefined;
  if (applies && !applies(request)) return undefined;
  if (cluster !== '' && !(action.kind === 'forward' && action.choose(request)?.cluster === cluster)) return undefined;
  if (share === 0 || options.weigh([1 - share, share]) !== 1) return undefined;
  const answered = grpcStatus === undefined ? status : 200;
  return {
    status: answered,
    flag: 'FI',
    details: 'fault_filter_abort',
    why: `a fault answers ${answered}`,
    always: !applies,
    ofRoute: true,
  };
}
