/** What Istio acts on and this version does not: what is said of calls that it concerns is not sure. */
import type { Resource } from './resource.ts';

/** Istio's labels of ambient mode, and the class of its waypoints. */
export const MODE_LABEL = 'istio.io/dataplane-mode';
export const WAYPOINT_LABEL = 'istio.io/use-waypoint';
export const WAYPOINT_CLASS = 'istio-waypoint';

/** How an object asks for ambient mode, as the end of a sentence; undefined if it does not. */
export function ambientWish({ kind, metadata: { labels }, spec, derivedFrom }: Resource): string | undefined {
  if (derivedFrom) return undefined;
  const waypoint = labels[WAYPOINT_LABEL];
  if (waypoint !== undefined && waypoint !== 'none') return `is reached through the waypoint ${waypoint}`;
  if (labels[MODE_LABEL] === 'ambient') return 'is in ambient mode';
  const isWaypoint = kind === 'KubernetesGateway' && (spec as { gatewayClassName?: unknown }).gatewayClassName === WAYPOINT_CLASS;
  return isWaypoint ? 'is a waypoint' : undefined;
}

/** Kinds that are not read, with what their objects do to calls. */
export const UNREAD_KINDS: ReadonlyMap<string, string> = new Map([
  ['WasmPlugin', 'changes or refuses requests in proxies'],
  ['TrafficExtension', 'changes or refuses requests in proxies'],
  ['XListenerSet', 'adds listeners to a Gateway'],
  ['XBackend', 'is where routes lead'],
]);
