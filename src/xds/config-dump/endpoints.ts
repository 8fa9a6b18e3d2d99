/** The table of endpoints: with their health where the proxy runs. */
import { hostPort } from '../../lib/socket-address.ts';
import type { Json } from './dump.ts';
import { clusterName, compare, entries, type Filters, socketOf, type Table } from './table.ts';

export function endpoints(dump: Json, filters: Filters, states: Json): Table {
  const all = states ? liveEndpoints(states) : dumpedEndpoints(dump);
  const chosen = all
    .filter(
      (each) =>
        (!filters.address || each.ip === filters.address) &&
        (filters.port === undefined || each.port === filters.port) &&
        (!filters.cluster || each.cluster === filters.cluster) &&
        (!filters.fqdn || clusterName(each.cluster).fqdn.includes(filters.fqdn)) &&
        (!filters.status || each.status.toLowerCase() === filters.status.toLowerCase()),
    )
    .sort((a, b) => compare(a.text, b.text) || compare(a.cluster, b.cluster));
  return {
    columns: ['ENDPOINT', 'STATUS', 'OUTLIER CHECK', 'CLUSTER'],
    rows: chosen.map(({ text, status, outlier, cluster }) => [text, status, outlier, cluster]),
    resources: chosen.map(({ resource }) => resource),
    empty: 'No endpoints found.',
  };
}

interface EndpointRow {
  readonly ip: string;
  readonly port: number;
  readonly text: string;
  readonly status: string;
  readonly outlier: string;
  readonly cluster: string;
  readonly resource: Json;
}

function row(address: Json, status: string, outlier: string, cluster: string, resource: Json): EndpointRow {
  const { ip, port } = socketOf(address);
  const text = ip.startsWith('/') ? `unix://${ip}` : hostPort(ip, port);
  return { ip, port, text, status, outlier, cluster, resource };
}

function liveEndpoints(states: Json): EndpointRow[] {
  return (states.cluster_statuses ?? []).flatMap((cluster: Json) =>
    (cluster.host_statuses ?? []).map((host: Json) => {
      const { eds_health_status: health = 'HEALTHY', failed_outlier_check: failed } = host.health_status ?? {};
      return row(host.address, health, failed ? 'FAILED' : 'OK', cluster.name, host);
    }),
  );
}

function dumpedEndpoints(dump: Json): EndpointRow[] {
  return entries(dump, 'static_endpoint_configs', 'dynamic_endpoint_configs').flatMap(({ endpoint_config: config }: Json) =>
    (config?.endpoints ?? []).flatMap((group: Json) =>
      (group.lb_endpoints ?? []).map((each: Json) =>
        row(each.endpoint?.address, each.health_status ?? 'HEALTHY', 'OK', config.cluster_name ?? '', {
          cluster_name: config.cluster_name,
          ...each,
        }),
      ),
    ),
  );
}
