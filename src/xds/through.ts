/** How xDS says that a cluster's hosts are reached through a forward proxy: names that translation writes, and simulation and logs read. */

/** Of an endpoint's metadata, as in Istio's ambient mesh: what is asked of the internal listener, and which of its fields is `host:port`. */
export const TUNNEL_METADATA = 'tunnel';
export const TUNNEL_DESTINATION = 'destination';

const PREFIX = 'through|';

/** Of the internal listener that asks this proxy. */
export function throughListenerName(host: string, port: number): string {
  return `${PREFIX}${port}||${host}`;
}

/** The proxy of an endpoint behind such a listener, by the address that logs print for it (`envoy://LISTENER/ENDPOINT`); undefined for others. */
export function throughProxyAt(address: string): string | undefined {
  const [, listener] = /^envoy:\/\/(.+)\/[^/]*$/.exec(address) ?? [];
  return listener === undefined ? undefined : throughProxyOf(listener);
}

/** The proxy of such a listener, `host:port`; undefined for others. */
export function throughProxyOf(listener: string): string | undefined {
  const [, port, host] = /^through\|(\d+)\|\|(.+)$/.exec(listener) ?? [];
  return host === undefined ? undefined : `${host}:${port}`;
}
