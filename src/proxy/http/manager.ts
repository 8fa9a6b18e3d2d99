/** The HTTP connection manager: what a filter chain's terminal HTTP filter is to the listener. */
import type { RouteTable } from '../../xds/match/route.ts';
import type { ClusterManager, RecordSink } from '../types.ts';
import type { HttpPools } from './pool/pools.ts';

/** Route configurations that come by name (RDS), compiled; asked at each request, so that a change holds from the next request on. */
export interface RouteSource {
  get(name: string): RouteTable | undefined;
}

export interface HttpManagerLogger {
  warn(message: string): void;
}

export interface HttpManagerDeps {
  readonly clusters: ClusterManager;
  readonly routes: RouteSource;
  /** Upstream connections; one for all connection managers of a thread (`createHttpPools`). */
  readonly pools: HttpPools;
  readonly sink: RecordSink;
  /** A random integer, 0 ≤ n < 2^53. */
  readonly random: () => number;
  /** Milliseconds that only grow (`performance.now`). */
  readonly now: () => number;
  /** Milliseconds since the epoch at which `now` was 0 (`performance.timeOrigin`). */
  readonly timeOrigin: number;
  /** `traffic_direction` of the listener: decides who sets `x-envoy-decorator-operation`. */
  readonly direction: 'inbound' | 'outbound' | 'unspecified';
  readonly logger: HttpManagerLogger;
}
