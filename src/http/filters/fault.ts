/** Delays and aborts requests on purpose (`envoy.filters.http.fault`). */
import { SallyportError } from '../../lib/errors.ts';
import { type HTTPFault, HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { FractionalPercent } from '../../xds/gen/envoy/type/v3/percent_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import type { LocalReply } from '../local-reply.ts';
import { compileFraction, shareOf } from '../routes/fraction.ts';
import { compileHeaderMatchers, type HeaderPredicate } from '../routes/header.ts';
import {
  type Answer,
  type Chance,
  type FilterStatus,
  type FilterStream,
  type HttpFilter,
  type JudgedRequest,
  type Judgement,
  PASS,
} from './filter.ts';

interface Fault {
  readonly applies: HeaderPredicate | undefined;
  /** Only for requests to this cluster; empty for all. */
  readonly cluster: string;
  /** Of a request that it concerns. */
  readonly judgement: Judgement;
  /** Requests that are held at a time; beyond these the fault does nothing. */
  readonly maxActive: number;
}

export class FaultFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #default: Fault;
  readonly #byConfig = new WeakMap<HTTPFault, Fault>();
  #active = 0;

  /** Throws `xds-unsupported`; `where` names the filter. */
  constructor(name: string, config: HTTPFault, where: string) {
    this.name = name;
    this.#default = compileFault(config, where);
  }

  judge(request: JudgedRequest): Judgement {
    const fault = this.#faultOf(request);
    return fault === undefined || !concerns(fault, request) ? PASS : fault.judgement;
  }

  run(stream: FilterStream): FilterStatus {
    const fault = this.#faultOf(stream);
    if (fault === undefined || this.#active >= fault.maxActive || !concerns(fault, stream)) return 'continue';
    const { delay, answer } = fault.judgement;
    if (!delay?.chance.happens(stream.random())) return abort(stream, answer) ? 'stop' : 'continue';
    stream.addFlag('DI');
    this.#active++;
    stream.hold(delay.ms, (over) => {
      this.#active--;
      if (!over && !abort(stream, answer)) stream.proceed();
    });
    return 'stop';
  }

  /** Undefined for one that does nothing. */
  #faultOf({ route, head }: JudgedRequest): Fault | undefined {
    const config = route?.filterConfig(this.name, HTTPFaultSchema, head);
    if (config === 'disabled') return undefined;
    const fault = config === undefined ? this.#default : this.#compiled(config);
    return fault.judgement === PASS ? undefined : fault;
  }

  #compiled(config: HTTPFault): Fault {
    let fault = this.#byConfig.get(config);
    if (!fault) {
      fault = compileFault(config, `filter "${this.name}"`);
      this.#byConfig.set(config, fault);
    }
    return fault;
  }
}

function concerns({ applies, cluster }: Fault, { head, route }: JudgedRequest): boolean {
  if (applies && !applies(head)) return false;
  if (cluster === '') return true;
  const action = route?.action;
  return action?.kind === 'forward' && action.choose(head)?.cluster === cluster;
}

function abort(stream: FilterStream, answer: Answer | undefined): boolean {
  if (!answer?.chance.happens(stream.random())) return false;
  stream.reply(answer.reply);
  return true;
}

function compileFault(config: HTTPFault, where: string): Fault {
  const { delay, abort } = config;
  if (config.responseRateLimit) throw new SallyportError('xds-unsupported', `${where}: response_rate_limit is not supported`);
  if (delay?.faultDelaySecifier.case === 'headerDelay')
    throw new SallyportError('xds-unsupported', `${where}: header_delay is not supported`);
  if (abort?.errorType.case === 'headerAbort') throw new SallyportError('xds-unsupported', `${where}: header_abort is not supported`);
  const applies = compileHeaderMatchers(config.headers);
  const ms = delay?.faultDelaySecifier.case === 'fixedDelay' ? durationMs(delay.faultDelaySecifier.value, 0) : 0;
  const held = ms > 0 ? { ms, chance: chanceOf(delay?.percentage) } : undefined;
  const reply = replyOf(abort?.errorType);
  const answer = reply && {
    reply,
    chance: chanceOf(abort?.percentage),
    because: () => `a fault answers ${reply.status}`,
    always: applies === undefined,
  };
  return {
    applies,
    cluster: config.upstreamCluster,
    judgement: held || answer ? { delay: held, answer, mark: undefined } : PASS,
    maxActive: config.maxActiveFaults ?? Number.POSITIVE_INFINITY,
  };
}

function replyOf(error: NonNullable<HTTPFault['abort']>['errorType'] | undefined): LocalReply | undefined {
  const common = { body: 'fault filter abort', details: 'fault_filter_abort', flag: 'FI', ofRoute: 'forward' } as const;
  if (error?.case === 'grpcStatus') return { ...common, status: 200, grpcStatus: error.value };
  return error?.case === 'httpStatus' && error.value !== 0 ? { ...common, status: error.value } : undefined;
}

/** Without a percentage a fault never fires, as in Envoy. */
function chanceOf(percentage: FractionalPercent | undefined): Chance {
  return percentage ? { share: shareOf(percentage), happens: compileFraction(percentage) } : { share: 0, happens: () => false };
}
