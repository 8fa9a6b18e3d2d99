/** What happens to every response head before the client gets it, local replies included. */
import { TrafficDirection } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import type { HeaderMap } from './header-map.ts';
import type { ManagerOptions } from './options.ts';
import { appendVia } from './prepare.ts';
import type { CompiledRoute } from './routes/model.ts';

/** `traffic_direction` of a listener: decides who sets `x-envoy-decorator-operation`. */
export type Direction = 'inbound' | 'outbound' | 'unspecified';

export function directionOf(direction: TrafficDirection): Direction {
  return DIRECTIONS[direction];
}

const DIRECTIONS: Readonly<Record<TrafficDirection, Direction>> = {
  [TrafficDirection.UNSPECIFIED]: 'unspecified',
  [TrafficDirection.INBOUND]: 'inbound',
  [TrafficDirection.OUTBOUND]: 'outbound',
};

/** What the router says in a response of its own doing. `serviceMs`: how long the upstream took; undefined where it is not told (`suppress_envoy_headers`). */
export function tellRouting(headers: HeaderMap, route: CompiledRoute, serviceMs: number | undefined, attempts: number): void {
  if (serviceMs !== undefined) headers.set('x-envoy-upstream-service-time', String(serviceMs));
  if (route.includeAttemptCountInResponse) headers.set('x-envoy-attempt-count', String(attempts));
}

/** `request`: the headers of the request; `date`: the value of `date`, now. */
export function prepareResponse(
  headers: HeaderMap,
  request: HeaderMap,
  route: CompiledRoute | undefined,
  options: ManagerOptions,
  direction: Direction,
  date: string,
  hashCookie: string | undefined,
): void {
  if (!headers.has('date')) headers.append('date', date);
  switch (options.serverHeader) {
    case 'overwrite':
      headers.set('server', options.serverName);
      break;
    case 'append-if-absent':
      if (!headers.has('server')) headers.append('server', options.serverName);
      break;
    case 'pass-through':
      break;
  }
  if (options.via !== '') appendVia(headers, options.via);
  if (options.alwaysSetRequestIdInResponse) {
    const id = request.get('x-request-id');
    if (id !== undefined) headers.set('x-request-id', id);
  }
  if (hashCookie !== undefined) headers.append('set-cookie', hashCookie);
  if (!options.decorates) return;
  // Towards the mesh the operation goes with the request, towards the client it comes back with the response.
  if (direction === 'outbound') headers.remove('x-envoy-decorator-operation');
  else if (route && route.decoratorOperation !== '' && route.config?.decorator?.propagate !== false) {
    headers.set('x-envoy-decorator-operation', route.decoratorOperation);
  }
}
