import type { TranslateContext } from '../context.ts';
import { gatewayListeners } from './gateway.ts';
import { sidecarInbound } from './inbound.ts';
import type { BuiltListeners } from './planned.ts';
import { sidecarOutbound } from './sidecar.ts';

/** The listeners of a proxy. What can't be honoured is reported and refuses. */
export function buildListeners(context: TranslateContext): BuiltListeners {
  if (context.proxy.type === 'router') return gatewayListeners(context);
  const { listeners, routes } = sidecarOutbound(context);
  return { listeners: [...listeners, ...sidecarInbound(context)], routes };
}
