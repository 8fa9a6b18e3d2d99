/** Clusters' own counters under Envoy's names. */

import { own } from '../../lib/table.ts';
import type { ClusterStats, ResourceLimit } from '../types.ts';
import type { StatsSource } from './registry.ts';

/** How many hosts a cluster has. */
export interface Members {
  readonly total: number;
  readonly healthy: number;
}

/** What a cluster shows of itself; the data plane's clusters have more. */
interface ClusterView {
  readonly name: string;
  readonly stats: ClusterStats;
  readonly members?: Members;
  readonly limits?: Readonly<Record<'connections' | 'pending' | 'requests' | 'retries', ResourceLimit>>;
}

/** `upstreamRq2xx` → `upstream_rq_2xx`. Bytes end in `_total`, as Envoy has them. */
const NAMES = new Map<string, string>();

function nameOf(field: string): string {
  let name = NAMES.get(field);
  if (name === undefined) {
    name = field.replace(/[A-Z]|\d(?=xx)/g, (letter) => `_${letter.toLowerCase()}`);
    if (name.endsWith('_bytes')) name += '_total';
    NAMES.set(field, name);
  }
  return name;
}

const LIMITS = { connections: 'cx_open', pending: 'rq_pending_open', requests: 'rq_open', retries: 'rq_retry_open' } as const;

export function zeroClusterStats(): ClusterStats {
  return {
    upstreamCxTotal: 0,
    upstreamCxActive: 0,
    upstreamCxConnectFail: 0,
    upstreamCxOverflow: 0,
    upstreamRqTotal: 0,
    upstreamRqActive: 0,
    upstreamRqPendingOverflow: 0,
    upstreamRqTimeout: 0,
    upstreamRq2xx: 0,
    upstreamRq3xx: 0,
    upstreamRq4xx: 0,
    upstreamRq5xx: 0,
    upstreamCxTxBytes: 0,
    upstreamCxRxBytes: 0,
  };
}

/** Reads the present clusters at each snapshot: `cluster.NAME.upstream_cx_total` and the like. */
export function clusterStatsSource(clusters: () => Iterable<ClusterView>): StatsSource {
  return ({ counter, gauge }) => {
    for (const { name, stats, limits, members } of clusters()) {
      for (const [field, value] of Object.entries(stats)) {
        const add = field.endsWith('Active') ? gauge : counter;
        add(`cluster.${name}.${nameOf(field)}`, value);
      }
      if (members) {
        gauge(`cluster.${name}.membership_total`, members.total);
        gauge(`cluster.${name}.membership_healthy`, members.healthy);
      }
      if (!limits) continue;
      for (const [field, stat] of Object.entries(LIMITS)) {
        const { used, max } = own(limits, field)!;
        gauge(`cluster.${name}.circuit_breakers.default.${stat}`, max > 0 && used >= max ? 1 : 0);
      }
    }
  };
}
