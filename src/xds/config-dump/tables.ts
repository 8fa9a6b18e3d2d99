/** Tables of a config dump, with istioctl's columns. */
import { clusters } from './clusters.ts';
import type { Dump } from './dump.ts';
import { endpoints } from './endpoints.ts';
import { listeners } from './listeners.ts';
import { routes } from './routes.ts';
import { secrets } from './secrets.ts';
import type { Filters, Table } from './table.ts';

export const KINDS = ['listeners', 'routes', 'clusters', 'endpoints', 'secrets'] as const;
export type Kind = (typeof KINDS)[number];

/** Which filters each table takes. */
export const FILTERS: Readonly<Record<Kind, readonly (keyof Filters)[]>> = {
  listeners: ['address', 'port'],
  routes: ['name', 'fqdn'],
  clusters: ['fqdn', 'port', 'subset', 'direction'],
  endpoints: ['address', 'port', 'cluster', 'fqdn', 'status'],
  secrets: ['name'],
};

/** `now` is the time at which certificates are to be valid, in milliseconds since 1970. */
export function tableOf(kind: Kind, { dump, states }: Dump, filters: Filters, now: number): Table {
  switch (kind) {
    case 'listeners':
      return listeners(dump, filters);
    case 'routes':
      return routes(dump, filters);
    case 'clusters':
      return clusters(dump, filters);
    case 'endpoints':
      return endpoints(dump, filters, states);
    case 'secrets':
      return secrets(dump, filters, now);
  }
}
