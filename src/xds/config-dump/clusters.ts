/** The table of clusters. */
import type { Json } from './dump.ts';
import { clusterName, compare, configOwner, entries, type Filters, type Table } from './table.ts';

export function clusters(dump: Json, { fqdn, port, subset, direction }: Filters): Table {
  const chosen = entries(dump, 'static_clusters', 'dynamic_active_clusters')
    .map(({ cluster }) => ({ cluster, of: clusterName(cluster?.name ?? '') }))
    .filter(
      ({ cluster, of }) =>
        cluster &&
        (!fqdn || of.fqdn.includes(fqdn)) &&
        (port === undefined || of.port === port) &&
        (!subset || of.subset.includes(subset)) &&
        (!direction || of.direction === direction),
    )
    .sort(
      (a, b) =>
        compare(a.of.fqdn, b.of.fqdn) ||
        compare(a.of.port ?? 0, b.of.port ?? 0) ||
        compare(a.of.subset, b.of.subset) ||
        compare(a.of.direction, b.of.direction),
    );
  return {
    columns: ['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'DESTINATION RULE'],
    rows: chosen.map(({ cluster, of }) => [
      of.fqdn,
      String(of.port ?? '-'),
      of.subset || '-',
      of.direction || '-',
      cluster.cluster_type?.name ?? cluster.type ?? 'STATIC',
      configOwner(cluster.metadata),
    ]),
    resources: chosen.map(({ cluster }) => cluster),
    empty: 'No clusters found.',
  };
}
