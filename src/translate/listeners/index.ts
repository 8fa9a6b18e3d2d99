import { Memo } from '../../lib/memo.ts';
import { encoded } from '../../xds/encode.ts';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { TranslateContext } from '../context.ts';
import { throughListeners } from '../through.ts';
import { gatewayListeners } from './gateway.ts';
import { sidecarInbound } from './inbound.ts';
import type { BuiltListeners } from './planned.ts';
import { sidecarOutbound } from './sidecar.ts';

/** The listeners of a proxy. What can't be honoured is reported and refuses. */
export function buildListeners(context: TranslateContext): BuiltListeners {
  const through = throughListeners(context);
  if (context.proxy.type === 'router') {
    const { listeners, routes } = gatewayListeners(context);
    return { listeners: [...listeners, ...through], routes };
  }
  const { listeners, routes } = sidecarOutbound(context);
  // Made anew each time, but where it says the same it is to be the same listener, and the list of all of them the same list.
  const inbound = sidecarInbound(context).map((listener) =>
    kept.get([listeners[0]!, listener.name], [encoded(ListenerSchema, listener).version], () => listener),
  );
  return { listeners: [...listeners, ...through, ...inbound], routes };
}

const kept = new Memo<Listener>();
