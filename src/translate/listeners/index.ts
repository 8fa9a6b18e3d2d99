import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import type { TranslateContext } from '../context.ts';
import { gatewayListeners } from './gateway.ts';
import { sidecarInbound } from './inbound.ts';
import { sidecarOutbound } from './sidecar.ts';

export interface BuiltListeners {
  readonly listeners: readonly Listener[];
  /** The route configurations that the listeners name. */
  readonly routes: PlannedRoutes;
}

/** By name what builds them: they are most of a proxy's configuration, and a call that is simulated needs one. */
export type PlannedRoutes = ReadonlyMap<string, () => RouteConfiguration>;

/** The listeners of a proxy. What can't be honoured is reported and refuses. */
export function buildListeners(context: TranslateContext): BuiltListeners {
  if (context.proxy.type === 'router') return gatewayListeners(context);
  const { listeners, routes } = sidecarOutbound(context);
  return { listeners: [...listeners, ...sidecarInbound(context)], routes };
}
