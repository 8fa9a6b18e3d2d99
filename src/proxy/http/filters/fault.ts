/** Delays and aborts requests on purpose (`envoy.filters.http.fault`). */

import { compileFault, type Fault } from '../../../http/filters/fault.ts';
import { type HTTPFault, HTTPFaultSchema } from '../../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { HttpFilter as HttpFilterConfig } from '../../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { unpack } from '../../../xds/unpack.ts';
import type { Exchange } from '../exchange.ts';
import type { FilterStatus, HttpFilter } from '../filter.ts';
import { TimerEntry } from '../timers.ts';

export function createFaultFilter(config: HttpFilterConfig, where: string): HttpFilter {
  const any = config.configType.case === 'typedConfig' ? config.configType.value : undefined;
  return new FaultFilter(config.name, compileFault(unpack(any, HTTPFaultSchema, where), where));
}

class FaultFilter implements HttpFilter {
  readonly name: string;
  readonly #default: Fault;
  readonly #byConfig = new WeakMap<HTTPFault, Fault>();
  readonly #delayed = new Map<Exchange, TimerEntry>();
  #active = 0;

  constructor(name: string, fault: Fault) {
    this.name = name;
    this.#default = fault;
  }

  onRequest(exchange: Exchange): FilterStatus {
    const fault = this.#faultOf(exchange);
    if (!fault || (fault.delayMs === 0 && fault.status === 0 && fault.grpcStatus === undefined)) return 'continue';
    if (fault.applies && !fault.applies(exchange)) return 'continue';
    if (this.#active >= fault.maxActive || !this.#concerns(exchange, fault)) return 'continue';
    const { core } = exchange;
    if (fault.delayMs > 0 && fault.delays(core.deps.random())) {
      exchange.addFlag('DI');
      this.#active++;
      const timer = new TimerEntry(() => {
        this.#release(exchange);
        if (!this.#abort(exchange, fault)) exchange.continueFilters();
      });
      this.#delayed.set(exchange, timer);
      core.timers.arm(timer, fault.delayMs);
      return 'stop';
    }
    return this.#abort(exchange, fault) ? 'stop' : 'continue';
  }

  onDestroy(exchange: Exchange): void {
    const timer = this.#delayed.get(exchange);
    if (!timer) return;
    exchange.core.timers.disarm(timer);
    this.#release(exchange);
  }

  #release(exchange: Exchange): void {
    if (this.#delayed.delete(exchange)) this.#active--;
  }

  #abort(exchange: Exchange, { status, grpcStatus, aborts }: Fault): boolean {
    if ((status === 0 && grpcStatus === undefined) || !aborts(exchange.core.deps.random())) return false;
    const common = { body: 'fault filter abort', details: 'fault_filter_abort', flag: 'FI', ofRoute: true } as const;
    exchange.reply({ ...common, status: grpcStatus === undefined ? status : 200, grpcStatus });
    return true;
  }

  #concerns(exchange: Exchange, { cluster }: Fault): boolean {
    if (cluster === '') return true;
    const action = exchange.route?.action;
    return action?.kind === 'forward' && action.choose(exchange)?.cluster === cluster;
  }

  #faultOf({ route }: Exchange): Fault | undefined {
    const config = route?.filterConfig(this.name, HTTPFaultSchema);
    if (config === undefined) return this.#default;
    if (config === 'disabled') return undefined;
    let fault = this.#byConfig.get(config);
    if (!fault) {
      fault = compileFault(config, `filter "${this.name}"`);
      this.#byConfig.set(config, fault);
    }
    return fault;
  }
}
