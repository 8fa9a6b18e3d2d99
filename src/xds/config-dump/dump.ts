/** A config dump, as `/config_dump` of a proxy's admin address gives it: parsed JSON, so that extensions which are not known here stay what they are. */
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';

// biome-ignore lint/suspicious/noExplicitAny: the JSON of any xDS server
export type Json = any;

export interface Dump {
  /** With a list `configs`. */
  readonly dump: Json;
  /** The answer of `/clusters?format=json`, where a proxy runs: it knows the health of endpoints. */
  readonly states?: Json;
}

/** Parses a dump as Envoy, `sallyport` or `istioctl proxy-config all -o json` write it, or the list of one kind of resources. Throws `no-config-dump`; `name` is what messages call it. */
export function parseDump(text: string, name: string): Dump {
  const fail = (why: string) => new SallyportError('no-config-dump', `${name} is no config dump: ${why}.`);
  let dump: Json;
  try {
    dump = JSON.parse(text);
  } catch (error) {
    throw fail(messageOf(error));
  }
  if (Array.isArray(dump?.cluster_statuses)) return { dump: { configs: [] }, states: dump };
  const listed = Array.isArray(dump) ? dumpOfList(dump) : undefined;
  if (listed) return { dump: listed };
  if (!Array.isArray(dump?.configs)) throw fail('it has no "configs"');
  return { dump: /"(?:dynamicListeners|dynamicActiveClusters|dynamicRouteConfigs)"/.test(text) ? snakeCase(dump) : dump };
}

/** Where a dump has the resources of each kind that `proxy-config KIND -o json` lists. */
const LISTS: Readonly<Record<string, readonly [string, string, (resource: Json) => Json]>> = table({
  Listener: ['ListenersConfigDump', 'dynamic_listeners', (listener) => ({ name: listener.name, active_state: { listener } })],
  RouteConfiguration: ['RoutesConfigDump', 'dynamic_route_configs', (route) => ({ route_config: route })],
  Cluster: ['ClustersConfigDump', 'dynamic_active_clusters', (cluster) => ({ cluster })],
  Secret: ['SecretsConfigDump', 'dynamic_active_secrets', (secret) => ({ name: secret.name, secret })],
});

/** The dump in which a list of resources stands; undefined for another list. */
function dumpOfList(list: readonly Json[]): Json | undefined {
  const section = (name: string, key: string, entries: readonly Json[]) => ({
    configs: [{ '@type': `type.googleapis.com/envoy.admin.v3.${name}`, [key]: entries }],
  });
  if (list.length === 0) return undefined;
  if (list.every((one) => typeof one?.cluster_name === 'string' && one.endpoint)) {
    const byCluster = Map.groupBy(list, ({ cluster_name: name }) => String(name));
    const configs = [...byCluster].map(([name, endpoints]) => ({
      endpoint_config: { cluster_name: name, endpoints: [{ lb_endpoints: endpoints.map(({ cluster_name: _, ...endpoint }) => endpoint) }] },
    }));
    return section('EndpointsConfigDump', 'dynamic_endpoint_configs', configs);
  }
  const [type, ...others] = [...new Set(list.map((one) => String(one?.['@type'] ?? '').replace(/^.*\./, '')))];
  const known = type !== undefined && others.length === 0 ? LISTS[type] : undefined;
  return known && section(known[0], known[1], list.map(known[2]));
}

/** The same with field names as protobuf has them: istioctl writes them in camel case. */
function snakeCase(value: Json): Json {
  if (Array.isArray(value)) return value.map(snakeCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      /^[a-z]+(?:[A-Z][a-z0-9]*)+$/.test(key) ? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : key,
      snakeCase(entry),
    ]),
  );
}
