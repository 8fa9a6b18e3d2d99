/** What the tables of a config dump have in common. */
import type { Json } from './dump.ts';

/** Which rows a table has; each kind of table takes some of these. */
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

/** The entries of the dump's lists with these names. */
export function entries(dump: Json, ...lists: string[]): Json[] {
  return (dump.configs ?? []).flatMap((config: Json) => lists.flatMap((list) => config[list] ?? []));
}

export function socketOf(address: Json): { readonly ip: string; readonly port: number } {
  const socket = address?.socket_address;
  return socket ? { ip: socket.address ?? '', port: socket.port_value ?? 0 } : { ip: address?.pipe?.path ?? '', port: 0 };
}

/** `name.namespace` of the resource behind an object: from Istio's `config` (`…/namespaces/NS/KIND/NAME`), or from our own origins. */
export function configOwner(metadata: Json): string {
  const path = metadata?.filter_metadata?.istio?.config;
  const match =
    typeof path === 'string' ? /\/namespaces\/([^/]+)\/(?:virtual-?service|destination-?rule|[a-z]+routes?)\/([^/]+)$/.exec(path) : null;
  if (match) return `${match[2]}.${match[1]}`;
  const origin = metadata?.filter_metadata?.sallyport?.origins?.[0];
  return origin && ['VirtualService', 'DestinationRule', 'HTTPRoute'].includes(origin.kind) ? `${origin.name}.${origin.namespace}` : '';
}

export interface ClusterName {
  readonly direction: string;
  readonly port: number | undefined;
  readonly subset: string;
  readonly fqdn: string;
}

/** `outbound|80|v1|host`; what does not have this form is its own FQDN. */
export function clusterName(name: string): ClusterName {
  const match = /^([a-z]+)[|_](?:\.)?(\d+)?[|_](?:\.)?([^|]*)[|_](?:\.)?([^|]*)$/.exec(name);
  if (!match || !name.includes('|')) return { direction: '', port: undefined, subset: '', fqdn: name };
  return { direction: match[1]!, port: match[2] ? Number(match[2]) : undefined, subset: match[3]!, fqdn: match[4]! };
}

export const compare = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0);
