import { HealthStatus } from './gen/envoy/config/core/v3/health_check_pb.js';
import type { LbEndpoint } from './gen/envoy/config/endpoint/v3/endpoint_components_pb.js';

const UNUSABLE = new Set([HealthStatus.UNHEALTHY, HealthStatus.DRAINING, HealthStatus.TIMEOUT]);

/** Whether an endpoint is to get calls, by what the control plane says of it (`health_status`). */
export function isUsable({ healthStatus }: LbEndpoint): boolean {
  return !UNUSABLE.has(healthStatus);
}

/** The share of healthy endpoints, in percent, below which the others get calls, too. Envoy's own is a half. */
export const PANIC_PERCENT = 50;
