import { clone } from '@bufbuild/protobuf';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import { VIRTUAL_INBOUND_LISTENER, VIRTUAL_OUTBOUND_LISTENER } from '../../translate/names.ts';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { XdsResources } from '../../xds/resources.ts';

/**
 * Resources without ports that nobody reaches: the local sidecar has no address of its own, so nothing comes in; and what is redirected comes in
 * only where that is wanted. A listener that stays the same gives the same listener, and a list the same list.
 */
export function reachableListeners(capturePort: number): (resources: XdsResources) => XdsResources {
  const made = new WeakMap<Listener, Listener>();
  const adapted = (listener: Listener): Listener => {
    if (listener.name !== VIRTUAL_INBOUND_LISTENER && (listener.name !== VIRTUAL_OUTBOUND_LISTENER || capturePort > 0)) return listener;
    let unbound = made.get(listener);
    if (!unbound) {
      unbound = clone(ListenerSchema, listener);
      unbound.bindToPort = false;
      made.set(listener, unbound);
    }
    return unbound;
  };
  // The same list gives the same list, so that nobody looks at its members again.
  const lists = new Memo<readonly Listener[]>();
  return (resources) => ({ ...resources, listeners: lists.get([resources.listeners], NO_INPUTS, () => resources.listeners.map(adapted)) });
}
