/** Where the egress gateway is, and at which of its ports it takes what policies lead through it. */

/** The namespace of the gateway, which sees each host that leaves through it. */
export const GATEWAY_NAMESPACE = 'istio-system';

/** From there on ports belong to policies. */
const FIRST = 20_000;

/** The highest port of a host that can be led through the gateway. */
export const HIGHEST_LED = 65_535 - FIRST;

/** The gateway's port for a port of hosts: it stays the same whatever else comes and goes. Undefined where there is none. */
export function gatewayPort(port: number): number | undefined {
  return port <= HIGHEST_LED ? port + FIRST : undefined;
}
