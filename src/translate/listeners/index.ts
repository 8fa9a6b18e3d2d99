import { Memo } from '../../lib/memo.ts';
import { encoded } from '../../xds/encode.ts';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { TranslateContext } from '../context.ts';
import { NO_PATCHES, patchesFor } from '../patches/index.ts';
import { throughListeners } from '../through.ts';
import { gatewayListeners } from './gateway.ts';
import { sidecarInbound } from './inbound.ts';
import type { BuiltListeners } from './planned.ts';
import { sidecarOutbound } from './sidecar.ts';

/** The listeners of a proxy. What can't be honoured is reported and refuses. */
export function buildListeners(context: TranslateContext): BuiltListeners {
  if (context.proxy.type === 'sidecar') return patched(context, sidecarListeners(context));
  const { listeners, routes } = gatewayListeners(context);
  return patched(context, { listeners: [...listeners, ...throughListeners(context)], routes });
}

/** Those of a sidecar for the calls of its workload. */
export function buildOutboundListeners(context: TranslateContext): BuiltListeners {
  return patched(context, sidecarOutbound(context));
}

/** Those of a sidecar for calls to its workload. */
export function buildInboundListeners(context: TranslateContext): readonly Listener[] {
  return patchesFor(context).listeners(sidecarInbound(context));
}

function sidecarListeners(context: TranslateContext): BuiltListeners {
  const { listeners, routes } = sidecarOutbound(context);
  // Made anew each time, but where it says the same it is to be the same listener, and the list of all of them the same list.
  const inbound = sidecarInbound(context).map((listener) =>
    kept.get([listeners[0]!, listener.name], [encoded(ListenerSchema, listener).version], () => listener),
  );
  return { listeners: [...listeners, ...throughListeners(context), ...inbound], routes };
}

const kept = new Memo<Listener>();

function patched(context: TranslateContext, built: BuiltListeners): BuiltListeners {
  const patches = patchesFor(context);
  if (patches === NO_PATCHES) return built;
  const routes = new Map([...built.routes].map(([name, build]) => [name, () => patches.routes(build())]));
  return { listeners: patches.listeners(built.listeners), routes };
}
