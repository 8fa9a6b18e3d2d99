/** The table of routes: what each takes, and the VirtualService behind it. */
import type { Json } from './dump.ts';
import { compare, configOwner, entries, type Filters, type Table } from './table.ts';

const DOMAINS_SHOWN = 2;

export function routes(dump: Json, { name, fqdn }: Filters): Table {
  const chosen = entries(dump, 'static_route_configs', 'dynamic_route_configs')
    .map((entry) => entry.route_config)
    .filter(
      (config) =>
        config && (!name || config.name === name) && (!fqdn || (config.virtual_hosts ?? []).some((host: Json) => servesHost(host, fqdn))),
    )
    .sort((a, b) => compareRouteNames(a.name ?? '', b.name ?? ''));
  const rows = chosen.flatMap((config: Json) =>
    (config.virtual_hosts ?? [])
      .filter((host: Json) => !fqdn || servesHost(host, fqdn))
      .flatMap((host: Json) => {
        const domains = host.domains ?? [];
        const more = domains.length - DOMAINS_SHOWN;
        const shown = `${domains.slice(0, DOMAINS_SHOWN).join(', ')}${more > 0 ? ` + ${more} more...` : ''}`;
        const list = host.routes?.length ? host.routes : [undefined];
        return list.map((route: Json) => [
          config.name ?? '',
          host.name ?? '',
          shown,
          route ? routeMatchText(route.match) : '-',
          route ? virtualServiceText(route) : '',
        ]);
      }),
  );
  return { columns: ['NAME', 'VHOST NAME', 'DOMAINS', 'MATCH', 'VIRTUAL SERVICE'], rows, resources: chosen, empty: 'No routes found.' };
}

function servesHost(host: Json, fqdn: string): boolean {
  return (host.domains ?? []).some((domain: string) => domain === fqdn || domain.includes(fqdn));
}

/** Numbers first, in their order. */
function compareRouteNames(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return Number.isNaN(x) ? compare(a, b) : x - y;
}

function routeMatchText(match: Json): string {
  const path =
    match?.path ??
    (match?.prefix !== undefined
      ? `${match.prefix}*`
      : (match?.path_separated_prefix ?? (match?.safe_regex ? `regex ${match.safe_regex.regex}` : '')));
  const conditions = [...(match?.headers ?? []), ...(match?.query_parameters ?? [])].map(({ name }: Json) => name);
  return `${path || (match?.connect_matcher ? 'CONNECT' : '*')}${conditions.length > 0 ? ` (${conditions.join(', ')})` : ''}`;
}

/** `name.namespace` of the VirtualService (or another resource) behind a route; `404`, `503` and the like for what answers by itself. */
function virtualServiceText(route: Json): string {
  const from = configOwner(route.metadata);
  const status = route.direct_response?.status;
  return [from, status ? String(status) : ''].filter(Boolean).join(' ');
}
