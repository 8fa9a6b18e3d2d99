/** A connection manager's settings and filters, compiled as the data plane compiles them. */

import type { HttpFilter } from '../http/filters/filter.ts';
import { compileFilters } from '../http/filters/index.ts';
import { type ManagerOptions, readOptions } from '../http/options.ts';
import { type Direction, directionOf as direction } from '../http/response.ts';
import { messageOf } from '../lib/errors.ts';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { HttpConnectionManager } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';

export interface Manager {
  readonly options: ManagerOptions;
  readonly filters: readonly HttpFilter[];
  /** Filters that this product does not have: what they do is not simulated. */
  readonly unsimulated: readonly string[];
}

/** The reason, as an error, where it can't be simulated. */
export function compileManager(config: HttpConnectionManager): Manager | Error {
  try {
    const options = readOptions(config);
    const unsimulated: string[] = [];
    const filters = compileFilters(config, options, { lacks: (filter) => unsimulated.push(filter) });
    return { options, filters, unsimulated };
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

export function directionOf({ trafficDirection }: Listener): Direction {
  return direction(trafficDirection);
}
