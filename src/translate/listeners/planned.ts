/** What the listeners of a proxy are built as. */
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';

/** By name what builds them: they are most of a proxy's configuration, and a call that is simulated needs one. */
export type PlannedRoutes = ReadonlyMap<string, () => RouteConfiguration>;

export interface BuiltListeners {
  readonly listeners: readonly Listener[];
  /** The route configurations that the listeners name. */
  readonly routes: PlannedRoutes;
}
