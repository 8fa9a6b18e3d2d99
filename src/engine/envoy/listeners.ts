/** Which listeners a stock Envoy can run. */
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { EXPLICIT_PROXY_FILTER } from '../../xds/names.ts';
import type { XdsResources } from '../../xds/resources.ts';
import type { Refusal } from '../contract.ts';

/** The set without what Envoy cannot run, which is said. */
export function forEnvoy(set: XdsResources): { readonly resources: XdsResources; readonly omitted: readonly Refusal[] } {
  const isOurs = ({ listenerFilters }: Listener) => listenerFilters.some(({ name }) => name === EXPLICIT_PROXY_FILTER);
  const omitted = set.listeners.filter(isOurs).map(({ name }) => ({
    resource: `listener ${name}`,
    message:
      'the explicit proxy (HTTP proxy requests, CONNECT, SOCKS5) is not a part of Envoy: this listener is left out with --engine envoy',
  }));
  if (omitted.length === 0) return { resources: set, omitted };
  return { resources: { ...set, listeners: set.listeners.filter((listener) => !isOurs(listener)) }, omitted };
}
