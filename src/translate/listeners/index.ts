import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import type { TranslateContext } from '../context.ts';
import { gatewayListeners } from './gateway.ts';
import { sidecarInbound } from './inbound.ts';
import { sidecarOutbound } from './sidecar.ts';

/** The listeners of a proxy and the route configurations that they name. What can't be honoured is reported and refuses. */
export function buildListeners(context: TranslateContext): { listeners: Listener[]; routes: RouteConfiguration[] } {
  if (context.proxy.type === 'router') return gatewayListeners(context);
  const { listeners, routes } = sidecarOutbound(context);
  return { listeners: [...listeners, ...sidecarInbound(context)], routes };
}
