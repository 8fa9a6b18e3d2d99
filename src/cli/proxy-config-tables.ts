/** Tables of a config dump with istioctl's columns. They work on the dump's JSON, so that a dump with extensions that we do not know still prints. */
import { X509Certificate } from 'node:crypto';

// biome-ignore lint/suspicious/noExplicitAny: the JSON of any xDS server
export type Json = any;

export interface Filters {
  readonly port?: number;
  readonly fqdn?: string;
  readonly name?: string;
  readonly address?: string;
  readonly subset?: string;
  readonly direction?: string;
  readonly cluster?: string;
  readonly status?: string;
}

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The resources behind the rows, for JSON and YAML. */
  readonly resources: readonly Json[];
  /** Said instead of a table without rows. */
  readonly empty: string;
}

export const KINDS = ['listeners', 'routes', 'clusters', 'endpoints', 'secrets'] as const;
export type Kind = (typeof KINDS)[number];

/** `states` is the answer of `/clusters?format=json`, where a proxy runs: it knows the health of endpoints. */
export function tableOf(kind: Kind, dump: Json, filters: Filters, states?: Json): Table {
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
      return secrets(dump, filters);
  }
}

/** Columns padded with spaces; the last one is not. */
export function printTable({ columns, rows, empty }: Table): string {
  if (rows.length === 0) return `${empty}\n`;
  const all = [columns, ...rows];
  const widths = columns.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + 5)))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}

/** The entries of the dump's lists with these names. */
function entries(dump: Json, ...lists: string[]): Json[] {
  return (dump.configs ?? []).flatMap((config: Json) => lists.flatMap((list) => config[list] ?? []));
}

const compare = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0);

function listenersOf(dump: Json): Json[] {
  return entries(dump, 'static_listeners', 'dynamic_listeners')
    .map((entry) => entry.listener ?? entry.active_state?.listener)
    .filter(Boolean);
}

function socketOf(address: Json): { readonly ip: string; readonly port: number } {
  const socket = address?.socket_address;
  return socket ? { ip: socket.address ?? '', port: socket.port_value ?? 0 } : { ip: address?.pipe?.path ?? '', port: 0 };
}

function listeners(dump: Json, { port, address }: Filters): Table {
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

const DOMAINS_SHOWN = 2;

function routes(dump: Json, { name, fqdn }: Filters): Table {
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

/** From Istio's `config` (`…/namespaces/NS/KIND/NAME`), or from our own origins. */
function configOwner(metadata: Json): string {
  const path = metadata?.filter_metadata?.istio?.config;
  const match =
    typeof path === 'string' ? /\/namespaces\/([^/]+)\/(?:virtual-?service|destination-?rule|[a-z]+routes?)\/([^/]+)$/.exec(path) : null;
  if (match) return `${match[2]}.${match[1]}`;
  const origin = metadata?.filter_metadata?.sallyport?.origins?.[0];
  return origin && ['VirtualService', 'DestinationRule', 'HTTPRoute'].includes(origin.kind) ? `${origin.name}.${origin.namespace}` : '';
}

interface ClusterName {
  readonly direction: string;
  readonly port: number | undefined;
  readonly subset: string;
  readonly fqdn: string;
}

/** `outbound|80|v1|host`; what does not have this form is its own FQDN. */
function clusterName(name: string): ClusterName {
  const match = /^([a-z]+)[|_](?:\.)?(\d+)?[|_](?:\.)?([^|]*)[|_](?:\.)?([^|]*)$/.exec(name);
  if (!match || !name.includes('|')) return { direction: '', port: undefined, subset: '', fqdn: name };
  return { direction: match[1]!, port: match[2] ? Number(match[2]) : undefined, subset: match[3]!, fqdn: match[4]! };
}

function clusters(dump: Json, { fqdn, port, subset, direction }: Filters): Table {
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

function endpoints(dump: Json, filters: Filters, states: Json): Table {
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
  const text = ip.startsWith('/') ? `unix://${ip}` : ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
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

function secrets(dump: Json, { name }: Filters): Table {
  const list = (key: string, status: string) => entries(dump, key).map((entry) => ({ entry, status }));
  const chosen = [
    ...list('static_secrets', 'ACTIVE'),
    ...list('dynamic_active_secrets', 'ACTIVE'),
    ...list('dynamic_warming_secrets', 'WARMING'),
  ].filter(({ entry }) => !name || entry.name === name);
  return {
    columns: ['RESOURCE NAME', 'TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'],
    rows: chosen.map(({ entry, status }) => [entry.name ?? entry.secret?.name ?? '', ...secretCells(entry.secret, status)]),
    resources: chosen.map(({ entry }) => entry.secret ?? entry),
    empty: 'No active or warming secrets found.',
  };
}

function secretCells(secret: Json, status: string): string[] {
  const chain = secret?.tls_certificate?.certificate_chain;
  const ca = secret?.validation_context?.trusted_ca;
  const type = chain ? 'Cert Chain' : ca ? 'CA' : '';
  const certificate = firstCertificate(chain ?? ca);
  if (!certificate) return [type, status, 'false', '', '', ''];
  const now = Date.now();
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const time = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z');
  return [type, status, String(from <= now && now <= to), certificate.serialNumber.toLowerCase(), time(to), time(from)];
}

function firstCertificate(source: Json): X509Certificate | undefined {
  const pem = source?.inline_bytes ? Buffer.from(source.inline_bytes, 'base64').toString() : source?.inline_string;
  try {
    return pem ? new X509Certificate(pem) : undefined;
  } catch {
    return undefined;
  }
}
