/** The table of listeners: what each filter chain takes, and where it leads. */
import type { Json } from './dump.ts';
import { compare, entries, type Filters, socketOf, type Table } from './table.ts';

export function listeners(dump: Json, { port, address }: Filters): Table {
  const chosen = listenersOf(dump)
    .map((listener) => ({
      listener,
      at: [listener.address, ...(listener.additional_addresses ?? []).map((each: Json) => each.address)].map(socketOf),
    }))
    .filter(
      ({ at }) => (port === undefined || at.some((each) => each.port === port)) && (!address || at.some((each) => each.ip === address)),
    )
    .sort((a, b) => compare(a.at[0]!.port, b.at[0]!.port) || compare(a.at[0]!.ip, b.at[0]!.ip));
  const rows = chosen.flatMap(({ listener, at }) => {
    const chains = [...(listener.filter_chains ?? []), ...(listener.default_filter_chain ? [listener.default_filter_chain] : [])];
    return chains.map((chain: Json) => [
      at.map(({ ip }) => ip).join(','),
      String(at[0]!.port),
      matchText(chain.filter_chain_match),
      destinationText(chain),
    ]);
  });
  return {
    columns: ['ADDRESSES', 'PORT', 'MATCH', 'DESTINATION'],
    rows,
    resources: chosen.map(({ listener }) => listener),
    empty: 'No listeners found.',
  };
}

function matchText(match: Json): string {
  const parts: string[] = [];
  if (match?.server_names?.length) parts.push(`SNI: ${match.server_names.join(',')}`);
  if (match?.transport_protocol) parts.push(`Trans: ${match.transport_protocol}`);
  if (match?.application_protocols?.length) parts.push(`App: ${match.application_protocols.join(',')}`);
  const port = match?.destination_port === undefined ? '' : `:${match.destination_port}`;
  const ranges = (match?.prefix_ranges ?? []).map((range: Json) => cidrText(range));
  if (ranges.length > 0) parts.push(`Addr: ${ranges.join(',')}${port}`);
  else if (port) parts.push(`Addr: *${port}`);
  return parts.join('; ') || 'ALL';
}

function cidrText({ address_prefix: address, prefix_len: length = 0 }: Json): string {
  return length === (String(address).includes(':') ? 128 : 32) ? address : `${address}/${length}`;
}

function destinationText(chain: Json): string {
  for (const { typed_config: config } of [...(chain.filters ?? [])].reverse()) {
    const type = String(config?.['@type'] ?? '');
    if (type.endsWith('.HttpConnectionManager')) {
      if (config.rds) return `Route: ${config.rds.route_config_name}`;
      const inline = clustersOfRoutes(config.route_config);
      return inline.length > 0 ? `Inline Route: ${inline.join(', ')}` : 'Inline Route: no cluster';
    }
    if (type.endsWith('.TcpProxy')) {
      const weighted = (config.weighted_clusters?.clusters ?? []).map((each: Json) => `${each.name}[${each.weight}]`);
      return `Cluster: ${config.cluster ?? weighted.join(', ')}`;
    }
  }
  const last = chain.filters?.at(-1)?.name;
  return last ? `Filter: ${last}` : 'Closes';
}

function clustersOfRoutes(config: Json): string[] {
  const all = (config?.virtual_hosts ?? []).flatMap((host: Json) =>
    (host.routes ?? []).flatMap(({ route }: Json) => clustersOfAction(route)),
  );
  return [...new Set<string>(all)];
}

function clustersOfAction(route: Json): string[] {
  if (!route) return [];
  return route.cluster ? [route.cluster] : (route.weighted_clusters?.clusters ?? []).map(({ name }: Json) => name);
}

function listenersOf(dump: Json): Json[] {
  return entries(dump, 'static_listeners', 'dynamic_listeners')
    .map((entry) => entry.listener ?? entry.active_state?.listener)
    .filter(Boolean);
}
